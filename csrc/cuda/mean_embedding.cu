// Mean embedding: the direction of the sum of an object's directions. docs/method.md, Mean embedding.
#include "common/checks.h"
#include "cuda/direction_sums.h"
#include "cuda/warp.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;

// A warp for each row.
template <class C>
__global__ void write_means(const SumView sums, C* means, int64_t* counts, C* lengths) {
  if (grid_thread() == 0) sums.require_range();
  for (int64_t row = grid_thread() / warp_size; row < sums.rows; row += grid_threads() / warp_size) {
    const double length = find_direction(
        sums, row, [&](int64_t d, double direction) { means[row * sums.dim + d] = static_cast<C>(direction); });
    if (lane_index() == 0) counts[row] = sums.count(row), lengths[row] = static_cast<C>(length);
  }
}

// embedding: [B, D, *spatial]; labels: any integer dtype [B, *spatial], contiguous; lengths: ‖S_k‖
std::tuple<Tensor, Tensor, Tensor> mean_embedding(const Tensor& embedding, const Tensor& labels, int64_t num_objects) {
  check_labelled(embedding, labels);
  const Device device(embedding);
  const EmbeddingView view = view_of(embedding);
  const ScalarType dtype = compute_dtype(embedding.scalar_type());
  const DirectionSums sums = sum_directions(device, view, view_of_labels(labels, num_objects), nullptr);
  Tensor means = device.empty({view.batch, num_objects, view.dim}, dtype);
  Tensor counts = device.empty({view.batch, num_objects}, ScalarType::Long);
  Tensor lengths = device.empty({view.batch, num_objects}, dtype);
  with_compute(dtype, [&]<class C>(C*) {
    device.launch(write_means<C>, {std::max<int64_t>(blocks_for(sums.view.rows * warp_size, threads), 1), threads},
                  sums.view, data<C>(means), data<int64_t>(counts), data<C>(lengths));
  });
  return {means, counts, lengths};
}

__global__ void write_sums(const SumView view, int64_t* sums, int64_t* counts) {
  if (grid_thread() == 0) view.require_range();
  for (int64_t i = grid_thread(); i < view.rows * view.row_size; i += grid_threads()) {
    const int64_t row = i / view.row_size, d = i % view.row_size;
    if (d < view.dim) sums[row * view.dim + d] = view.table[i];
    if (d == view.dim) counts[row] = view.table[i];
  }
}

// As mean_embedding, without the division: [B, K, D] in units, which add up over the parts of an image of so many
// pixels.
std::tuple<Tensor, Tensor> direction_sums(const Tensor& embedding, const Tensor& labels, int64_t num_objects,
                                          int64_t pixels) {
  check_labelled(embedding, labels);
  const Device device(embedding);
  const EmbeddingView view = view_of(embedding);
  const DirectionSums sums = sum_directions(device, view, view_of_labels(labels, num_objects), nullptr, pixels);
  const Tensor table = device.empty({view.batch, num_objects, view.dim}, ScalarType::Long);
  const Tensor counts = device.empty({view.batch, num_objects}, ScalarType::Long);
  device.launch(write_sums, {blocks_for(sums.view.rows * warp_size, threads), threads}, sums.view, data<int64_t>(table),
                data<int64_t>(counts));
  return {table, counts};
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(mean_embedding)
EMBEDSEG_CUDA_OPERATOR(direction_sums)
