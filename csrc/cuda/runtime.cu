#include <cuda_runtime_api.h>

#include "cuda/stream.h"

namespace embedseg::cuda {

int runtime_version() {
  int version = 0;
  return cudaRuntimeGetVersion(&version) == cudaSuccess ? version : 0;
}

}  // namespace embedseg::cuda
