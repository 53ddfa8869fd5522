// Normalised distance to the nearest pixel outside the own object. docs/method.md, Distance map and its loss.
//
// The exact squared distance is separable: along the first spatial axis by counting, along each further one as the
// minimum of (distance along the axis)² + (squared distance so far). A pixel's minimum never lies beyond the ends of
// the run of its object along the axis, where the distance so far is 0, so runs are treated one by one. Distances are
// in units of the smallest spacing: with equal spacing all squares are whole numbers, exact up to 4096 pixels.
#include "common/distance_map.h"

#include <torch/csrc/stable/library.h>

#include "common/checks.h"
#include "cpu/contiguous.h"
#include "cpu/distance_map_kernel.h"

namespace embedseg::cpu {
namespace {

// labels: int32 [B, *spatial]
Tensor distance_map(const Tensor& strided, std::vector<double> spacing) {
  check_map(strided, "labels", ScalarType::Int);
  const Tensor labels = as_contiguous(strided);
  const Tensor out = empty_like(labels, ScalarType::Float);
  const Grid grid = grid_of(labels);
  for (int64_t b = 0; b < grid.batch && grid.pixels() > 0; ++b) {
    const int64_t offset = b * grid.pixels();
    const DistanceTask image{data<const int32_t>(labels) + offset, data<float>(out) + offset, grid,
                             squared_weights(spacing, grid)};
    const ObjectPlaces places(image.labels, grid.pixels());
    EMBEDSEG_BEST_ISA(measure(image, places));
  }
  return out;
}

}  // namespace
}  // namespace embedseg::cpu

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) { m.impl("distance_map", TORCH_BOX(&embedseg::cpu::distance_map)); }
