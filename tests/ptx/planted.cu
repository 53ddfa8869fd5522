// Sums up numbers by a tree in shared memory, with a mistake of one's choice: does the machine find it?
#include <cstdint>

enum Mistake { none, barrier, divergence, outside, misaligned, unwritten, lanes };

extern "C" __global__ void sum_up(const int* numbers, int* results, int mistake) {
  __shared__ int sums[256];
  const unsigned thread = threadIdx.x;
  if (mistake == misaligned) numbers = reinterpret_cast<const int*>(reinterpret_cast<uintptr_t>(numbers) + 2);
  if (mistake != unwritten || thread != 17) sums[thread] = numbers[blockIdx.x * blockDim.x + thread];
  for (unsigned half = blockDim.x / 2; half > 16; half /= 2) {
    if (mistake != barrier && (mistake != divergence || half != 32 || thread >= 64)) __syncthreads();
    if (thread < half) sums[thread] += sums[thread + half];
  }
  __syncthreads();
  if (thread >= 32 || (mistake == lanes && thread == 5)) return;
  int sum = thread < 32 ? sums[thread] : 0;
  for (int bits = 16; bits > 0; bits /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, bits);
  if (thread == 0) results[blockIdx.x + (mistake == outside ? 1 : 0)] = sum;
}
