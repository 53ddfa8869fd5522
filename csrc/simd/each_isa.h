// Compiles the file named by EMBEDSEG_KERNEL once for every instruction set, in a namespace of that name, with W, the
// number of lanes of a vector of float. The rest of the library stays baseline x86-64. The headers that a kernel needs
// must be included before, outside the namespace: what they define must not be compiled for one processor only.
#include "simd/dispatch.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4")
namespace embedseg::cpu::avx512 {
namespace {
constexpr int W = 16;
#include EMBEDSEG_KERNEL
}  // namespace
}  // namespace embedseg::cpu::avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
namespace embedseg::cpu::avx2 {
namespace {
constexpr int W = 8;
#include EMBEDSEG_KERNEL
}  // namespace
}  // namespace embedseg::cpu::avx2
#pragma GCC pop_options
#endif

namespace embedseg::cpu::plain {
namespace {
constexpr int W = 4;
#include EMBEDSEG_KERNEL
}  // namespace
}  // namespace embedseg::cpu::plain

#if !defined(__x86_64__)
namespace embedseg::cpu {
namespace avx512 = plain;
namespace avx2 = plain;
}  // namespace embedseg::cpu
#endif
