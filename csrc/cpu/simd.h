// Vectors of the compiler's own making, and the choice, at run time, of how wide they are.
//
// A kernel is a generic lambda over the number W of float lanes. with_simd compiles it once for each instruction set
// into a function of that set (everything it calls is inlined), and calls the widest that this processor has. The
// library around it stays baseline x86-64; on other processors the plain path is what there is.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace embedseg {

template <class T, int W>
struct VectorType {
  using type [[gnu::vector_size(sizeof(T) * W)]] = T;
};
template <class T, int W>
using Vector = typename VectorType<T, W>::type;

enum class Isa { plain, v3, v4 };  // x86-64-v3 has AVX2 and FMA, x86-64-v4 has AVX-512

inline Isa detect_isa() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v4")) return Isa::v4;
  if (__builtin_cpu_supports("x86-64-v3")) return Isa::v3;
#endif
  return Isa::plain;
}

// The instruction set in use; tests narrow it through EMBEDSEG_SIMD.
Isa isa();
const char* isa_name();

#if defined(__x86_64__)
template <class Kernel>
[[gnu::target("arch=x86-64-v4"), gnu::flatten]] void run_v4(const Kernel& kernel) {
  kernel.template operator()<16>();
}
template <class Kernel>
[[gnu::target("arch=x86-64-v3"), gnu::flatten]] void run_v3(const Kernel& kernel) {
  kernel.template operator()<8>();
}
#endif

template <class Kernel>
void with_simd(const Kernel& kernel) {
#if defined(__x86_64__)
  if (isa() == Isa::v4) return run_v4(kernel);
  if (isa() == Isa::v3) return run_v3(kernel);
#endif
  kernel.template operator()<4>();
}

}  // namespace embedseg
