// A thread's own rows of sums, written through to a shared table when another object takes their place, so that
// memory is bounded however many objects there are. Sums are integers: their order changes nothing.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <vector>

namespace embedseg {

class SumCache {
 public:
  SumCache(std::vector<int64_t>& table, int64_t rows, int64_t row_size)
      : table_(table), row_size_(row_size), slots_(slot_count(rows, row_size)) {
    owner_.assign(slots_, -1);
    sums_.assign(slots_ * row_size, 0);
  }

  int64_t* row(int64_t object) {
    const int64_t slot = object & (slots_ - 1);
    if (owner_[slot] != object) replace(slot, object);
    return &sums_[slot * row_size_];
  }

  void write_through() {
    for (int64_t slot = 0; slot < slots_; ++slot) replace(slot, -1);
  }

 private:
  static int64_t slot_count(int64_t rows, int64_t row_size) {
    constexpr int64_t budget = int64_t(1) << 14;  // integers: 128 KiB a thread
    const auto most = std::bit_floor(static_cast<uint64_t>(std::max<int64_t>(budget / row_size, 1)));
    return static_cast<int64_t>(std::min(most, std::bit_ceil(static_cast<uint64_t>(rows))));
  }

  void replace(int64_t slot, int64_t object) {
    if (owner_[slot] >= 0) {
      int64_t* from = &sums_[slot * row_size_];
      int64_t* to = &table_[owner_[slot] * row_size_];
      for (int64_t i = 0; i < row_size_; ++i) {
        if (from[i] != 0) std::atomic_ref(to[i]).fetch_add(from[i], std::memory_order_relaxed);
        from[i] = 0;
      }
    }
    owner_[slot] = object;
  }

  std::vector<int64_t>& table_;
  int64_t row_size_, slots_;
  std::vector<int64_t> owner_, sums_;
};

}  // namespace embedseg
