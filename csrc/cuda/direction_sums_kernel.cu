// The kernels of sum_directions. A warp walks over stretches of an image's pixels and sums what its lanes hold of one
// object, until it meets another: then, or at the end of a stretch, one atomic a channel adds the sum to the table,
// which is the block's own in shared memory where it is small.
#include "cuda/direction_sums_kernel.h"
#include "cuda/pixels.h"

#ifndef EMBEDSEG_STORAGE  // CMake compiles this file once for each type
#define EMBEDSEG_STORAGE float
#endif

namespace embedseg::cuda {
namespace {

constexpr int sum_threads = 256;

// int, of float; long long, of double
template <class C>
__device__ auto to_fixed(C value) {
  if constexpr (std::is_same_v<C, double>) {
    return __double2ll_rn(value);
  } else {
    return __float2int_rn(value);
  }
}

// The sums of one object at a time, in registers; D channels.
template <int D>
class RunningSums {
 public:
  // table: rows of one image
  __device__ RunningSums(long long* table, int64_t row_size) : table_(table), row_size_(row_size) {}

  __device__ void go_to(int32_t object) {
    if (object == object_) return;
    write_through();
    object_ = object;
  }

  // With as many pixels of a lane as fit into 31 bits: 511.
  __device__ void add(int d, int value) { sums_[d] += value; }
  __device__ void count(int pixels) { pixels_ += pixels; }

  __device__ void write_through() {
    if (object_ >= 0) {
      long long mine = 0;
#pragma unroll
      for (int d = 0; d < D; ++d) {
        const long long sum = warp_sum_wide(sums_[d]);
        if (lane_index() == d) mine = sum;
        sums_[d] = 0;
      }
      long long* const row = table_ + object_ * row_size_;
      if (lane_index() < D) add_to(row + lane_index(), mine);
      const int pixels = warp_sum(pixels_);
      if (lane_index() == 0) add_to(row + D, pixels);
    }
    pixels_ = 0;
  }

 private:
  long long* table_;
  int64_t row_size_;
  int32_t object_ = -1;
  int pixels_ = 0;
  int sums_[D] = {};
};

// The object that the warp's first pixel with a bit in `left` has; -1 if there is none.
template <int count>
__device__ int32_t next_object(const int32_t (&objects)[count], unsigned left) {
  const unsigned lanes = __ballot_sync(whole_warp, left != 0);
  if (lanes == 0) return -1;
  int32_t mine = -1;
#pragma unroll
  for (int v = count - 1; v >= 0; --v) mine = (left >> v & 1) != 0 ? objects[v] : mine;
  return __shfl_sync(whole_warp, mine, __ffs(static_cast<int>(lanes)) - 1);
}

template <class Held, int D>
__device__ void sum_group(const SumTask& task, int64_t image, int64_t first, RunningSums<D>& sums) {
  Held pixels;
  int32_t objects[Held::count];
  unsigned left = 0;
#pragma unroll
  for (int v = 0; v < Held::count; ++v) {
    const int64_t pixel = Held::pixel(first, v);
    objects[v] = pixel < task.view.pixels ? task.labels.object(image * task.view.pixels + pixel) : -1;
    left |= static_cast<unsigned>(objects[v] >= 0) << v;
  }
  if (!__any_sync(whole_warp, left != 0)) return;
  pixels.load(task.view, image, first);
  const auto unit = static_cast<float>(1 / task.sums.unit);
  float factors[Held::count];
#pragma unroll
  for (int v = 0; v < Held::count; ++v) {
    const auto scale = pixels.measure(v);
    factors[v] = scale.factor * unit;
    if (objects[v] >= 0 && !scale.finite()) task.sums.not_finite[image] = 1;
  }
  for (int32_t object; (object = next_object(objects, left)) >= 0;) {
    sums.go_to(object);
#pragma unroll
    for (int v = 0; v < Held::count; ++v) {
      if (objects[v] != object) continue;
#pragma unroll
      for (int d = 0; d < D; ++d) sums.add(d, to_fixed(pixels.value(v, d) * factors[v]));
      sums.count(1);
      left &= ~(1u << v);
    }
  }
}

// Any number of channels, and weights: a lane's pixel is read again for each object of the warp's, from the cache.
template <class T, bool weighted>
__device__ void sum_any_dim(const SumTask& task, int64_t image, int64_t first, long long* table) {
  using C = Compute<T>;
  const int64_t pixel = first + lane_index(), dim = task.view.dim, stride = task.view.dim_stride;
  const bool inside = pixel < task.view.pixels;
  const int64_t place = image * task.view.pixels + pixel;
  const int32_t objects[1] = {inside ? task.labels.object(place) : -1};
  const T* const vector = static_cast<const T*>(task.view.data) + (inside ? task.view.offset(image, pixel) : 0);
  const auto read = [&](int64_t d) { return static_cast<C>(vector[d * stride]); };
  Scale<C> scale = {0, 0, 0};
  if (objects[0] >= 0) scale = measure<C>(dim, read);
  const C unit = static_cast<C>(1 / task.sums.unit);
  C weight = 0;
  if (weighted && objects[0] >= 0) {
    const double largest = *task.sums.weight_unit;
    const C weight_scale = static_cast<C>(largest > 0 ? 1 / largest : 0.0);
    weight = static_cast<const C*>(task.weights)[place] * weight_scale;
  }
  const bool counts = objects[0] >= 0 && (!weighted || weight != 0);
  if (counts && (!scale.finite() || weight - weight != 0)) task.sums.not_finite[image] = 1;
  const int64_t channels = weighted ? 2 * dim + 2 : dim + 1;
  const auto fixed = [&](int64_t i) -> decltype(to_fixed(unit)) {
    if (i == dim) return 1;
    if (i == 2 * dim + 1) return to_fixed(weight * unit);
    const C direction = direction_of(read(i < dim ? i : i - dim - 1), scale);
    return to_fixed(direction * unit * (i < dim ? C(1) : weight));
  };
  unsigned left = objects[0] >= 0;
  for (int32_t object; (object = next_object(objects, left)) >= 0;) {
    const bool own = objects[0] == object;
    if (own) left = 0;
    long long* const row = table + object * task.sums.row_size;
    for (int64_t begin = 0; begin < channels; begin += warp_size) {
      long long mine = 0;
      for (int64_t i = begin; i < begin + warp_size && i < channels; ++i) {
        const long long sum = warp_sum(own ? fixed(i) : decltype(fixed(i))(0));
        if (lane_index() == i - begin) mine = sum;
      }
      if (begin + lane_index() < channels) add_to(row + begin + lane_index(), mine);
    }
  }
}

template <class T, int D, Access access, bool weighted>
__device__ void sum_stretches(const SumTask& task, int64_t image, long long* table) {
  constexpr int groups = 8;  // at most 511 pixels of a lane
  constexpr int64_t group = warp_size * Pixels < T, D == 0 ? 1 : D, access > ::count;
  const int64_t warp = (blockIdx.x % task.blocks_per_image * blockDim.x + threadIdx.x) / warp_size;
  const int64_t warps = task.blocks_per_image * blockDim.x / warp_size;
  for (int64_t begin = warp * groups * group; begin < task.view.pixels; begin += warps * groups * group) {
    const int64_t end = std::min(begin + groups * group, task.view.pixels);
    if constexpr (D > 0) {
      RunningSums<D> sums(table, task.sums.row_size);
      for (int64_t first = begin; first < end; first += group) {
        sum_group<Pixels<T, D, access>, D>(task, image, first, sums);
      }
      sums.write_through();
    } else {
      for (int64_t first = begin; first < end; first += group) sum_any_dim<T, weighted>(task, image, first, table);
    }
  }
}

template <class T, int D, Access access, bool weighted>
__global__ void __launch_bounds__(sum_threads, blocks_at_once<T, D>) sum_kernel(const SumTask task) {
  const int64_t image = blockIdx.x / task.blocks_per_image;
  const int64_t size = task.sums.objects * task.sums.row_size;
  long long* const table = task.sums.table + image * size;
  if (!task.table_in_shared) return sum_stretches<T, D, access, weighted>(task, image, table);
  long long* const own = dynamic_shared<long long>();
  for (int64_t i = threadIdx.x; i < size; i += blockDim.x) own[i] = 0;
  __syncthreads();
  sum_stretches<T, D, access, weighted>(task, image, own);
  __syncthreads();
  for (int64_t i = threadIdx.x; i < size; i += blockDim.x) {
    if (own[i] != 0) add_to(table + i, own[i]);
  }
}

// Blocks enough to fill the device a few times over; the table goes to shared memory where a block has many times more
// pixels than that has numbers.
template <class T, int D, Access access, bool weighted>
void launch_sums(const Device& device, SumTask task) {
  constexpr int64_t blocks_per_processor = 8, least_pixels = 8192, shared_bytes = 48 << 10;
  const int64_t wanted = (device.processors() * blocks_per_processor + task.view.batch - 1) / task.view.batch;
  task.blocks_per_image = std::clamp<int64_t>(task.view.pixels / least_pixels, 1, wanted);
  const int64_t size = task.sums.objects * task.sums.row_size;
  const int64_t pixels = task.view.pixels / task.blocks_per_image;
  const int64_t bytes = size * static_cast<int64_t>(sizeof(long long));
  task.table_in_shared = bytes <= shared_bytes && pixels >= 4 * size;
  device.launch(
      sum_kernel<T, D, access, weighted>,
      {task.view.batch * task.blocks_per_image, sum_threads, task.table_in_shared ? static_cast<size_t>(bytes) : 0},
      task);
}

}  // namespace

template <class T>
void sum_directions_as(const Device& device, const SumTask& task) {
  if (task.weights != nullptr) return launch_sums<T, 0, Access::strided, true>(device, task);
  with_cuda_kernel<T>(task.view, task.view,
                      [&]<int D, Access access>() { launch_sums<T, D, access, false>(device, task); });
}

template void sum_directions_as<EMBEDSEG_STORAGE>(const Device& device, const SumTask& task);

}  // namespace embedseg::cuda
