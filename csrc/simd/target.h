// The instruction set that a kernel is compiled for.
//
// CMake compiles every *_kernel.cpp once for each instruction set, with EMBEDSEG_FOR_AVX512, with EMBEDSEG_FOR_AVX2,
// and with neither for the baseline. What stands between EMBEDSEG_KERNEL_BEGIN and EMBEDSEG_KERNEL_END uses the
// instruction set, and is in a namespace of its name. Everything else in such a file stays baseline, the standard
// library's headers above all: of an inline function the linker keeps one copy, and every processor must be able to run
// it.
#pragma once

#if defined(EMBEDSEG_FOR_AVX512)
#define EMBEDSEG_ISA avx512
#define EMBEDSEG_LANES 16
#define EMBEDSEG_TARGET "avx2,bmi,bmi2,fma,popcnt,avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
#elif defined(EMBEDSEG_FOR_AVX2)
#define EMBEDSEG_ISA avx2
#define EMBEDSEG_LANES 8
#define EMBEDSEG_TARGET "avx2,bmi,bmi2,fma,popcnt"
#else
#define EMBEDSEG_ISA plain
#define EMBEDSEG_LANES 4
#endif

#define EMBEDSEG_PRAGMA(...) EMBEDSEG_PRAGMA_OF(__VA_ARGS__)
#define EMBEDSEG_PRAGMA_OF(...) _Pragma(#__VA_ARGS__)

#if !defined(EMBEDSEG_TARGET)
#define EMBEDSEG_TARGET_PUSH
#define EMBEDSEG_TARGET_POP
#elif defined(__clang__)
#define EMBEDSEG_TARGET_PUSH \
  EMBEDSEG_PRAGMA(clang attribute push(__attribute__((target(EMBEDSEG_TARGET))), apply_to = function))
#define EMBEDSEG_TARGET_POP EMBEDSEG_PRAGMA(clang attribute pop)
#else
#define EMBEDSEG_TARGET_PUSH EMBEDSEG_PRAGMA(GCC push_options) EMBEDSEG_PRAGMA(GCC target(EMBEDSEG_TARGET))
#define EMBEDSEG_TARGET_POP EMBEDSEG_PRAGMA(GCC pop_options)
#endif

#define EMBEDSEG_KERNEL_BEGIN \
  EMBEDSEG_TARGET_PUSH        \
  namespace embedseg::cpu::EMBEDSEG_ISA {
#define EMBEDSEG_KERNEL_END \
  }                         \
  EMBEDSEG_TARGET_POP
