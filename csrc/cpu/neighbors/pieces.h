// The boundaries of the objects of one image, cut into small pieces: what a tile of the image holds of an object.
//
// Only boundary pixels (a face neighbour inside the image has another label) can realise the shortest distance between
// two objects. For let p in k and q in n be as close as possible and p not on the boundary. Then along an axis in which
// they differ, p's neighbour on the side of q is inside the image, is in k too, and is closer to q: a contradiction.
// Shortening one axis shortens the distance whatever the spacing is.
#pragma once

#include <algorithm>
#include <vector>

#include "common/ball.h"

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
  for (int axis = 0; axis < 3; ++axis)
    gap[axis] = std::max({0, a.low[axis] - b.high[axis], b.low[axis] - a.high[axis]});
  return gap;
}

// No pixel of one box is farther from one of the other than this.
inline Offset farthest(const Box& a, const Box& b) {
  Offset span;
  for (int axis = 0; axis < 3; ++axis) span[axis] = std::max(a.high[axis] - b.low[axis], b.high[axis] - a.low[axis]);
  return span;
}

// Consecutive pixels of one object along x, some of them on its boundary.
struct Run {
  int32_t label;
  Box box;
};

struct Piece {
  Box box;
  int32_t label, object;       // object: the label's rank among all labels
  int32_t first_run, end_run;  // in the tile's runs
};

struct Tile {
  std::vector<Piece> pieces;  // one for each label
  std::vector<Run> runs;
};

// An image as tiles of equal sides, a row of a tile in one cache line; those at the end may be smaller.
struct Tiles {
  Offset sides, counts;     // pixels in a tile; tiles in the image
  std::vector<Tile> tiles;  // [z, y, x]
};

// labels: one image [depth, height, width]; objects are above 0. Piece::object is left to the caller.
Tiles cut_into_tiles(const int32_t* labels, const Grid& grid);

}  // namespace embedseg::cpu
