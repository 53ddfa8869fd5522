// Mean embedding: the direction of the sum of an object's directions. docs/method.md, Mean embedding.
#include <torch/csrc/stable/library.h>

#include <algorithm>

#include "common/checks.h"
#include "cpu/direction_sums.h"

namespace embedseg::cpu {
namespace {

template <class C>
void write_means(const DirectionSums& sums, C* means, int64_t* counts, C* lengths) {
  const std::vector<double> exact = sums.means();
  std::transform(exact.begin(), exact.end(), means, [](double value) { return static_cast<C>(value); });
  for (int64_t row = 0; row < sums.rows; ++row) {
    lengths[row] = static_cast<C>(sums.length(row));
    counts[row] = sums.count(row);
  }
}

// embedding: [B, D, *spatial]; labels: any integer dtype [B, *spatial], contiguous; lengths: ‖S_k‖
std::tuple<Tensor, Tensor, Tensor> mean_embedding(const Tensor& embedding, const Tensor& labels, int64_t num_objects) {
  check_labelled(embedding, labels);
  const EmbeddingView view = view_of(embedding);
  const DirectionSums sums = sum_directions(view, view_of_labels(labels, num_objects), nullptr);
  const ScalarType dtype = compute_dtype(embedding.scalar_type());
  Tensor means = empty({view.batch, num_objects, view.dim}, dtype, embedding);
  Tensor counts = empty({view.batch, num_objects}, ScalarType::Long, embedding);
  Tensor lengths = empty({view.batch, num_objects}, dtype, embedding);
  with_storage(dtype, [&]<class C>() {
    write_means(sums, data<Compute<C>>(means), data<int64_t>(counts), data<Compute<C>>(lengths));
  });
  return {means, counts, lengths};
}

// As mean_embedding, without the division: [B, K, D] in units, which add up over the parts of an image of so many
// pixels.
std::tuple<Tensor, Tensor> direction_sums(const Tensor& embedding, const Tensor& labels, int64_t num_objects,
                                          int64_t pixels) {
  check_labelled(embedding, labels);
  const EmbeddingView view = view_of(embedding);
  const DirectionSums sums = sum_directions(view, view_of_labels(labels, num_objects), nullptr, pixels);
  Tensor table = empty({view.batch, num_objects, view.dim}, ScalarType::Long, embedding);
  Tensor counts = empty({view.batch, num_objects}, ScalarType::Long, embedding);
  for (int64_t row = 0; row < sums.rows; ++row) {
    std::copy_n(&sums.table[row * sums.row_size], view.dim, data<int64_t>(table) + row * view.dim);
    data<int64_t>(counts)[row] = sums.count(row);
  }
  return {table, counts};
}

}  // namespace
}  // namespace embedseg::cpu

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) {
  m.impl("mean_embedding", TORCH_BOX(&embedseg::cpu::mean_embedding));
  m.impl("direction_sums", TORCH_BOX(&embedseg::cpu::direction_sums));
}
