// Operators of torch that stand on both devices, and that the stable headers do not name.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <array>
#include <tuple>

#include "common/tensor.h"

namespace embedseg::cuda {

// The distinct values, ascending, and for each element the place of its value.
inline std::tuple<Tensor, Tensor> unique(const Tensor& values) {
  namespace value = torch::stable::detail;
  std::array<StableIValue, 4> stack = {value::from(values), value::from(true), value::from(true), value::from(false)};
  TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::_unique2", "", stack.data(), TORCH_ABI_VERSION));
  value::to<Tensor>(stack[2]);  // the counts, not asked for
  return {value::to<Tensor>(stack[0]), value::to<Tensor>(stack[1])};
}

// Ascending.
inline Tensor sort(const Tensor& values) {
  namespace value = torch::stable::detail;
  std::array<StableIValue, 3> stack = {value::from(values), value::from(int64_t{0}), value::from(false)};
  TORCH_ERROR_CODE_CHECK(torch_call_dispatcher("aten::sort", "", stack.data(), TORCH_ABI_VERSION));
  value::to<Tensor>(stack[1]);  // where each value was
  return value::to<Tensor>(stack[0]);
}

}  // namespace embedseg::cuda
