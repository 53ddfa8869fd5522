// Where a pixel lies, without dividing by what the compiler does not know: that takes dozens of instructions.
#pragma once

#include <bit>

#include "cuda/warp.h"

namespace embedseg::cuda {

// Divides numbers below 2³¹ by one that the host knows: m = ⌈2^(31 + s) / d⌉ with 2^s ≥ d makes n·m / 2^(31 + s) exceed
// n / d by less than 1 / d.
class Divisor {
 public:
  explicit Divisor(int64_t value)
      : value_(static_cast<uint32_t>(value)),
        shift_(31 + static_cast<int>(std::bit_width(static_cast<uint64_t>(value - 1)))),
        multiplier_(static_cast<uint32_t>(((uint64_t{1} << shift_) + value_ - 1) / value_)) {}

  __device__ uint32_t divide(uint32_t number) const {
    return static_cast<uint32_t>(uint64_t{number} * multiplier_ >> shift_);
  }
  __device__ uint32_t remainder(uint32_t number) const { return number - divide(number) * value_; }

 private:
  uint32_t value_;
  int shift_;
  uint32_t multiplier_;
};

// The blocks of a launch are shared out among the images of a batch: a thread stays in one image.
struct ImageBlocks {
  Divisor blocks_per_image;
  int64_t blocks, threads;

  // A thread for each item of an image, at most 2³¹ − 1.
  ImageBlocks(int64_t images, int64_t items, int threads_each)
      : blocks_per_image((items + threads_each - 1) / threads_each),
        blocks(images * ((items + threads_each - 1) / threads_each)),
        threads(threads_each) {}

  __device__ uint32_t image() const { return blocks_per_image.divide(blockIdx.x); }
  __device__ uint32_t item() const { return blocks_per_image.remainder(blockIdx.x) * blockDim.x + threadIdx.x; }
  LaunchShape shape() const { return {blocks, static_cast<int>(threads)}; }
};

}  // namespace embedseg::cuda
