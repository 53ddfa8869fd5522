// Neighbouring objects. SPEC, Neighbours.
#include <torch/csrc/stable/library.h>

#include <vector>

#include "common/tensor.h"
#include "cpu/neighbors/search.h"

namespace embedseg::cpu {
namespace {

// An object that fills its image has no boundary and is not among the labels: it has no neighbour either.
int64_t count_rows(const Neighbors& neighbors, bool background) {
  const size_t with_background = background && neighbors.background ? 2 * neighbors.labels.size() : 0;
  return static_cast<int64_t>(with_background + neighbors.partners.size());
}

int64_t* write_rows(int64_t* out, int64_t image, const Neighbors& neighbors, bool background) {
  const auto write = [&](int64_t object, int64_t partner) {
    *out++ = image;
    *out++ = object;
    *out++ = partner;
  };
  const bool with_background = background && neighbors.background;
  if (with_background) {
    for (const int32_t label : neighbors.labels) write(0, label);
  }
  for (size_t i = 0; i < neighbors.labels.size(); ++i) {
    if (with_background) write(neighbors.labels[i], 0);
    for (int64_t j = neighbors.first_partner[i]; j < neighbors.first_partner[i + 1]; ++j) {
      write(neighbors.labels[i], neighbors.labels[neighbors.partners[j]]);
    }
  }
  return out;
}

// labels: int32 [B, *spatial]; returns int64 [P, 3]
Tensor neighbor_pairs(const Tensor& labels, double distance, bool background, std::vector<double> spacing) {
  const Tensor contiguous = torch::stable::contiguous(labels);
  const Grid grid = grid_of(labels);
  std::vector<Neighbors> images;
  int64_t rows = 0;
  for (int64_t image = 0; image < grid.batch; ++image) {
    const int32_t* pixels = data<int32_t>(contiguous) + image * grid.pixels();
    images.push_back(find_neighbors(pixels, grid, distance, spacing_3d(spacing)));
    rows += count_rows(images.back(), background);
  }
  const Tensor pairs = empty({rows, 3}, ScalarType::Long, labels);
  int64_t* out = data<int64_t>(pairs);
  for (int64_t image = 0; image < grid.batch; ++image) out = write_rows(out, image, images[image], background);
  return pairs;
}

}  // namespace
}  // namespace embedseg::cpu

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) { m.impl("neighbor_pairs", TORCH_BOX(&embedseg::cpu::neighbor_pairs)); }
