// Numbers the marked places of each of a batch of lines 1, 2, … in order: marks are counted chunk by chunk, the counts
// summed up, and the chunks gone through again.
#pragma once

#include "cuda/warp.h"

namespace embedseg::cuda {

namespace numbering {

constexpr int threads = 256;
constexpr int rounds = 16;
constexpr int64_t chunk = threads * rounds;

struct WarpCounts {
  int32_t marks[threads / warp_size];
};

// How many marks the block's threads before this one have; and all of them.
struct Marks {
  int before, all;
};

__device__ inline Marks count_marks(unsigned own) {
  int32_t* const warps = shared_object<WarpCounts>().marks;
  const int warp = static_cast<int>(threadIdx.x) / warp_size, count = __popc(own);
  int sum = count;  // up to this lane
  for (int distance = 1; distance < warp_size; distance *= 2) {
    const int other = __shfl_up_sync(whole_warp, sum, distance);
    if (lane_index() >= distance) sum += other;
  }
  __syncthreads();  // those of the call before have been read
  if (lane_index() == warp_size - 1) warps[warp] = sum;
  __syncthreads();
  Marks marks = {sum - count, 0};
  for (int i = 0; i < threads / warp_size; ++i) {
    marks.before += i < warp ? warps[i] : 0;
    marks.all += warps[i];
  }
  return marks;
}

// Lines: `size` places each, of up to 32 marks: marks(line, place) are bits, number(line, place, bit, id) takes one's
// number.
template <class Lines>
__global__ void count_chunks(const Lines lines, int64_t chunks, int32_t* counts) {
  const int64_t line = blockIdx.x / chunks, begin = blockIdx.x % chunks * chunk;
  int32_t marks = 0;
  for (int64_t place = begin + threadIdx.x; place < std::min(begin + chunk, lines.size); place += threads) {
    marks += __popc(lines.marks(line, place));
  }
  marks = warp_sum(marks);
  int32_t* const warps = shared_object<WarpCounts>().marks;
  if (lane_index() == 0) warps[threadIdx.x / warp_size] = marks;
  __syncthreads();
  if (threadIdx.x > 0) return;
  int32_t sum = 0;
  for (int i = 0; i < threads / warp_size; ++i) sum += warps[i];
  counts[blockIdx.x] = sum;
}

// In place, from how many marks a chunk has to how many the chunks before it have. A block for each line.
static __global__ void sum_up_counts(int64_t chunks, int32_t* all_counts) {
  int32_t* const counts = all_counts + blockIdx.x * chunks;
  int32_t* const warps = shared_object<WarpCounts>().marks;
  const int warp = static_cast<int>(threadIdx.x) / warp_size;
  int32_t before = 0;
  for (int64_t begin = 0; begin < chunks; begin += threads) {
    const int64_t i = begin + threadIdx.x;
    const int32_t own = i < chunks ? counts[i] : 0;
    int32_t sum = own;  // up to this lane
    for (int distance = 1; distance < warp_size; distance *= 2) {
      const int32_t other = __shfl_up_sync(whole_warp, sum, distance);
      if (lane_index() >= distance) sum += other;
    }
    __syncthreads();
    if (lane_index() == warp_size - 1) warps[warp] = sum;
    __syncthreads();
    int32_t all = 0;
    for (int w = 0; w < threads / warp_size; ++w) {
      sum += w < warp ? warps[w] : 0;
      all += warps[w];
    }
    if (i < chunks) counts[i] = before + sum - own;
    before += all;
  }
}

template <class Lines>
__global__ void number_chunks(const Lines lines, int64_t chunks, const int32_t* counts) {
  const int64_t line = blockIdx.x / chunks, begin = blockIdx.x % chunks * chunk;
  int32_t before = counts[blockIdx.x];
  for (int64_t first = begin; first < std::min(begin + chunk, lines.size); first += threads) {
    const int64_t place = first + threadIdx.x;
    const unsigned own = place < lines.size ? lines.marks(line, place) : 0;
    const Marks marks = count_marks(own);
    int32_t id = before + marks.before;
    for (unsigned left = own; left != 0; left &= left - 1) {
      lines.number(line, place, __ffs(static_cast<int>(left)) - 1, ++id);
    }
    before += marks.all;
  }
}

}  // namespace numbering

template <class Lines>
void number_marks(const Device& device, int64_t line_count, const Lines& lines) {
  using namespace numbering;
  const int64_t chunks = (lines.size + chunk - 1) / chunk;
  const Tensor counts = device.empty({line_count * chunks}, ScalarType::Int);
  const LaunchShape shape = {line_count * chunks, threads};
  device.launch(count_chunks<Lines>, shape, lines, chunks, data<int32_t>(counts));
  device.launch(sum_up_counts, {line_count, threads}, chunks, data<int32_t>(counts));
  device.launch(number_chunks<Lines>, shape, lines, chunks, data<int32_t>(counts));
}

}  // namespace embedseg::cuda
