// The gradient with respect to the embedding, from that with respect to its directions, which a pixel takes from its
// object's row of a table: ∂L/∂ê_p = g_k (+ w_p h_k), ∂L/∂e_p = (∂L/∂ê_p − (∂L/∂ê_p·ê_p) ê_p) / ‖e_p‖.
// One read and one write. docs/method.md, Embedding loss.
#include <torch/csrc/stable/library.h>

#include "common/checks.h"
#include "cpu/direction_gradient_kernel.h"

namespace embedseg::cpu {
namespace {

// rows, weighted_rows: [B, K, C] of the type to compute in
Tensor gradient_from(const Tensor& embedding, const Tensor& labels, int64_t objects, const void* rows,
                     const std::optional<Tensor>& weights, const void* weighted_rows) {
  Tensor output = torch::stable::empty_like(embedding);
  const EmbeddingView view = view_of(embedding), output_view = view_of(output);
  if (view.batch == 0 || view.pixels == 0) return output;
  prefer_huge_pages(output.data_ptr(), output.numel() * static_cast<int64_t>(output.element_size()));
  const GradientTask task{
      view, output_view, view_of_labels(labels, objects), rows, weights ? weights->data_ptr() : nullptr, weighted_rows};
  const Segments segments(view);
  torch::stable::parallel_for(0, segments.count, 1, [&](int64_t first, int64_t last) {
    EMBEDSEG_BEST_ISA(write_gradient(task, segments, first, last));
  });
  return output;
}

Tensor direction_gradient(const Tensor& embedding, const Tensor& labels, const Tensor& gradients,
                          const std::optional<Tensor>& weights, const std::optional<Tensor>& weighted_gradients) {
  check_gradients(embedding, labels, gradients, weights, weighted_gradients);
  return gradient_from(embedding, labels, gradients.sizes()[1], gradients.data_ptr(), weights,
                       weights ? weighted_gradients->data_ptr() : nullptr);
}

// The tables weighed, [1 or 2, B, K, C]; each operation is rounded, as PyTorch does it.
template <class C>
std::vector<C> weigh_tables(const Tensor& tables, int64_t size, bool weighted, const LossSlopes& slopes) {
  const auto value = [](const std::optional<Tensor>& scalar) { return scalar ? *data<C>(*scalar) : C(0); };
  const C consistency = value(slopes.total) + value(slopes.consistency);
  const C discrimination = value(slopes.total) + value(slopes.discrimination);
  const C* const table = data<C>(tables);
  std::vector<C> rows(weighted ? 2 * size : size);
  for (int64_t i = 0; i < size; ++i) {
    rows[i] = consistency * table[i] + discrimination * table[size + i];
    if (weighted) rows[size + i] = consistency * table[2 * size + i];
  }
  return rows;
}

// tables: of embedding_loss; the scalars: the slope of what is to be differentiated in the loss and in its terms
Tensor loss_gradient(const Tensor& embedding, const Tensor& labels, const Tensor& tables,
                     const std::optional<Tensor>& weights, const std::optional<Tensor>& total,
                     const std::optional<Tensor>& consistency, const std::optional<Tensor>& discrimination) {
  const LossSlopes slopes = {total, consistency, discrimination};
  check_labelled(embedding, labels);
  check_loss_tables(tables, weights, slopes, embedding);
  const int64_t objects = tables.sizes()[2], size = embedding.sizes()[0] * objects * embedding.sizes()[1];
  Tensor gradient;
  with_storage(tables.scalar_type(), [&]<class T>() {
    const auto rows = weigh_tables<Compute<T>>(tables, size, weights.has_value(), slopes);
    gradient = gradient_from(embedding, labels, objects, rows.data(), weights, weights ? rows.data() + size : nullptr);
  });
  return gradient;
}

}  // namespace
}  // namespace embedseg::cpu

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) {
  m.impl("direction_gradient", TORCH_BOX(&embedseg::cpu::direction_gradient));
  m.impl("loss_gradient", TORCH_BOX(&embedseg::cpu::loss_gradient));
}
