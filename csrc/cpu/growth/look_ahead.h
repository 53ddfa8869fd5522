// Growth jumps all over the image, so that it waits for memory. Two ways to have the memory early, which cost time
// where they are wrong and change no result.
#pragma once

#include <vector>

#include "cpu/growth/blocks.h"

namespace embedseg::cpu {

// Visits blocks of a list, and asks for what a visit will need some visits before.
template <class Prefetch, class Visit>
void visit_ahead(const int64_t* first, const int64_t* last, const Prefetch& prefetch, const Visit& visit) {
  constexpr int64_t ahead = 8;
  for (const int64_t* block = first; block < last; ++block) {
    if (block + ahead < last) prefetch(block[ahead]);
    visit(*block);
  }
}

// For every block within reach of a seed, the object of the nearest, in steps along the axes; 0 for the others. That
// object will most likely ask for the block, so it can be judged in the order of memory, before the growth.
// seeded: the blocks with seeds; seeds, settled: of every block, the pixels that are seeds, that are not to be had.
std::vector<int32_t> nearest_objects(Blocks& blocks, const std::vector<int64_t>& seeded, const LargeVector<Bits>& seeds,
                                     const LargeVector<Bits>& settled);

}  // namespace embedseg::cpu
