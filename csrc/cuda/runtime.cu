#include <cuda_runtime_api.h>

#include "cuda/stream.h"

namespace embedseg {

int cuda_runtime_version() {
  int version = 0;
  return cudaRuntimeGetVersion(&version) == cudaSuccess ? version : 0;
}

}  // namespace embedseg
