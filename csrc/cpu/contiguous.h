// Tensors that a pointer and an index go through.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

namespace embedseg::cpu {

// Torch's own function goes through its dispatcher, which takes as long as the work on a small image.
inline torch::stable::Tensor as_contiguous(const torch::stable::Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

}  // namespace embedseg::cpu
