// Growth jumps all over the image, so that it waits for memory. Two ways to have the memory early, which cost time
// where they are wrong and change no result.
#pragma once

#include <bit>
#include <vector>

#include "cpu/growth/blocks.h"
#include "simd/target.h"

EMBEDSEG_KERNEL_BEGIN

// GCC takes a function that does nothing but prefetch for one without effect, and drops the calls of it. Not with the
// asm, which is empty.
inline void prefetch(const void* place) {
  __builtin_prefetch(place);
  asm volatile("");
}

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
inline std::vector<int32_t> nearest_objects(Blocks& blocks, const std::vector<int64_t>& seeded,
                                            const LargeVector<Bits>& seeds, const LargeVector<Bits>& settled) {
  constexpr int32_t reach = 64;  // pixels: beyond the radius of most objects, so that an empty image costs little
  constexpr Bits all = static_cast<Bits>(~0);
  std::vector<int32_t> nearest(blocks.count(), 0), distance(blocks.count(), reach);
  for (const int64_t block : seeded) {
    nearest[block] = blocks.labels(block)[std::countr_zero(seeds[block])];
    distance[block] = 0;
  }
  const auto relax = [&](int64_t block, int64_t neighbor, int32_t steps) {
    if (distance[neighbor] + steps >= distance[block]) return;
    distance[block] = distance[neighbor] + steps;
    nearest[block] = nearest[neighbor];
  };
  const int64_t count = blocks.count(), margin = blocks.rows_around().back();
  const auto visit = [&](int64_t block, int64_t direction) {
    if (settled[block] == all && distance[block] > 0) return;  // nothing is to be had there
    relax(block, block + direction, block_length);
    for (const int64_t row : blocks.rows_around()) {
      if (row * direction > 0) relax(block, block + row, 1);
    }
  };
  for (int64_t block = margin; block < count - margin; ++block) visit(block, -1);
  for (int64_t block = count - margin - 1; block >= margin; --block) visit(block, 1);
  return nearest;
}

EMBEDSEG_KERNEL_END
