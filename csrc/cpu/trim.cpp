// Objects cut back to where the distance map has their boundaries: serves boundary_distance of postprocess.
#include <torch/csrc/stable/library.h>

#include "common/checks.h"
#include "common/radius.h"
#include "common/tensor.h"
#include "cpu/contiguous.h"
#include "cpu/objects.h"

namespace embedseg::cpu {
namespace {

void trim_image(const int32_t* labels, const float* distance, int32_t* out, int64_t pixels, bool volume, double depth) {
  const ObjectPlaces places(labels, pixels);
  const std::vector<int64_t> counts = count_pixels(labels, pixels, places);
  torch::stable::parallel_for(0, pixels, grain_pixels, [&](int64_t begin, int64_t end) {
    for_each_run(labels, begin, end, [&](int32_t id, int64_t first, int64_t last) {
      const double limit = id > 0 ? depth / radius(counts[places[id]], volume) : 0;
      for (int64_t i = first; i < last; ++i) out[i] = id <= 0 || distance[i] > limit ? id : 0;
    });
  });
}

// labels: int32 [B, *spatial]; distance: float32, likewise
Tensor trim(const Tensor& strided_labels, const Tensor& strided_distance, double depth,
            std::optional<int64_t> /*largest*/) {
  check_map(strided_labels, "labels", ScalarType::Int);
  const Tensor labels = as_contiguous(strided_labels);
  const Tensor distance = as_contiguous(strided_distance);
  check_flat(distance, "distance", ScalarType::Float, size_of(labels), labels);
  const Tensor out = empty_like(labels, ScalarType::Int);
  const Grid grid = grid_of(labels);
  for (int64_t b = 0; b < grid.batch; ++b) {
    const int64_t offset = b * grid.pixels();
    trim_image(data<const int32_t>(labels) + offset, data<const float>(distance) + offset, data<int32_t>(out) + offset,
               grid.pixels(), labels.dim() == 4, depth);
  }
  return out;
}

}  // namespace
}  // namespace embedseg::cpu

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) { m.impl("trim", TORCH_BOX(&embedseg::cpu::trim)); }
