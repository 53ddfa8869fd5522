// Products and sums that are rounded each, nothing fused: as on the CPU, and as PyTorch has them.
#pragma once

#include "cuda/launch.h"

namespace embedseg::cuda {

__device__ inline float multiply(float a, float b) { return __fmul_rn(a, b); }
__device__ inline double multiply(double a, double b) { return __dmul_rn(a, b); }
__device__ inline float plus(float a, float b) { return __fadd_rn(a, b); }
__device__ inline double plus(double a, double b) { return __dadd_rn(a, b); }

}  // namespace embedseg::cuda
