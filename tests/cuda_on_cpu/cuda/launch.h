// Stands in for csrc/cuda/launch.h when the kernels are built for the CPU: the same words, on tensors of the CPU.
#pragma once

#include <torch/csrc/stable/library.h>

#include <stdexcept>

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
inline void require(bool holds, const char* what) {
  if (!holds) simulator::fail(what);
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
  Tensor empty_like(const Tensor& like, ScalarType dtype) const {
    return empty({like.sizes().begin(), like.sizes().end()}, dtype);
  }

  Tensor zeros(const std::vector<int64_t>& size, ScalarType dtype) const { return filled(size, dtype, 0); }

  Tensor upload(const std::vector<int32_t>& values) const {
    Tensor tensor = zeros({static_cast<int64_t>(values.size())}, ScalarType::Int);
    std::copy(values.begin(), values.end(), data<int32_t>(tensor));
    return tensor;
  }

  template <class... P>
  void launch(void (*kernel)(P...), const LaunchShape& shape, std::type_identity_t<P>... arguments) const {
    run(kernel, {shape.blocks, shape.threads, shape.dynamic_bytes, false}, arguments...);
  }
  template <class... P>
  void launch_together(void (*kernel)(P...), const LaunchShape& most, std::type_identity_t<P>... arguments) const {
    const int64_t blocks = std::min(most.blocks, simulator::blocks_together);
    run(kernel, {blocks, most.threads, most.dynamic_bytes, true}, arguments...);
  }

  template <class... P>
  int64_t let_have_shared_memory(void (*)(P...)) const {
    return 100 << 10;
  }

  template <class T>
  T read(const T* address) const {
    if (simulator::elsewhere.wait != nullptr) simulator::elsewhere.wait();
    return *address;
  }
  int processors() const { return static_cast<int>(simulator::processors); }

 private:
  template <class... P>
  static void run(void (*kernel)(P...), const simulator::Shape& shape, std::type_identity_t<P>... arguments) {
    if (simulator::elsewhere.run == nullptr) return simulator::run(shape, [&] { kernel(arguments...); });
    const void* const values[] = {&arguments...};
    const size_t sizes[] = {sizeof(arguments)...};
    const simulator::Launch launch = {reinterpret_cast<const void*>(kernel),
                                      shape.blocks,
                                      shape.threads,
                                      static_cast<int64_t>(shape.dynamic_bytes),
                                      shape.together,
                                      static_cast<int64_t>(sizeof...(P)),
                                      values,
                                      sizes};
    if (shape.blocks > 0 && simulator::elsewhere.run(&launch) != 0)
      throw std::runtime_error("a launch elsewhere failed");
  }

  Tensor filled(const std::vector<int64_t>& size, ScalarType dtype, int byte) const {
    Tensor tensor = embedseg::empty(size, dtype, like_);
    const size_t bytes = tensor.numel() * tensor.element_size();
    if (bytes > 0) std::memset(tensor.data_ptr(), byte, bytes);
    if (simulator::elsewhere.memory != nullptr)
      simulator::elsewhere.memory(tensor.data_ptr(), static_cast<int64_t>(bytes), byte == 0);
    return tensor;
  }

  const Tensor& like_;
};

}  // namespace embedseg::cuda
