// The gradient with respect to the embedding, from that with respect to its directions, which a pixel takes from its
// object's row of a table: ∂L/∂ê_p = g_k (+ w_p h_k), ∂L/∂e_p = (∂L/∂ê_p − (∂L/∂ê_p·ê_p) ê_p) / ‖e_p‖.
// One read and one write. docs/method.md, Embedding loss.
#include "common/checks.h"
#include "cuda/direction_gradient_kernel.h"
#include "cuda/direction_sums.h"
#include "cuda/exact.h"

namespace embedseg::cuda {

namespace {

constexpr int threads = 256;

// rows, weighted_rows: [B, K, C] of the type to compute in
Tensor gradient_from(const Device& device, const Tensor& embedding, const Tensor& labels, int64_t objects,
                     const void* rows, const std::optional<Tensor>& weights, const void* weighted_rows) {
  Tensor output = torch::stable::empty_like(embedding);
  const GradientTask task = {view_of(embedding),
                             view_of(output),
                             view_of_labels(labels, objects),
                             rows,
                             weights ? weights->data_ptr() : nullptr,
                             weighted_rows};
  if (task.view.batch == 0 || task.view.pixels == 0) return output;
  with_storage(task.view.dtype, [&]<class T>() { write_gradient_as<T>(device, task); });
  return output;
}

Tensor direction_gradient(const Tensor& embedding, const Tensor& labels, const Tensor& gradients,
                          const std::optional<Tensor>& weights, const std::optional<Tensor>& weighted_gradients) {
  check_gradients(embedding, labels, gradients, weights, weighted_gradients);
  return gradient_from(Device(embedding), embedding, labels, gradients.sizes()[1], gradients.data_ptr(), weights,
                       weights ? weighted_gradients->data_ptr() : nullptr);
}

template <class C>
struct Slopes {
  const C *total, *consistency, *discrimination;  // nullptr: 0
};

template <class C>
__device__ C value_of(const C* slope) {
  return slope == nullptr ? C(0) : *slope;
}

// tables: [2, B, K, C], or 3 with weights, for weighted rows
template <class C>
__global__ void weigh_tables(const Slopes<C> slopes, const C* tables, int64_t size, bool weighted, C* rows) {
  const C total = value_of(slopes.total);
  const C consistency = plus(total, value_of(slopes.consistency));
  const C discrimination = plus(total, value_of(slopes.discrimination));
  for (int64_t i = grid_thread(); i < size; i += grid_threads()) {
    rows[i] = plus(multiply(consistency, tables[i]), multiply(discrimination, tables[size + i]));
    if (weighted) rows[size + i] = multiply(consistency, tables[2 * size + i]);
  }
}

// tables: of embedding_loss; the scalars: the slope of what is to be differentiated in the loss and in its terms
Tensor loss_gradient(const Tensor& embedding, const Tensor& labels, const Tensor& tables,
                     const std::optional<Tensor>& weights, const std::optional<Tensor>& total,
                     const std::optional<Tensor>& consistency, const std::optional<Tensor>& discrimination) {
  check_labelled(embedding, labels);
  check_loss_tables(tables, weights, {total, consistency, discrimination}, embedding);
  const Device device(embedding);
  const int64_t objects = tables.sizes()[2], size = embedding.sizes()[0] * objects * embedding.sizes()[1];
  const Tensor rows = device.empty({weights ? 2 : 1, size}, tables.scalar_type());
  with_compute(tables.scalar_type(), [&]<class C>(C*) {
    const auto slope = [](const std::optional<Tensor>& scalar) { return scalar ? data<const C>(*scalar) : nullptr; };
    device.launch(weigh_tables<C>, {blocks_for(size, threads), threads},
                  Slopes<C>{slope(total), slope(consistency), slope(discrimination)}, data<C>(tables), size,
                  weights.has_value(), data<C>(rows));
  });
  const void* const weighted_rows =
      weights ? static_cast<const char*>(rows.data_ptr()) + size * rows.element_size() : nullptr;
  return gradient_from(device, embedding, labels, objects, rows.data_ptr(), weights, weighted_rows);
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(direction_gradient)
EMBEDSEG_CUDA_OPERATOR(loss_gradient)
