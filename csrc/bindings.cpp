// The Python module _C: loading it registers the operators; it exports what no torch operator can express.
#include <pybind11/pybind11.h>

#include "cuda/stream.h"
#include "simd/dispatch.h"

namespace {

pybind11::dict build_info() {
  pybind11::dict info;
  info["torch"] = EMBEDSEG_TORCH_VERSION;
  info["simd"] = embedseg::cpu::isa_name();
#ifdef EMBEDSEG_WITH_CUDA
  info["cuda"] = EMBEDSEG_CUDA_VERSION;
  info["cuda_runtime"] = embedseg::cuda::runtime_version();
  info["cuda_stream"] = embedseg::cuda::has_stream();
#else
  info["cuda"] = pybind11::none();
  info["cuda_runtime"] = 0;
  info["cuda_stream"] = false;
#endif
  return info;
}

}  // namespace

PYBIND11_MODULE(_C, module) { module.def("build_info", &build_info); }
