// The embedding loss and the tables that its backward needs, from the sums over the objects: work of the size of K × D
// and of the pairs, in double. docs/method.md, Embedding loss. What many threads add up is fixed point, in any order
// the same.
#include <torch/csrc/stable/library.h>

#include "common/checks.h"
#include "cuda/direction_sums.h"
#include "cuda/warp.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;
constexpr double pair_unit = 0x1p-60;  // no sum over pairs, of their loss or of a slope, exceeds 2

struct ImageTotals {
  long long pixels, occurring, background;
};

struct LossTask {
  SumView sums;
  const double* means;    // [rows, dim]
  const double* lengths;  // [rows]
  int64_t batch;
  bool balanced;
  const int64_t* pairs;  // [pair_count, 3]
  int64_t pair_count;
  ImageTotals* totals;        // [batch]
  long long* neighbors;       // [rows]
  long long* slopes;          // [rows, dim], ∂L_dis/∂u in units of pair_unit
  long long* discrimination;  // in units of pair_unit
  double* consistency;        // [batch]

  __device__ int64_t row(int64_t image, int64_t object) const { return image * sums.objects + object; }
  __device__ bool occurs(int64_t image, int64_t k) const {
    return image >= 0 && image < batch && k >= 0 && k < sums.objects && sums.count(row(image, k)) > 0;
  }
  __device__ double class_weight(int64_t image, int64_t k) const {
    const ImageTotals& all = totals[image];
    if (!balanced || all.background == 0 || all.background == all.pixels) return 1;
    const long long own = k == 0 ? all.background : all.pixels - all.background;
    return 0.5 * static_cast<double>(all.pixels) / static_cast<double>(own);
  }
  __device__ double mean(int64_t row, int64_t d) const { return means[row * sums.dim + d]; }
  // A dot product by a warp, given to all lanes.
  template <class Term>
  __device__ double sum_over_channels(const Term& term) const {
    double sum = 0;
    for (int64_t d = lane_index(); d < sums.dim; d += warp_size) sum += term(d);
    return warp_sum(sum);
  }
};

__device__ int64_t first_warp() { return grid_thread() / warp_size; }
__device__ int64_t warps() { return grid_threads() / warp_size; }

// The sum over a block's threads, in a fixed order, given to thread 0.
template <class T>
__device__ T block_sum(T value) {
  T* const partial = dynamic_shared<T>();
  value = warp_sum(value);
  __syncthreads();
  if (lane_index() == 0) partial[threadIdx.x / warp_size] = value;
  __syncthreads();
  T sum = 0;
  for (int i = 0; threadIdx.x == 0 && i < static_cast<int>(blockDim.x) / warp_size; ++i) sum += partial[i];
  return sum;
}

// A block for each image.
__global__ void total_images(const LossTask task) {
  const int64_t image = blockIdx.x, objects = task.sums.objects;
  long long pixels = 0, occurring = 0;
  for (int64_t k = threadIdx.x; k < objects; k += blockDim.x) {
    const long long count = task.sums.count(task.row(image, k));
    pixels += count;
    occurring += count > 0;
  }
  pixels = block_sum(pixels);
  occurring = block_sum(occurring);
  if (threadIdx.x > 0) return;
  const long long background = objects > 0 ? task.sums.count(task.row(image, 0)) : 0;
  task.totals[image] = {pixels, occurring, background};
}

// Σ_{p∈k} w_p D(e_p, u_k) for every object, a warp each, left in `gaps`.
__global__ void measure_gaps(const LossTask task, double* gaps) {
  for (int64_t row = first_warp(); row < task.sums.rows; row += warps()) {
    double gap = static_cast<double>(task.sums.count(row)) - task.lengths[row];
    if (task.sums.weighted) {
      const double along =
          task.sum_over_channels([&](int64_t d) { return task.sums.weighted_sum(row, d) * task.mean(row, d); });
      gap = task.sums.total_weight(row) - along;
    } else {
      gap *= task.class_weight(row / task.sums.objects, row % task.sums.objects);
    }
    if (lane_index() == 0) gaps[row] = gap;
  }
}

// A block for each image.
__global__ void sum_consistency(const LossTask task, const double* gaps) {
  const int64_t image = blockIdx.x;
  double sum = 0;
  for (int64_t k = threadIdx.x; k < task.sums.objects; k += blockDim.x) sum += gaps[task.row(image, k)];
  sum = block_sum(sum);
  const long long pixels = task.totals[image].pixels;
  if (threadIdx.x == 0) task.consistency[image] = pixels > 0 ? sum / static_cast<double>(pixels) : 0;
}

__global__ void count_neighbors(const LossTask task) {
  for (int64_t i = grid_thread(); i < task.pair_count; i += grid_threads()) {
    const int64_t image = task.pairs[3 * i], k = task.pairs[3 * i + 1], n = task.pairs[3 * i + 2];
    if (task.occurs(image, k) && task.occurs(image, n)) add_to(&task.neighbors[task.row(image, k)], 1);
  }
}

// A warp for each pair: its part of L_dis, and of ∂L_dis/∂u for both.
__global__ void discriminate(const LossTask task) {
  for (int64_t i = first_warp(); i < task.pair_count; i += warps()) {
    const int64_t image = task.pairs[3 * i], k = task.pairs[3 * i + 1], n = task.pairs[3 * i + 2];
    if (!task.occurs(image, k) || !task.occurs(image, n)) continue;
    const int64_t own = task.row(image, k), other = task.row(image, n), dim = task.sums.dim;
    const auto occurring = static_cast<double>(task.totals[image].occurring);
    const double share = 1 / (static_cast<double>(task.batch) * occurring * static_cast<double>(task.neighbors[own]));
    const double product = task.sum_over_channels([&](int64_t d) { return task.mean(own, d) * task.mean(other, d); });
    const double slope = share * ((product > 0) - (product < 0)) / pair_unit;
    for (int64_t d = lane_index(); d < dim; d += warp_size) {
      add_to(&task.slopes[own * dim + d], __double2ll_rn(slope * task.mean(other, d)));
      add_to(&task.slopes[other * dim + d], __double2ll_rn(slope * task.mean(own, d)));
    }
    if (lane_index() == 0) add_to(task.discrimination, __double2ll_rn(share * std::abs(product) / pair_unit));
  }
}

// From ∂L/∂u to ∂L/∂S: (I − u uᵀ) g / ‖S‖, by a warp.
template <class C, class Read>
__device__ void write_through_mean(const LossTask& task, int64_t row, const Read& read, C* out) {
  const double along = task.sum_over_channels([&](int64_t d) { return read(d) * task.mean(row, d); });
  const double length = task.lengths[row];
  for (int64_t d = lane_index(); d < task.sums.dim; d += warp_size) {
    out[d] = length > 0 ? static_cast<C>((read(d) - along * task.mean(row, d)) / length) : C(0);
  }
}

// tables: [2 or 3, B, K, D], ∂L_con/∂ê, ∂L_dis/∂ê and, with weights, their weighted rows. A warp for each row.
// ∂L_con/∂ê is the same for all pixels of k, −w_k u_k / N, where weights go by class; with a weight a pixel, the part
// through u_k is in the rows, and −w_p u_k / N in the weighted rows.
template <class C>
__global__ void write_tables(const LossTask task, C* tables) {
  const int64_t dim = task.sums.dim, table = task.sums.rows * dim;
  for (int64_t row = first_warp(); row < task.sums.rows; row += warps()) {
    const int64_t image = row / task.sums.objects;
    C* const own = tables + row * dim;
    if (task.sums.not_finite[image] != 0 && task.sums.count(row) > 0) {  // a network that diverged must be seen
      for (int64_t i = lane_index(); i < (task.sums.weighted ? 3 : 2) * dim; i += warp_size) {
        own[i / dim * table + i % dim] = std::numeric_limits<C>::quiet_NaN();
      }
      continue;
    }
    const long long pixels = task.totals[image].pixels;
    const double share = pixels > 0 ? 1 / (static_cast<double>(task.batch) * static_cast<double>(pixels)) : 0;
    if (task.sums.weighted) {
      write_through_mean(task, row, [&](int64_t d) { return -share * task.sums.weighted_sum(row, d); }, own);
    }
    const double weight = share * task.class_weight(image, row % task.sums.objects);
    for (int64_t d = lane_index(); d < dim; d += warp_size) {
      if (task.sums.weighted) own[2 * table + d] = static_cast<C>(-share * task.mean(row, d));
      if (!task.sums.weighted) own[d] = static_cast<C>(-weight * task.mean(row, d));
    }
    const auto slope = [&](int64_t d) { return pair_unit * static_cast<double>(task.slopes[row * dim + d]); };
    write_through_mean(task, row, slope, own + table);
  }
}

template <class C>
__global__ void write_losses(const LossTask task, C* consistency, C* discrimination) {
  double sum = 0, other = pair_unit * static_cast<double>(*task.discrimination);
  for (int64_t image = 0; image < task.batch; ++image) {
    sum += task.consistency[image] / static_cast<double>(task.batch);
    if (task.sums.not_finite[image] != 0) sum = other = std::numeric_limits<double>::quiet_NaN();
  }
  *consistency = static_cast<C>(sum);
  *discrimination = static_cast<C>(other);
}

template <class C>
void launch_loss(const Device& device, const LossTask& task, double* gaps, const std::array<C*, 3>& results) {
  const LaunchShape a_warp_each_row = {blocks_for(task.sums.rows * warp_size, threads), threads};
  const LaunchShape a_block_each_image = {task.batch, threads, threads / warp_size * sizeof(double)};
  device.launch(total_images, a_block_each_image, task);
  device.launch(measure_gaps, a_warp_each_row, task, gaps);
  device.launch(sum_consistency, a_block_each_image, task, gaps);
  device.launch(count_neighbors, {blocks_for(task.pair_count, threads), threads}, task);
  device.launch(discriminate, {blocks_for(task.pair_count * warp_size, threads), threads}, task);
  device.launch(write_tables<C>, a_warp_each_row, task, results[2]);
  device.launch(write_losses<C>, {1, 1}, task, results[0], results[1]);
}

long long* integers(const Tensor& tensor) { return reinterpret_cast<long long*>(data<int64_t>(tensor)); }

// pairs: int64 [P, 3]
std::tuple<Tensor, Tensor, Tensor> embedding_loss(const Tensor& embedding, const Tensor& labels, const Tensor& pairs,
                                                  const std::optional<Tensor>& weights, bool balanced, bool background,
                                                  int64_t num_objects) {
  check_labelled(embedding, labels);
  check_flat(pairs, "pairs", ScalarType::Long, {pairs.numel() / 3, 3}, embedding);
  if (weights)
    check_flat(*weights, "weights", compute_dtype(embedding.scalar_type()), size_of_map(embedding), embedding);
  const Device device(embedding);
  const EmbeddingView view = view_of(embedding);
  const DirectionSums sums =
      sum_directions(device, view, view_of_labels(labels, num_objects, background), weights ? &*weights : nullptr);
  const Means means = find_means(device, sums, compute_dtype(embedding.scalar_type()));
  const int64_t rows = sums.view.rows, batch = view.batch;
  const Tensor totals = device.empty({3 * batch}, ScalarType::Long);
  const Tensor neighbors = device.zeros({rows}, ScalarType::Long);
  const Tensor slopes = device.zeros({rows, view.dim}, ScalarType::Long);
  const Tensor pair_losses = device.zeros({1}, ScalarType::Long);
  const Tensor image_losses = device.empty({batch}, ScalarType::Double),
               gaps = device.empty({rows}, ScalarType::Double);
  const LossTask task = {sums.view,
                         data<double>(means.directions),
                         data<double>(means.lengths),
                         batch,
                         balanced,
                         data<int64_t>(pairs),
                         pairs.sizes()[0],
                         reinterpret_cast<ImageTotals*>(data<int64_t>(totals)),
                         integers(neighbors),
                         integers(slopes),
                         integers(pair_losses),
                         data<double>(image_losses)};
  const ScalarType dtype = compute_dtype(embedding.scalar_type());
  Tensor consistency = device.empty({}, dtype), discrimination = device.empty({}, dtype);
  Tensor tables = device.empty({weights ? 3 : 2, batch, num_objects, view.dim}, dtype);
  with_compute(dtype, [&]<class C>(C*) {
    launch_loss<C>(device, task, data<double>(gaps), {data<C>(consistency), data<C>(discrimination), data<C>(tables)});
  });
  return {consistency, discrimination, tables};
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(embedding_loss)
