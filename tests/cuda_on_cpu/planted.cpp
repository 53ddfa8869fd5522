// usage: planted MISTAKE SEED: sums up numbers by a tree in shared memory, with a mistake of one's choice: none,
// barrier (one is missing), divergence (half of the threads skip one), shared (a write beyond the block's shared
// memory), global (a write beyond the result). Prints "right" or "wrong", or what the simulator says.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include "simulator.h"

namespace {

constexpr int threads = 256, blocks = 5;

struct Partial {
  int sums[threads];
};

__global__ void sum_up(const int* numbers, int* results, const std::string& mistake) {
  int* const sums = static_cast<Partial*>(simulator::shared_object(sizeof(Partial)))->sums;
  const unsigned thread = threadIdx.x;
  sums[thread] = numbers[blockIdx.x * blockDim.x + thread];
  if (mistake == "shared" && thread == 17) sums[threads] = 0;
  for (unsigned half = threads / 2; half > 0; half /= 2) {
    const bool skipped = (mistake == "barrier" && half == 32) || (mistake == "divergence" && half == 32 && thread < 64);
    if (!skipped) __syncthreads();
    if (thread < half) sums[thread] += sums[thread + half];
  }
  if (thread == 0) results[blockIdx.x + (mistake == "global" ? 1 : 0)] = sums[0];
}

}  // namespace

int main(int count, char** arguments) {
  const std::string mistake = count > 1 ? arguments[1] : "none";
  simulator::set_seed(count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 0);
  const auto numbers = std::make_unique<int[]>(threads * blocks);
  const auto results = std::make_unique<int[]>(blocks);
  for (int i = 0; i < threads * blocks; ++i) numbers[i] = i;
  try {
    simulator::run({blocks, threads}, [&] { sum_up(numbers.get(), results.get(), mistake); });
  } catch (const std::runtime_error& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
  bool right = true;
  for (int block = 0; block < blocks; ++block) {
    int expected = 0;
    for (int i = block * threads; i < (block + 1) * threads; ++i) expected += i;
    right = right && results[block] == expected;
  }
  std::printf(right ? "right\n" : "wrong\n");
  return 0;
}
