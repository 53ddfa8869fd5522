// Views of stable tensors, as the kernels want them.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "common/memory.h"

namespace embedseg {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// The axes of a batch of images, [B, H, W] or [B, D, H, W]; an image is a volume of depth 1.
struct Grid {
  int64_t batch, depth, height, width;
  constexpr int64_t pixels() const { return depth * height * width; }  // constexpr: for device code too
};

inline Grid grid_of(const Tensor& labels) {
  const auto size = labels.sizes();
  if (size.size() == 3) return {size[0], 1, size[1], size[2]};
  return {size[0], size[1], size[2], size[3]};
}

// Spacing in the order depth, height, width: a 2D spacing gets a depth of 1, none at all is 1 everywhere.
inline std::array<double, 3> spacing_3d(const std::vector<double>& spacing) {
  if (spacing.size() == 3) return {spacing[0], spacing[1], spacing[2]};
  if (spacing.size() == 2) return {1.0, spacing[0], spacing[1]};
  return {1.0, 1.0, 1.0};
}

// torch::stable::empty has the dispatcher look the operator up by its name, every time: a microsecond, where a small
// image's components take one as well.
inline Tensor empty(const std::vector<int64_t>& size, ScalarType dtype, const Tensor& like) {
  std::vector<int64_t> strides(size.size(), 1);
  for (size_t axis = size.size(); axis > 1; --axis)
    strides[axis - 2] = strides[axis - 1] * std::max<int64_t>(size[axis - 1], 1);
  int32_t device = 0;
  TORCH_ERROR_CODE_CHECK(aoti_torch_get_device_type(like.get(), &device));
  const int32_t type = torch::stable::detail::to<int32_t>(torch::stable::detail::from(dtype));
  AtenTensorHandle handle = nullptr;
  TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(static_cast<int64_t>(size.size()), size.data(), strides.data(), type,
                                                  device, like.get_device_index(), &handle));
  const Tensor tensor(handle);
  if (tensor.is_cpu())
    prefer_huge_pages(tensor.data_ptr(), tensor.numel() * static_cast<int64_t>(tensor.element_size()));
  return tensor;
}

inline Tensor empty_like(const Tensor& like, ScalarType dtype) {
  return empty(std::vector<int64_t>(like.sizes().begin(), like.sizes().end()), dtype, like);
}

template <class T>
T* data(const Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}

}  // namespace embedseg
