// Stands in for csrc/cuda/launch.h when the kernels are built for the CPU: the same words, on tensors of the CPU.
#pragma once

#include <torch/csrc/stable/library.h>

#include "common/tensor.h"
#include "simulator.h"

#define EMBEDSEG_CUDA_OPERATOR(name) \
  STABLE_TORCH_LIBRARY_IMPL(embedseg_ops_cuda_on_cpu, CPU, m) { m.impl(#name, TORCH_BOX(&embedseg::cuda::name)); }

namespace embedseg::cuda {

constexpr int warp_size = 32;

template <class T>
T& shared_object() {
  return *static_cast<T*>(simulator::shared_object(sizeof(T)));
}
template <class T>
T* dynamic_shared() {
  return static_cast<T*>(simulator::dynamic_shared());
}
inline void grid_barrier() { simulator::wait_for_grid(); }

struct LaunchShape {
  int64_t blocks;
  int threads;
  size_t dynamic_bytes = 0;
};

class Device {
 public:
  explicit Device(const Tensor& on_it) : like_(on_it) {}

  Tensor empty(const std::vector<int64_t>& size, ScalarType dtype) const { return filled(size, dtype, 0x5a); }
  Tensor zeros(const std::vector<int64_t>& size, ScalarType dtype) const { return filled(size, dtype, 0); }

  Tensor upload(const std::vector<int32_t>& values) const {
    Tensor tensor = empty({static_cast<int64_t>(values.size())}, ScalarType::Int);
    std::copy(values.begin(), values.end(), data<int32_t>(tensor));
    return tensor;
  }

  template <class... P>
  void launch(void (*kernel)(P...), const LaunchShape& shape, std::type_identity_t<P>... arguments) const {
    simulator::run({shape.blocks, shape.threads, shape.dynamic_bytes}, [&] { kernel(arguments...); });
  }
  template <class... P>
  void launch_together(void (*kernel)(P...), const LaunchShape& most, std::type_identity_t<P>... arguments) const {
    const int64_t blocks = std::min<int64_t>(most.blocks, 3);
    simulator::run({blocks, most.threads, most.dynamic_bytes, true}, [&] { kernel(arguments...); });
  }

  template <class T>
  T read(const T* address) const {
    return *address;
  }
  int processors() const { return 2; }

 private:
  Tensor filled(const std::vector<int64_t>& size, ScalarType dtype, int byte) const {
    Tensor tensor = embedseg::empty(size, dtype, like_);
    const size_t bytes = tensor.numel() * tensor.element_size();
    if (bytes > 0) std::memset(tensor.data_ptr(), byte, bytes);
    return tensor;
  }

  const Tensor& like_;
};

}  // namespace embedseg::cuda
