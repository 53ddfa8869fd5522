// Label maps as what they mostly are: runs of equal labels, and objects numbered without large gaps.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

namespace embedseg::cpu {

constexpr int64_t grain_pixels = 1 << 15;  // pixels that are worth a thread

// Where the run of equal labels that starts at `begin` ends.
inline int64_t end_of_run(const int32_t* labels, int64_t begin, int64_t end) {
  constexpr int64_t block = 8;  // compared at once
  const int32_t id = labels[begin];
  for (; begin + block <= end; begin += block) {
    int32_t difference = 0;
    for (int64_t i = 0; i < block; ++i) difference |= labels[begin + i] ^ id;
    if (difference != 0) break;
  }
  while (begin < end && labels[begin] == id) ++begin;
  return begin;
}

// Calls work(id, begin, end) for every run of equal labels from `begin` to before `end`.
template <class Work>
void for_each_run(const int32_t* labels, int64_t begin, int64_t end, const Work& work) {
  while (begin < end) {
    const int64_t next = end_of_run(labels, begin, end);
    work(labels[begin], begin, next);
    begin = next;
  }
}

// Raises `largest` to `value`, from any thread.
template <class T>
void raise_to(T& largest, T value) {
  const std::atomic_ref shared(largest);
  T known = shared.load(std::memory_order_relaxed);
  while (known < value && !shared.compare_exchange_weak(known, value, std::memory_order_relaxed)) {
  }
}

// Gives every object of an image a place in a table, in the order of the ids: the id itself, unless ids are so large
// that such a table would dwarf the image; then the id's rank among those that occur.
class ObjectPlaces {
 public:
  ObjectPlaces(const int32_t* labels, int64_t pixels) : size_(largest_label(labels, pixels) + int64_t{1}) {
    constexpr int64_t always_affordable = 1 << 16;
    if (size_ <= std::max(pixels, always_affordable)) return;
    for_each_run(labels, 0, pixels, [&](int32_t id, int64_t, int64_t) {
      if (id > 0) ids_.push_back(id);
    });
    std::sort(ids_.begin(), ids_.end());
    ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
    size_ = static_cast<int64_t>(ids_.size());
  }

  int64_t size() const { return size_; }
  int64_t operator[](int32_t id) const {
    return ids_.empty() ? id : std::lower_bound(ids_.begin(), ids_.end(), id) - ids_.begin();
  }

 private:
  static int32_t largest_label(const int32_t* labels, int64_t pixels) {
    int32_t largest = 0;
    torch::stable::parallel_for(0, pixels, grain_pixels, [&](int64_t begin, int64_t end) {
      int32_t here = 0;
      for (int64_t i = begin; i < end; ++i) here = std::max(here, labels[i]);
      raise_to(largest, here);
    });
    return largest;
  }

  int64_t size_;
  std::vector<int32_t> ids_;  // sorted; empty where ids are their own places
};

// The pixels of every object, at its place.
inline std::vector<int64_t> count_pixels(const int32_t* labels, int64_t pixels, const ObjectPlaces& places) {
  std::vector<int64_t> counts(places.size());
  torch::stable::parallel_for(0, pixels, grain_pixels, [&](int64_t begin, int64_t end) {
    for_each_run(labels, begin, end, [&](int32_t id, int64_t first, int64_t last) {
      if (id > 0) std::atomic_ref(counts[places[id]]).fetch_add(last - first, std::memory_order_relaxed);
    });
  });
  return counts;
}

}  // namespace embedseg::cpu
