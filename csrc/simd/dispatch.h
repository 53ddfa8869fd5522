// Which of the instruction sets that kernels are compiled for serves this processor.
#pragma once

namespace embedseg::cpu {

enum class Isa { plain, avx2, avx512 };  // the baseline; on x86-64 also what x86-64-v3 and x86-64-v4 have

// The widest that this processor has; the environment variable EMBEDSEG_SIMD can narrow it.
Isa isa();
const char* isa_name();

}  // namespace embedseg::cpu

// Declares a kernel's function for every instruction set; and calls it for the one in use.
#if defined(__x86_64__)
#define EMBEDSEG_EACH_ISA(...) \
  namespace avx512 {           \
  __VA_ARGS__                  \
  }                            \
  namespace avx2 {             \
  __VA_ARGS__                  \
  }                            \
  namespace plain {            \
  __VA_ARGS__                  \
  }
#define EMBEDSEG_BEST_ISA(...)                                                  \
  (::embedseg::cpu::isa() == ::embedseg::cpu::Isa::avx512 ? avx512::__VA_ARGS__ \
   : ::embedseg::cpu::isa() == ::embedseg::cpu::Isa::avx2 ? avx2::__VA_ARGS__   \
                                                          : plain::__VA_ARGS__)
#else
#define EMBEDSEG_EACH_ISA(...) \
  namespace plain {            \
  __VA_ARGS__                  \
  }
#define EMBEDSEG_BEST_ISA(...) plain::__VA_ARGS__
#endif
