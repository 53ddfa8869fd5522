// The embedding loss and the tables that its backward needs, from the sums over the objects: work of the size of K × D
// and of the pairs, in double. docs/method.md, Embedding loss. What many threads add up is fixed point, in any order
// the same. Three small kernels: launching one takes longer than its work.
#include "common/checks.h"
#include "cuda/direction_sums.h"
#include "cuda/warp.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;
constexpr double pair_unit = 0x1p-60;  // no sum over pairs, of their loss or of a slope, exceeds 2

struct ImageTotals {
  long long pixels, occurring;
};

struct LossTask {
  SumView sums;
  int64_t batch;
  bool balanced;
  const int64_t* pairs;  // [pair_count, 3]
  int64_t pair_count;
  // What the kernels add to, zero at first.
  ImageTotals* totals;        // [batch]
  long long* neighbors;       // [rows]
  long long* slopes;          // [rows, dim], ∂L_dis/∂u in units of pair_unit
  long long* discrimination;  // in units of pair_unit
  // What they write.
  double* means;        // [rows, dim]
  double* lengths;      // [rows]
  double* gaps;         // [rows], Σ_{p∈k} w_p D(e_p, u_k), before the weight of k's class
  double* consistency;  // [batch]

  __device__ int64_t row(int64_t image, int64_t object) const { return image * sums.objects + object; }
  __device__ bool occurs(int64_t image, int64_t k) const {
    return image >= 0 && image < batch && k >= 0 && k < sums.objects && sums.count(row(image, k)) > 0;
  }
  __device__ double class_weight(int64_t image, int64_t k) const {
    if (!balanced || sums.weighted) return 1;
    const long long all = totals[image].pixels, background = sums.count(row(image, 0));
    if (background == 0 || background == all) return 1;
    return 0.5 * static_cast<double>(all) / static_cast<double>(k == 0 ? background : all - background);
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

// The mean of an object and the gap of its pixels, by a warp.
__device__ void measure_object(const LossTask& task, int64_t row) {
  const SumView& sums = task.sums;
  double* const mean = task.means + row * sums.dim;
  const double length = find_direction(sums, row, [&](int64_t d, double direction) { mean[d] = direction; });
  double gap = static_cast<double>(sums.count(row)) - length;
  if (sums.weighted) {  // a lane reads what it wrote itself
    gap =
        sums.total_weight(row) - task.sum_over_channels([&](int64_t d) { return sums.weighted_sum(row, d) * mean[d]; });
  }
  if (lane_index() == 0) task.lengths[row] = length, task.gaps[row] = gap;
}

__device__ void count_neighbors(const LossTask& task) {
  for (int64_t i = grid_thread(); i < task.pair_count; i += grid_threads()) {
    const int64_t image = task.pairs[3 * i], k = task.pairs[3 * i + 1], n = task.pairs[3 * i + 2];
    if (task.occurs(image, k) && task.occurs(image, n)) add_to(&task.neighbors[task.row(image, k)], 1);
  }
}

// What follows from the sums alone. A warp for each object, as many blocks for each image.
__global__ void measure_objects(const LossTask task, int64_t blocks_per_image) {
  if (grid_thread() == 0) task.sums.require_range();
  const int64_t image = blockIdx.x / blocks_per_image, first = blockIdx.x % blocks_per_image * blockDim.x + threadIdx.x;
  long long pixels = 0, occurring = 0;
  for (int64_t k = first / warp_size; k < task.sums.objects; k += blocks_per_image * blockDim.x / warp_size) {
    measure_object(task, task.row(image, k));
    const long long count = lane_index() == 0 ? task.sums.count(task.row(image, k)) : 0;
    pixels += count;
    occurring += count > 0;
  }
  pixels = block_sum(pixels);
  occurring = block_sum(occurring);
  if (threadIdx.x == 0) {
    add_to(&task.totals[image].pixels, pixels);
    add_to(&task.totals[image].occurring, occurring);
  }
  count_neighbors(task);
}

// By a block.
__device__ void sum_consistency(const LossTask& task, int64_t image) {
  double sum = 0;
  for (int64_t k = threadIdx.x; k < task.sums.objects; k += blockDim.x) {
    sum += task.class_weight(image, k) * task.gaps[task.row(image, k)];
  }
  sum = block_sum(sum);
  const long long pixels = task.totals[image].pixels;
  if (threadIdx.x == 0) task.consistency[image] = pixels > 0 ? sum / static_cast<double>(pixels) : 0;
}

// A pair's part of L_dis, and of ∂L_dis/∂u for both, by a warp.
__device__ void discriminate(const LossTask& task, const int64_t* pair) {
  const int64_t image = pair[0], k = pair[1], n = pair[2];
  if (!task.occurs(image, k) || !task.occurs(image, n)) return;
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

// What follows from all objects of an image: a block for each image's consistency, then a warp for each pair.
__global__ void compare_objects(const LossTask task) {
  if (blockIdx.x < task.batch) return sum_consistency(task, blockIdx.x);
  const int64_t skipped = task.batch * blockDim.x;
  for (int64_t i = (grid_thread() - skipped) / warp_size; i < task.pair_count;
       i += (grid_threads() - skipped) / warp_size) {
    discriminate(task, task.pairs + 3 * i);
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
__device__ void write_tables(const LossTask& task, C* tables) {
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
struct Results {
  C *total, *consistency, *discrimination, *tables;
};

template <class C>
__device__ void write_losses(const LossTask& task, const Results<C>& results) {
  double sum = 0, other = pair_unit * static_cast<double>(*task.discrimination);
  for (int64_t image = 0; image < task.batch; ++image) {
    sum += task.consistency[image] / static_cast<double>(task.batch);
    if (task.sums.not_finite[image] != 0) sum = other = std::numeric_limits<double>::quiet_NaN();
  }
  *results.consistency = static_cast<C>(sum);
  *results.discrimination = static_cast<C>(other);
  *results.total = *results.consistency + *results.discrimination;
}

template <class C>
__global__ void write_results(const LossTask task, const Results<C> results) {
  if (grid_thread() == 0) write_losses(task, results);
  write_tables(task, results.tables);
}

template <class C>
void launch_loss(const Device& device, const LossTask& task, const Results<C>& results) {
  constexpr int64_t warps_in_block = threads / warp_size, most_blocks = 128;  // an image's: they add to one place
  constexpr size_t partial_sums = warps_in_block * sizeof(double);
  const auto blocks_for_warps = [](int64_t warps) { return blocks_for(warps * warp_size, threads); };
  const int64_t blocks_per_image = std::clamp<int64_t>(blocks_for_warps(task.sums.objects), 1, most_blocks);
  device.launch(measure_objects, {task.batch * blocks_per_image, threads, partial_sums}, task, blocks_per_image);
  device.launch(compare_objects, {task.batch + blocks_for_warps(task.pair_count), threads, partial_sums}, task);
  device.launch(write_results<C>, {std::max<int64_t>(blocks_for_warps(task.sums.rows), 1), threads}, task, results);
}

// Points into two pieces of memory: what the kernels add to, and what they write.
LossTask task_for(const DirectionSums& sums, int64_t batch, bool balanced, const Tensor& pairs, const Tensor& zeros,
                  const Tensor& empty) {
  const int64_t rows = sums.view.rows, table = rows * sums.view.dim;
  auto* const added = reinterpret_cast<long long*>(data<int64_t>(zeros));
  double* const written = data<double>(empty);
  return {sums.view,
          batch,
          balanced,
          data<int64_t>(pairs),
          pairs.sizes()[0],
          reinterpret_cast<ImageTotals*>(added),
          added + 2 * batch,
          added + 2 * batch + rows,
          added + 2 * batch + rows + table,
          written,
          written + table,
          written + table + rows,
          written + table + 2 * rows};
}

// pairs: int64 [P, 3]
std::tuple<Tensor, Tensor, Tensor, Tensor> embedding_loss(const Tensor& embedding, const Tensor& labels,
                                                          const Tensor& pairs, const std::optional<Tensor>& weights,
                                                          bool balanced, bool background, int64_t num_objects) {
  const ScalarType dtype = compute_dtype(embedding.scalar_type());
  check_labelled(embedding, labels);
  check_flat(pairs, "pairs", ScalarType::Long, {pairs.numel() / 3, 3}, embedding);
  if (weights) check_flat(*weights, "weights", dtype, size_of_map(embedding), embedding);
  const Device device(embedding);
  const EmbeddingView view = view_of(embedding);
  const DirectionSums sums =
      sum_directions(device, view, view_of_labels(labels, num_objects, background), weights ? &*weights : nullptr);
  const int64_t rows = sums.view.rows, table = rows * view.dim, batch = view.batch;
  const Tensor zeros = device.zeros({2 * batch + rows + table + 1}, ScalarType::Long);
  const Tensor empty = device.empty({table + 2 * rows + batch}, ScalarType::Double);
  Tensor total = device.empty({}, dtype), consistency = device.empty({}, dtype);
  Tensor discrimination = device.empty({}, dtype);
  Tensor tables = device.empty({weights ? 3 : 2, batch, num_objects, view.dim}, dtype);
  with_compute(dtype, [&]<class C>(C*) {
    launch_loss<C>(device, task_for(sums, batch, balanced, pairs, zeros, empty),
                   {data<C>(total), data<C>(consistency), data<C>(discrimination), data<C>(tables)});
  });
  return {total, consistency, discrimination, tables};
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(embedding_loss)
