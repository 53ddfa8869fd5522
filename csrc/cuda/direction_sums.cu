#include <cmath>
#include <cstring>

#include "common/fixed_point.h"
#include "cuda/direction_sums.h"
#include "cuda/direction_sums_kernel.h"
#include "cuda/warp.h"

namespace embedseg::cuda {

namespace {

constexpr int threads = 256;

// Numbers that are not negative are in the order of their bits.
template <class C>
__global__ void find_largest(const C* values, int64_t count, double* largest) {
  double mine = 0;
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const double value = std::abs(static_cast<double>(values[i]));
    mine = value > mine && value <= std::numeric_limits<double>::max() ? value : mine;
  }
  for (int bits = warp_size / 2; bits > 0; bits /= 2) {
    const double other = __shfl_xor_sync(whole_warp, mine, bits);
    mine = other > mine ? other : mine;
  }
  static_assert(sizeof(double) == sizeof(long long));
  long long bits;
  std::memcpy(&bits, &mine, sizeof bits);
  if (lane_index() == 0) atomicMax(reinterpret_cast<long long*>(largest), bits);
}

void find_largest_weight(const Device& device, const EmbeddingView& view, const Tensor& weights, double* largest) {
  const int64_t count = view.batch * view.pixels;
  const LaunchShape shape = {std::min<int64_t>(blocks_for(count, threads), 1024), threads};
  with_compute(compute_dtype(view.dtype), [&]<class C>(C*) {
    device.launch(find_largest<C>, shape, static_cast<const C*>(weights.data_ptr()), count, largest);
  });
}

// A warp for each row.
template <class Vectors, class C>
__global__ void mean_kernel(const Vectors sums, double* directions, C* rounded) {
  for (int64_t row = grid_thread() / warp_size; row < sums.rows; row += grid_threads() / warp_size) {
    find_direction(sums, row, [&](int64_t d, double direction) {
      directions[row * sums.dim + d] = direction;
      rounded[row * sums.dim + d] = static_cast<C>(direction);
    });
  }
}

// Not in a template, where nvcc takes the lists for something else.
Means empty_means(const Device& device, int64_t rows, int64_t dim, ScalarType dtype) {
  return {device.empty({rows, dim}, ScalarType::Double), device.empty({rows, dim}, dtype)};
}

template <class Vectors>
Means find_directions(const Device& device, const Vectors& vectors, ScalarType dtype) {
  const Means means = empty_means(device, vectors.rows, vectors.dim, dtype);
  const LaunchShape a_warp_each_row{blocks_for(vectors.rows * warp_size, threads), threads};
  with_compute(dtype, [&]<class C>(C*) {
    device.launch(mean_kernel<Vectors, C>, a_warp_each_row, vectors, data<double>(means.directions),
                  data<C>(means.rounded));
  });
  return means;
}

// All that the kernels add to, in one piece: it is set to zero at once.
DirectionSums zero_sums(const Device& device, const EmbeddingView& embedding, int64_t objects, bool weighted,
                        int64_t pixels) {
  const int64_t rows = embedding.batch * objects, dim = embedding.dim, row_size = weighted ? 2 * dim + 2 : dim + 1;
  const int64_t table = rows * row_size, flags = (embedding.batch + 2) / 2;
  DirectionSums sums = {{}, device.zeros({table + 1 + flags}, ScalarType::Long)};
  auto* const numbers = reinterpret_cast<long long*>(data<int64_t>(sums.memory));
  int* const flag = reinterpret_cast<int*>(numbers + table + 1);
  sums.view = {dim,
               objects,
               rows,
               row_size,
               fixed_unit(embedding, pixels),
               weighted,
               reinterpret_cast<double*>(numbers + table),
               numbers,
               flag + 1,
               flag};
  return sums;
}

}  // namespace

DirectionSums sum_directions(const Device& device, const EmbeddingView& embedding, const LabelView& labels,
                             const Tensor* weights, int64_t pixels) {
  const DirectionSums sums = zero_sums(device, embedding, labels.count, weights != nullptr, pixels);
  STD_TORCH_CHECK(labels.count * sums.view.row_size <= std::numeric_limits<uint32_t>::max(), "too many objects");
  if (embedding.batch == 0 || embedding.pixels == 0) return sums;
  SumTask task = {embedding, labels, nullptr, sums.view, 1, false};
  task.labels.first = std::min(labels.first, labels.count);
  if (weights != nullptr) {
    task.weights = weights->data_ptr();
    find_largest_weight(device, embedding, *weights, sums.view.weight_unit);
  }
  with_storage(embedding.dtype, [&]<class T>() { sum_directions_as<T>(device, task); });
  return sums;
}

Means find_means(const Device& device, const DirectionSums& sums, ScalarType dtype) {
  return find_directions(device, sums.view, dtype);
}

Means find_means(const Device& device, const VectorView& vectors, ScalarType dtype) {
  return find_directions(device, vectors, dtype);
}

}  // namespace embedseg::cuda
