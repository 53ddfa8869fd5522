// The rows of a mask as runs of set pixels. Rows are numbered through the planes of an image: row = z * height + y.
#pragma once

#include <bit>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "common/tensor.h"

namespace embedseg::cpu {

struct Run {
  int32_t start, end;  // columns start .. end - 1
};

// A row's runs, and for each a pixel known to lead to its root: one that often is the root spares a walk through
// memory.
struct RowRuns {
  std::span<const Run> runs;
  int32_t* leads;
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

// The runs of the rows last asked for: as far back as a row's neighbours reach.
class RecentRuns {
 public:
  RecentRuns(const uint8_t* mask, const Grid& grid)
      : mask_(mask),
        width_(grid.width),
        slots_(grid.depth > 1 ? grid.height + 2 : 2),
        capacity_(grid.width / 2 + 1),
        runs_(std::make_unique_for_overwrite<Run[]>(slots_ * capacity_)),
        leads_(std::make_unique_for_overwrite<int32_t[]>(slots_ * capacity_)),
        counts_(slots_),
        rows_(slots_, -1) {}

  RowRuns operator[](int64_t row) {
    const int64_t slot = row % slots_;
    Run* runs = runs_.get() + slot * capacity_;
    int32_t* leads = leads_.get() + slot * capacity_;
    if (rows_[slot] != row) {
      const int64_t base = row * width_;
      rows_[slot] = row;
      counts_[slot] = find_runs(mask_ + base, width_, runs);
      for (int64_t i = 0; i < counts_[slot]; ++i) leads[i] = static_cast<int32_t>(base + runs[i].start);
    }
    return {{runs, static_cast<size_t>(counts_[slot])}, leads};
  }

 private:
  const uint8_t* mask_;
  int64_t width_, slots_, capacity_;
  std::unique_ptr<Run[]> runs_;
  std::unique_ptr<int32_t[]> leads_;
  std::vector<int64_t> counts_, rows_;
};

}  // namespace embedseg::cpu
