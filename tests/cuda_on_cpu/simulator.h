// Runs CUDA kernels on the CPU: one fiber a thread, and CUDA's words for what a kernel may say. Blocks, warps and
// threads take turns in an order drawn from a seed, so that what needs a barrier and has none goes wrong sooner or
// later. A kernel that can never end (a barrier that not all threads reach, a shuffle that lanes are missing from) is
// an error.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__

namespace simulator {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

struct Shape {
  int64_t blocks;
  int threads;
  size_t dynamic_bytes = 0;
  bool together = false;  // all blocks at once, as a grid barrier needs
};

// Calls body once for every thread. Throws std::runtime_error where the kernel gets stuck or writes beyond its shared
// memory; EMBEDSEG_CUDA_ON_CPU_SEED, or set_seed, picks the order.
void run(const Shape& shape, const std::function<void()>& body);
void set_seed(uint64_t seed);

// What someone else is told who runs the kernels another way: tests/ptx.
struct Launch {
  const void* kernel;
  int64_t blocks, threads, dynamic_bytes, together, argument_count;
  const void* const* arguments;
  const size_t* sizes;
};
struct Elsewhere {
  int (*run)(const Launch*);                                      // 0: it went well
  void (*memory)(const void* begin, int64_t bytes, int defined);  // whether it has been written
  void (*wait)();                                                 // of the host for the device
};
extern Elsewhere elsewhere;
extern int64_t processors, blocks_together;  // the device's size

// Ends the kernel that is running with an error.
void fail(const char* why);

// What the running thread waits for.
void wait_for_block();
void wait_for_grid();
void give_way();  // now and then

constexpr int warp_size = 32;

// Gives a value to the lanes of a mask; returns theirs, by lane.
const uint64_t* exchange(unsigned mask, uint64_t value);
int lane();

// The block's one object of shared memory, and its dynamic shared memory; filled with garbage at first.
void* shared_object(size_t bytes);
void* dynamic_shared();

template <class T>
uint64_t to_bits(T value) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}
template <class T>
T from_bits(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <class T, class Update>
T atomic(T* address, const Update& update) {
  give_way();
  const T old = *address;
  *address = update(old);
  return old;
}

}  // namespace simulator

extern simulator::Index threadIdx, blockIdx, blockDim, gridDim;

inline void __syncthreads() { simulator::wait_for_block(); }
inline void __syncwarp(unsigned mask = ~0u) { simulator::exchange(mask, 0); }
inline void __threadfence() {}

template <class T>
T __shfl_sync(unsigned mask, T value, int lane) {
  return simulator::from_bits<T>(simulator::exchange(mask, simulator::to_bits(value))[lane & 31]);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits) {
  return __shfl_sync(mask, value, simulator::lane() ^ bits);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, int distance) {
  const int source = simulator::lane() - distance;
  return __shfl_sync(mask, value, source < 0 ? simulator::lane() : source);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, int distance) {
  const int source = simulator::lane() + distance;
  return __shfl_sync(mask, value, source >= simulator::warp_size ? simulator::lane() : source);
}
inline unsigned __ballot_sync(unsigned mask, int vote) {
  const uint64_t* votes = simulator::exchange(mask, vote != 0);
  unsigned ballot = 0;
  for (int i = 0; i < simulator::warp_size; ++i) {
    if ((mask >> i & 1) != 0) ballot |= static_cast<unsigned>(votes[i]) << i;
  }
  return ballot;
}
inline int __any_sync(unsigned mask, int vote) { return __ballot_sync(mask, vote) != 0; }
inline int __all_sync(unsigned mask, int vote) { return __ballot_sync(mask, vote) == mask; }
template <class T>
unsigned __match_any_sync(unsigned mask, T value) {
  const uint64_t own = simulator::to_bits(value), *values = simulator::exchange(mask, own);
  unsigned same = 0;
  for (int i = 0; i < simulator::warp_size; ++i)
    same |= static_cast<unsigned>((mask >> i & 1) && values[i] == own) << i;
  return same;
}
inline int __reduce_add_sync(unsigned mask, int value) {
  const uint64_t* values = simulator::exchange(mask, simulator::to_bits(value));
  unsigned sum = 0;
  for (int i = 0; i < simulator::warp_size; ++i) sum += (mask >> i & 1) != 0 ? static_cast<unsigned>(values[i]) : 0;
  return static_cast<int>(sum);
}

template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return simulator::atomic(address, [&](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return simulator::atomic(address, [&](T old) { return std::min(old, value); });
}
template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return simulator::atomic(address, [&](T old) { return std::max(old, value); });
}
template <class T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return simulator::atomic(address, [&](T old) { return static_cast<T>(old | value); });
}
template <class T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return simulator::atomic(address, [&](T old) { return old == expected ? value : old; });
}

inline int __popc(unsigned bits) { return std::popcount(bits); }
inline int __ffs(int bits) { return bits == 0 ? 0 : std::countr_zero(static_cast<unsigned>(bits)) + 1; }
inline int __clz(int bits) { return std::countl_zero(static_cast<unsigned>(bits)); }
// Not a number becomes 0, as on the device.
inline int __float2int_rn(float value) { return std::isnan(value) ? 0 : static_cast<int>(std::nearbyint(value)); }
inline long long __double2ll_rn(double value) {
  return std::isnan(value) ? 0 : static_cast<long long>(std::nearbyint(value));
}
// Volatile: not to be fused.
inline float __fmul_rn(float a, float b) { return const_cast<const volatile float&>(a) * b; }
inline double __dmul_rn(double a, double b) { return const_cast<const volatile double&>(a) * b; }
inline float __fadd_rn(float a, float b) { return const_cast<const volatile float&>(a) + b; }
inline double __dadd_rn(double a, double b) { return const_cast<const volatile double&>(a) + b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __int_as_float(int bits) { return std::bit_cast<float>(bits); }
inline int __float_as_int(float value) { return std::bit_cast<int>(value); }

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
template <class T>
void __stwb(T* place, T value) {
  *place = value;
}
