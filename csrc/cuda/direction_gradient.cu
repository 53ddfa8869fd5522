// The gradient with respect to the embedding, from that with respect to its directions, which a pixel takes from its
// object's row of a table: ∂L/∂ê_p = g_k (+ w_p h_k), ∂L/∂e_p = (∂L/∂ê_p − (∂L/∂ê_p·ê_p) ê_p) / ‖e_p‖.
// One read and one write. docs/method.md, Embedding loss.
#include "common/checks.h"
#include "cuda/direction_gradient_kernel.h"

namespace embedseg::cuda {

namespace {

Tensor direction_gradient(const Tensor& embedding, const Tensor& labels, const Tensor& gradients,
                          const std::optional<Tensor>& weights, const std::optional<Tensor>& weighted_gradients) {
  check_gradients(embedding, labels, gradients, weights, weighted_gradients);
  Tensor output = torch::stable::empty_like(embedding);
  const Device device(embedding);
  const GradientTask task = {view_of(embedding),
                             view_of(output),
                             view_of_labels(labels, gradients.sizes()[1]),
                             gradients.data_ptr(),
                             weights ? weights->data_ptr() : nullptr,
                             weighted_gradients ? weighted_gradients->data_ptr() : nullptr};
  if (task.view.batch == 0 || task.view.pixels == 0) return output;
  with_storage(task.view.dtype, [&]<class T>() { write_gradient_as<T>(device, task); });
  return output;
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(direction_gradient)
