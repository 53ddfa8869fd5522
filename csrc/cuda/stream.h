// What a binary that loads with and without CUDA asks of torch and of the CUDA runtime.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>

#include <cstdint>

// Weak: bound on a CUDA build of torch, null on a CPU build, so that one binary loads on both.
extern "C" __attribute__((weak)) AOTITorchError aoti_torch_get_current_cuda_stream(int32_t device_index, void** stream);

namespace embedseg::cuda {

// The version of the CUDA runtime linked in, as 1000 · major + 10 · minor; 0 if it does not answer.
int runtime_version();

inline bool has_stream() { return aoti_torch_get_current_cuda_stream != nullptr; }

}  // namespace embedseg::cuda
