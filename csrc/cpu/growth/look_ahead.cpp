#include "cpu/growth/look_ahead.h"

#include <bit>

namespace embedseg::cpu {

std::vector<int32_t> nearest_objects(Blocks& blocks, const std::vector<int64_t>& seeded, const LargeVector<Bits>& seeds,
                                     const LargeVector<Bits>& settled) {
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

}  // namespace embedseg::cpu
