// What the 32 threads of a warp do together. All of them must take part.
#pragma once

#include "cuda/launch.h"

namespace embedseg::cuda {

constexpr unsigned whole_warp = 0xffffffffu;

__device__ inline int lane_index() { return static_cast<int>(threadIdx.x) % warp_size; }

// Sums over the lanes, given to all. Of int, the sum must fit.
__device__ inline int warp_sum(int value) { return __reduce_add_sync(whole_warp, value); }

template <class T>
__device__ T warp_sum(T value) {
  for (int bits = warp_size / 2; bits > 0; bits /= 2) value += __shfl_xor_sync(whole_warp, value, bits);
  return value;
}

// Of integers whose sum need not fit: halves are summed apart.
__device__ inline long long warp_sum_wide(int value) {
  return static_cast<long long>(warp_sum(value >> 16)) * 65536 + warp_sum(value & 0xffff);
}
__device__ inline long long warp_sum_wide(long long value) { return warp_sum(value); }

// The same bits whatever the sign; the hardware adds unsigned numbers.
__device__ inline void add_to(long long* sum, long long value) {
  atomicAdd(reinterpret_cast<unsigned long long*>(sum), static_cast<unsigned long long>(value));
}

// Gives a place at the end of a list to every lane that wants one: one atomic for the warp.
template <class Count>
__device__ Count reserve_place(Count* list_size, bool wanted) {
  const unsigned votes = __ballot_sync(whole_warp, wanted);
  if (votes == 0) return 0;
  const int first = __ffs(static_cast<int>(votes)) - 1;
  Count start = 0;
  if (lane_index() == first) start = atomicAdd(list_size, static_cast<Count>(__popc(votes)));
  start = __shfl_sync(whole_warp, start, first);
  return start + static_cast<Count>(__popc(votes & ((1u << lane_index()) - 1)));
}

// The first of this thread's items, and how far its next one is, in a loop of the whole grid.
__device__ inline int64_t grid_thread() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ inline int64_t grid_threads() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

// Blocks enough for one thread an item; a loop of the whole grid does what is left of more.
inline int64_t blocks_for(int64_t items, int threads) {
  return std::min<int64_t>((items + threads - 1) / threads, int64_t{1} << 30);
}

}  // namespace embedseg::cuda
