// A cache of judgements: which pixels of a block an object may take.
#pragma once

#include <atomic>

#include "common/memory.h"
#include "cpu/growth/blocks.h"
#include "simd/target.h"

EMBEDSEG_KERNEL_BEGIN

// A few objects for every block. An entry holds the object, above block_length bits, one a pixel, in one word: threads
// may overwrite each other's, for either's is right.
class Verdicts {
 public:
  explicit Verdicts(int64_t blocks) : entries_(blocks * ways) {}

  const void* place(int64_t block) const { return &entries_[block * ways]; }

  // The pixels of the block that the object may take; judge() says so where it is not known yet.
  template <class Judge>
  Bits get(int64_t block, int32_t object, const Judge& judge) {
    const std::atomic_ref<uint64_t> place = find(block, object);
    uint64_t entry = place.load(std::memory_order_relaxed);
    if (object_of(entry) != object) {
      entry = static_cast<uint64_t>(object) << block_length | judge();
      place.store(entry, std::memory_order_relaxed);
    }
    return static_cast<Bits>(entry);
  }

 private:
  static constexpr int ways = 4;

  static int32_t object_of(uint64_t entry) { return static_cast<int32_t>(entry >> block_length); }

  // The entry that has the object, or the one to put it in.
  std::atomic_ref<uint64_t> find(int64_t block, int32_t object) {
    uint64_t* const entries = &entries_[block * ways];
    int empty = -1;
    for (int way = 0; way < ways; ++way) {
      const uint64_t held = std::atomic_ref(entries[way]).load(std::memory_order_relaxed);
      if (object_of(held) == object) return std::atomic_ref(entries[way]);
      if (held == 0 && empty < 0) empty = way;
    }
    return std::atomic_ref(entries[empty >= 0 ? empty : object % ways]);
  }

  LargeVector<uint64_t> entries_;
};

EMBEDSEG_KERNEL_END
