// The operator build_info: what this library was built with. And the one name that it shows to linkers.
#include <torch/csrc/stable/library.h>

#include <optional>
#include <string>
#include <tuple>

#include "simd/dispatch.h"

#ifdef EMBEDSEG_CUDA_VERSION
#include "cuda/stream.h"
#endif

namespace embedseg {
namespace {

using BuildInfo = std::tuple<std::string, std::string, std::optional<std::string>, int64_t, bool>;

BuildInfo build_info() {
#ifdef EMBEDSEG_CUDA_VERSION
  return {EMBEDSEG_TORCH_VERSION, cpu::isa_name(), EMBEDSEG_CUDA_VERSION, cuda::runtime_version(), cuda::has_stream()};
#else
  return {EMBEDSEG_TORCH_VERSION, cpu::isa_name(), std::nullopt, 0, false};
#endif
}

}  // namespace
}  // namespace embedseg

// Without a tensor there is no device to choose by.
STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CompositeExplicitAutograd, m) {
  m.impl("build_info", TORCH_BOX(&embedseg::build_info));
}

#ifdef _WIN32
#define EMBEDSEG_EXPORT __declspec(dllexport)
#else
#define EMBEDSEG_EXPORT __attribute__((visibility("default")))
#endif

// C++ programs refer to it (include/embedseg_ops.h), so that they are linked to this library.
extern "C" EMBEDSEG_EXPORT void embedseg_ops_library() {}
