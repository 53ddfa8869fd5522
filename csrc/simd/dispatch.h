// Vectors of the compiler's own making, and which of the processor's instruction sets serves them.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cstdint>
#include <type_traits>
#include <utility>

namespace embedseg::cpu {

template <class T, int W>
struct VectorType {
  using type [[gnu::vector_size(sizeof(T) * W)]] = T;
};
template <class T, int W>
using Vector = typename VectorType<T, W>::type;

enum class Isa { plain, avx2, avx512 };  // on x86-64: the baseline, x86-64-v3 and x86-64-v4

// The widest that this processor has; the environment variable EMBEDSEG_SIMD can narrow it.
Isa isa();
const char* isa_name();

}  // namespace embedseg::cpu

// Calls the kernel function that cpu/each_isa.h compiled for the instruction set in use.
#define EMBEDSEG_BEST_ISA(...)                                 \
  (::embedseg::cpu::isa() == Isa::avx512 ? avx512::__VA_ARGS__ \
   : ::embedseg::cpu::isa() == Isa::avx2 ? avx2::__VA_ARGS__   \
                                         : plain::__VA_ARGS__)
