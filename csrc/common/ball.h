// The offsets between two pixels that are nearer than a distance, as a table of integers.
//
// All of the arithmetic in floating point happens here, once: whatever is compared later is compared exactly, with any
// spacing and on any processor.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "common/tensor.h"

namespace embedseg {

// Absolute differences of two pixels' coordinates: z, y, x.
using Offset = std::array<int32_t, 3>;

class Ball {
 public:
  Ball(double distance, const std::array<double, 3>& spacing, const Grid& grid) {
    const std::array<int64_t, 3> sizes = {grid.depth, grid.height, grid.width};
    std::array<std::vector<double>, 3> squares;
    for (int axis = 0; axis < 3; ++axis) {
      squares[axis] = squares_below(distance, spacing[axis], sizes[axis]);
      extent_[axis] = static_cast<int32_t>(squares[axis].size());
    }
    widths_.reserve(squares[0].size() * squares[1].size());
    for (const double z : squares[0]) append_widths(distance, z, squares[1], squares[2]);
  }

  // Whether the Euclidean length of the offset is below the distance.
  bool contains(int32_t z, int32_t y, int32_t x) const {
    return z < extent_[0] && y < extent_[1] && x < widths_[z * int64_t{extent_[1]} + y];
  }
  bool contains(const Offset& offset) const { return contains(offset[0], offset[1], offset[2]); }

  // Along each axis, how many offsets are inside, 0 among them.
  const Offset& extent() const { return extent_; }

  // [z, y]: the offsets in x that are inside are those below.
  const std::vector<int32_t>& widths() const { return widths_; }

 private:
  static std::vector<double> squares_below(double distance, double spacing, int64_t size) {
    std::vector<double> squares;
    for (int64_t i = 0; i < size; ++i) {
      const double length = static_cast<double>(i) * spacing;
      const double square = length * length;
      if (!(std::sqrt(square) < distance)) break;
      squares.push_back(square);
    }
    return squares;
  }

  // The farther apart in y, the fewer offsets in x are left.
  void append_widths(double distance, double z, const std::vector<double>& ys, const std::vector<double>& xs) {
    size_t width = xs.size();
    for (const double y : ys) {
      while (width > 0 && !(std::sqrt(z + y + xs[width - 1]) < distance)) --width;
      widths_.push_back(static_cast<int32_t>(width));
    }
  }

  Offset extent_;
  std::vector<int32_t> widths_;
};

}  // namespace embedseg
