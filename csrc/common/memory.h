// Fresh memory for large arrays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace embedseg {

// A fresh block of tens of megabytes is a page fault every 4 KiB, which takes longer than filling it. Ask for pages of
// 2 MiB; where the system declines, nothing is lost.
inline void prefer_huge_pages(void* block, int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t page = uintptr_t(1) << 21;
  const uintptr_t first = (reinterpret_cast<uintptr_t>(block) + page - 1) & ~(page - 1);
  const uintptr_t last = (reinterpret_cast<uintptr_t>(block) + bytes) & ~(page - 1);
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
  (void)block;
  (void)bytes;
#endif
}

template <class T>
struct LargeAllocator {
  using value_type = T;
  static constexpr std::align_val_t alignment{4096};

  LargeAllocator() = default;
  template <class Other>
  LargeAllocator(const LargeAllocator<Other>&) {}

  T* allocate(size_t count) {
    void* block = ::operator new(count * sizeof(T), alignment);
    prefer_huge_pages(block, static_cast<int64_t>(count * sizeof(T)));
    return static_cast<T*>(block);
  }
  void deallocate(T* block, size_t) { ::operator delete(block, alignment); }
  bool operator==(const LargeAllocator&) const { return true; }
};

// A vector of as many elements as an image has pixels or blocks.
template <class T>
using LargeVector = std::vector<T, LargeAllocator<T>>;

}  // namespace embedseg
