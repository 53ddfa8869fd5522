// What sum_directions hands to its kernels.
#pragma once

#include "cuda/direction_sums.h"

namespace embedseg::cuda {

struct SumTask {
  EmbeddingView view;
  LabelView labels;
  const void* weights;  // [batch, pixels] of the type to compute in, or nullptr
  SumView sums;
  int64_t blocks_per_image;
  bool table_in_shared;
};

// In direction_sums_kernel.cu, which is compiled once for each storage type: nvcc takes its time.
template <class T>
void sum_directions_as(const Device& device, const SumTask& task);

}  // namespace embedseg::cuda
