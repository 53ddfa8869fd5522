// The boundaries of the objects of one image, cut into small pieces.
//
// Only boundary pixels (a face neighbour inside the image has another label) can realise the shortest distance between
// two objects. For let p in k and q in n be as close as possible and p not on the boundary. Then along an axis in which
// they differ, p's neighbour on the side of q is inside the image, is in k too, and is closer to q: a contradiction.
// Shortening one axis shortens the distance whatever the spacing is.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "common/ball.h"
#include "common/tensor.h"

namespace embedseg::cpu {

struct Box {
  std::array<int32_t, 3> low, high;  // inclusive: z, y, x

  void include(const Box& other) {
    for (int axis = 0; axis < 3; ++axis) {
      low[axis] = std::min(low[axis], other.low[axis]);
      high[axis] = std::max(high[axis], other.high[axis]);
    }
  }
};

// No pixel of one box is closer to one of the other than this.
inline Offset nearest(const Box& a, const Box& b) {
  Offset gap;
  for (int axis = 0; axis < 3; ++axis) {
    gap[axis] = std::max(0, std::max(a.low[axis] - b.high[axis], b.low[axis] - a.high[axis]));
  }
  return gap;
}

// No pixel of one box is farther from one of the other than this.
inline Offset farthest(const Box& a, const Box& b) {
  Offset span;
  for (int axis = 0; axis < 3; ++axis) {
    span[axis] = std::max(a.high[axis] - b.low[axis], b.high[axis] - a.low[axis]);
  }
  return span;
}

// Consecutive pixels of one object along x, relative to the low corner of their piece's box.
struct Run {
  uint8_t z, y, first, last;
};

// What one tile of the image holds of one object: every boundary pixel, and others only in the runs of those.
struct Piece {
  Box box;
  int32_t label;
  int32_t run_count;
  union {
    int64_t first_run;  // while `runs` of its Pieces still grows
    const Run* runs;
  };
};

struct Pieces {
  std::vector<Piece> pieces;
  std::vector<Run> runs;
  bool background = false;  // whether label 0 occurs
};

// The sides of the tiles. A row of a tile is one cache line; Run's bytes bound a side by 256.
inline Offset tile_sides(const Grid& grid) { return grid.depth == 1 ? Offset{1, 16, 16} : Offset{8, 8, 16}; }

// Pieces of all objects (labels above 0) of an image [depth, height, width], one Pieces from each thread.
std::vector<Pieces> cut_into_pieces(const int32_t* labels, const Grid& grid);

}  // namespace embedseg::cpu
