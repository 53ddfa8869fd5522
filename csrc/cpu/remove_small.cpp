// Removal of small objects from a label map: serves min_seed_size and min_object_size of postprocess.
#include <torch/csrc/stable/library.h>

#include "common/checks.h"
#include "cpu/contiguous.h"
#include "cpu/objects.h"

namespace embedseg::cpu {
namespace {

// The id that each object gets, 0 where it is removed.
std::vector<int32_t> new_ids(const std::vector<int64_t>& counts, int64_t min_size) {
  std::vector<int32_t> ids(counts.size());
  int32_t kept = 0;
  for (size_t place = 0; place < counts.size(); ++place)
    if (counts[place] > 0 && counts[place] >= min_size) ids[place] = ++kept;
  return ids;
}

void remove_small_in_image(const int32_t* labels, int32_t* out, int64_t pixels, int64_t min_size) {
  const ObjectPlaces places(labels, pixels);
  const std::vector<int32_t> ids = new_ids(count_pixels(labels, pixels, places), min_size);
  torch::stable::parallel_for(0, pixels, grain_pixels, [&](int64_t begin, int64_t end) {
    for_each_run(labels, begin, end, [&](int32_t id, int64_t first, int64_t last) {
      std::fill(out + first, out + last, id > 0 ? ids[places[id]] : id);
    });
  });
}

// labels: int32 [B, *spatial]
Tensor remove_small(const Tensor& strided, int64_t min_size, std::optional<int64_t> /*largest*/) {
  check_map(strided, "labels", ScalarType::Int);
  const Tensor labels = as_contiguous(strided);
  const Tensor out = empty_like(labels, ScalarType::Int);
  const Grid grid = grid_of(labels);
  for (int64_t b = 0; b < grid.batch; ++b) {
    const int64_t offset = b * grid.pixels();
    remove_small_in_image(data<const int32_t>(labels) + offset, data<int32_t>(out) + offset, grid.pixels(), min_size);
  }
  return out;
}

}  // namespace
}  // namespace embedseg::cpu

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) { m.impl("remove_small", TORCH_BOX(&embedseg::cpu::remove_small)); }
