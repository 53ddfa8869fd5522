// What every kernel needs of its surroundings: the device and the stream at hand, memory, a launch that is checked.
// Kernels meet CUDA's host side here alone, and no <<<>>> stands anywhere else: tests/cuda_on_cpu has a header that
// takes this one's place, and runs them on the CPU.
#pragma once

#include <cooperative_groups.h>
#include <cuda_runtime.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <type_traits>

#include "common/tensor.h"
#include "cuda/stream.h"

// At the foot of the file that owns the operator.
#define EMBEDSEG_CUDA_OPERATOR(name) \
  STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CUDA, m) { m.impl(#name, TORCH_BOX(&embedseg::cuda::name)); }

namespace embedseg::cuda {

constexpr int warp_size = 32;

// The block's memory of a fixed size: one object, the same wherever a kernel asks for it.
template <class T>
__device__ T& shared_object() {
  __shared__ __align__(16) unsigned char bytes[sizeof(T)];
  return *reinterpret_cast<T*>(bytes);
}

// The block's memory of the size that the launch gives.
template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char dynamic_bytes[];
  return reinterpret_cast<T*>(dynamic_bytes);
}

// Ends the work of the device, and of the process with it, unless this holds.
__device__ inline void require(bool holds, const char* what) {
  if (!holds) __assert_fail(what, "embedseg_ops", 0, "");
}

// Waits for all threads of all blocks; only in a kernel that launch_together started.
__device__ inline void grid_barrier() { cooperative_groups::this_grid().sync(); }

struct LaunchShape {
  int64_t blocks;
  int threads;
  size_t dynamic_bytes = 0;
};

// The device of a tensor, made the current one; its current stream takes the work.
class Device {
 public:
  explicit Device(const Tensor& on_it) : like_(on_it), index_(on_it.get_device_index()), guard_(index_) {
    STD_TORCH_CHECK(has_stream(), "embedseg_ops: this torch is a CPU build");
    void* stream = nullptr;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(index_, &stream));
    stream_ = static_cast<cudaStream_t>(stream);
    check(cudaSetDevice(index_));  // the runtime linked in is not torch's; the guard sets back what both share
  }

  Tensor empty(const std::vector<int64_t>& size, ScalarType dtype) const { return embedseg::empty(size, dtype, like_); }

  Tensor empty_like(const Tensor& like, ScalarType dtype) const {
    return empty({like.sizes().begin(), like.sizes().end()}, dtype);
  }

  Tensor zeros(const std::vector<int64_t>& size, ScalarType dtype) const {
    Tensor tensor = empty(size, dtype);
    const size_t bytes = tensor.numel() * tensor.element_size();
    if (bytes > 0) check(cudaMemsetAsync(tensor.data_ptr(), 0, bytes, stream_));
    return tensor;
  }

  Tensor upload(const std::vector<int32_t>& values) const {
    Tensor tensor = empty({static_cast<int64_t>(values.size())}, ScalarType::Int);
    const size_t bytes = values.size() * sizeof(int32_t);
    if (bytes > 0) check(cudaMemcpyAsync(tensor.data_ptr(), values.data(), bytes, cudaMemcpyHostToDevice, stream_));
    return tensor;
  }

  template <class... P>
  void launch(void (*kernel)(P...), const LaunchShape& shape, std::type_identity_t<P>... arguments) const {
    if (shape.blocks == 0) return;
    kernel<<<static_cast<unsigned>(shape.blocks), shape.threads, shape.dynamic_bytes, stream_>>>(arguments...);
    check(cudaGetLastError());
  }

  // As many blocks as run at the same time, at most those of the shape: for kernels with a grid barrier.
  template <class... P>
  void launch_together(void (*kernel)(P...), const LaunchShape& most, std::type_identity_t<P>... arguments) const {
    int resident = 0;
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, kernel, most.threads, most.dynamic_bytes));
    STD_TORCH_CHECK(resident > 0, "embedseg_ops, CUDA: no block of a kernel with a grid barrier fits a processor");
    const int64_t blocks = std::min<int64_t>(most.blocks, int64_t{resident} * processors());
    if (blocks == 0) return;
    void* pointers[] = {&arguments...};
    check(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(kernel), dim3(static_cast<unsigned>(blocks)),
                                      dim3(most.threads), pointers, most.dynamic_bytes, stream_));
  }

  // Lets a kernel's blocks have, beyond their memory of a fixed size, all the shared memory that the device gives on
  // request; returns how many bytes.
  template <class... P>
  int64_t let_have_shared_memory(void (*kernel)(P...)) const {
    int most = 0;
    cudaFuncAttributes fixed;
    check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, index_));
    check(cudaFuncGetAttributes(&fixed, kernel));
    most -= static_cast<int>(fixed.sharedSizeBytes);
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most));
    return most;
  }

  // Waits for the stream.
  template <class T>
  T read(const T* address) const {
    T value;
    check(cudaMemcpyAsync(&value, address, sizeof value, cudaMemcpyDeviceToHost, stream_));
    check(cudaStreamSynchronize(stream_));
    return value;
  }

  int processors() const {
    int count = 0;
    check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, index_));
    return count;
  }

 private:
  static void check(cudaError_t error) {
    STD_TORCH_CHECK(error == cudaSuccess, "embedseg_ops, CUDA: ", cudaGetErrorString(error));
  }

  const Tensor& like_;
  int32_t index_;
  torch::stable::accelerator::DeviceGuard guard_;
  cudaStream_t stream_ = nullptr;
};

}  // namespace embedseg::cuda
