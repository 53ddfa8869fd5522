// The pieces of one image in two orders: by object, and by where they are.
//
// A fragment is what one block (a box of tiles) holds of one object: a list of pieces. Blocks grow with the distance,
// so that the number of blocks within reach of a fragment stays small.
#pragma once

#include <cstdint>
#include <vector>

#include "common/ball.h"
#include "common/tensor.h"
#include "cpu/neighbors/pieces.h"

namespace embedseg::cpu {

struct Fragment {
  Box box;
  int32_t object;  // index into Objects::labels
  int32_t block;
  int64_t first_piece;  // its pieces go on to the next fragment's first
};

// A fragment as its block lists it.
struct Entry {
  Box box;
  int32_t rank;
  int32_t fragment;
};

struct Objects {
  std::vector<int32_t> labels;  // ascending
  std::vector<int32_t> ranks;   // of the objects by their number of fragments, ascending, each rank once
  std::vector<int32_t> by_rank;

  std::vector<Piece> pieces;            // by object, then by block
  std::vector<Fragment> fragments;      // by object, then by block, and a last one that ends the list of pieces
  std::vector<int64_t> first_fragment;  // of each object, and the end of the last one's

  Offset block_sides, blocks;        // pixels in a block, blocks in the image
  std::vector<int64_t> first_entry;  // of each block, and the end of the last one's
  std::vector<Entry> entries;        // by block, then by descending rank
};

Objects group_pieces(const std::vector<Pieces>& parts, const Grid& grid, const Ball& ball);

}  // namespace embedseg::cpu
