// What the distance map measures in, on every device.
#pragma once

#include <algorithm>

#include "common/tensor.h"

namespace embedseg {

// Squared lengths of a step along depth, height and width, in units of the smallest spacing.
inline std::array<float, 3> squared_weights(const std::vector<double>& spacing, const Grid& grid) {
  std::array<double, 3> lengths = spacing_3d(spacing);
  if (grid.depth == 1) lengths[0] = lengths[1];  // no distance runs along it
  const double unit = *std::min_element(lengths.begin(), lengths.end());
  std::array<float, 3> weights;
  for (int axis = 0; axis < 3; ++axis) weights[axis] = static_cast<float>(lengths[axis] / unit * lengths[axis] / unit);
  return weights;
}

}  // namespace embedseg
