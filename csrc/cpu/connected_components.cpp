// Connected components. SPEC, Postprocessing, step 1.
#include <torch/csrc/stable/library.h>

#include "tensor.h"

namespace embedseg {
namespace {

// mask: bool [B, *spatial], contiguous
Tensor connected_components(const Tensor& mask) { return empty_like(mask, ScalarType::Int); }

}  // namespace
}  // namespace embedseg

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) {
  m.impl("connected_components", TORCH_BOX(&embedseg::connected_components));
}
