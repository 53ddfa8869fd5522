// A row of a mask as runs of set pixels.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace embedseg::cpu {

struct Run {
  int32_t start, end;  // columns start .. end - 1
};

// Writes the runs of `row` to `runs`; returns how many.
inline int64_t find_runs(const uint8_t* row, int64_t width, Run* runs) {
  static_assert(std::endian::native == std::endian::little);
  int32_t* edge = &runs->start;  // starts and ends alternate
  uint64_t previous = 0;
  const auto add_edges = [&](int64_t x, uint64_t pixels) {
    for (uint64_t edges = pixels ^ (pixels << 8 | previous); edges != 0; edges &= edges - 1)
      *edge++ = static_cast<int32_t>(x) + (std::countr_zero(edges) >> 3);
    previous = pixels >> 56;
  };
  int64_t x = 0;
  uint64_t pixels = 0;
  for (; x + 8 <= width; x += 8) {
    std::memcpy(&pixels, row + x, 8);
    add_edges(x, pixels);
  }
  pixels = 0;
  std::memcpy(&pixels, row + x, width - x);
  add_edges(x, pixels);  // the zeros beyond the row end its last run
  return (edge - &runs->start) / 2;
}

}  // namespace embedseg::cpu
