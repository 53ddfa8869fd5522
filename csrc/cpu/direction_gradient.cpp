// The gradient with respect to the embedding, from that with respect to its directions, which a pixel takes from its
// object's row of a table: ∂L/∂ê_p = g_k (+ w_p h_k), ∂L/∂e_p = (∂L/∂ê_p − (∂L/∂ê_p·ê_p) ê_p) / ‖e_p‖.
// One read and one write. docs/method.md, Embedding loss.
#include <torch/csrc/stable/library.h>

#include "common/checks.h"
#include "cpu/direction_gradient_kernel.h"

namespace embedseg::cpu {
namespace {

Tensor direction_gradient(const Tensor& embedding, const Tensor& labels, const Tensor& gradients,
                          const std::optional<Tensor>& weights, const std::optional<Tensor>& weighted_gradients) {
  check_gradients(embedding, labels, gradients, weights, weighted_gradients);
  Tensor output = torch::stable::empty_like(embedding);
  const EmbeddingView view = view_of(embedding), output_view = view_of(output);
  if (view.batch == 0 || view.pixels == 0) return output;
  prefer_huge_pages(output.data_ptr(), output.numel() * static_cast<int64_t>(output.element_size()));
  const LabelView label_view = view_of_labels(labels, gradients.sizes()[1]);
  const GradientTask task{view,
                          output_view,
                          label_view,
                          gradients.data_ptr(),
                          weights ? weights->data_ptr() : nullptr,
                          weighted_gradients ? weighted_gradients->data_ptr() : nullptr};
  const Segments segments(view);
  torch::stable::parallel_for(0, segments.count, 1, [&](int64_t first, int64_t last) {
    EMBEDSEG_BEST_ISA(write_gradient(task, segments, first, last));
  });
  return output;
}

}  // namespace
}  // namespace embedseg::cpu

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) {
  m.impl("direction_gradient", TORCH_BOX(&embedseg::cpu::direction_gradient));
}
