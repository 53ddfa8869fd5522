// What direction_gradient hands to its kernels.
#pragma once

#include "common/embedding.h"
#include "common/labels.h"
#include "cuda/launch.h"

namespace embedseg::cuda {

struct GradientTask {
  EmbeddingView view, output;
  LabelView labels;
  const void* rows;           // g, [B, K, D] of the type to compute in
  const void* weights;        // [B, *spatial] or nullptr
  const void* weighted_rows;  // h, [B, K, D] or nullptr
};

// In direction_gradient_kernel.cu, which is compiled once for each storage type: nvcc takes its time.
template <class T>
void write_gradient_as(const Device& device, const GradientTask& task);

}  // namespace embedseg::cuda
