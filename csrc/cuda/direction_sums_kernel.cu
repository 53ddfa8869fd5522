// The kernels of sum_directions. A warp walks over stretches of an image's pixels; what it sums up of an object goes to
// a table, which is the block's own in shared memory where it is small.
#include "cuda/direction_sums_kernel.h"
#include "cuda/pixels.h"
#include "cuda/read_objects.h"
#include "cuda/run_sums.h"

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

// The object of the warp's first lane that has something left; -1 if none has.
__device__ int32_t next_object(int32_t object, bool left) {
  const unsigned lanes = __ballot_sync(whole_warp, left);
  return lanes == 0 ? -1 : __shfl_sync(whole_warp, object, __ffs(static_cast<int>(lanes)) - 1);
}

template <class Held, bool in_packs, class Sums>
__device__ void sum_group(const SumTask& task, int64_t image, int64_t first, Sums& sums) {
  Held pixels;
  int32_t objects[Held::count];
  read_objects(task.labels, image * task.view.pixels, Held::pixel(first, 0), in_packs ? 1 : warp_size, task.view.pixels,
               objects);
  bool any = false;
#pragma unroll
  for (int v = 0; v < Held::count; ++v) any = any || objects[v] >= 0;
  if (!__any_sync(whole_warp, any)) return;
  pixels.load(task.view, image, first);
  const auto unit = static_cast<float>(1 / task.sums.unit);
  float factors[Held::count];
#pragma unroll
  for (int v = 0; v < Held::count; ++v) {
    const auto scale = pixels.measure(v);
    factors[v] = scale.factor * unit;
    if (objects[v] >= 0 && !scale.finite()) task.sums.not_finite[image] = 1;
  }
  sums.template add<in_packs>(objects, [&](int v, int d) { return biased_bits(pixels.value(v, d), factors[v]); });
}

// Any number of channels, and weights: a lane's pixel is read again for each object of the warp's, from the cache.
template <class T, bool weighted>
__device__ void sum_any_dim(const SumTask& task, int64_t image, int64_t first, long long* table) {
  using C = Compute<T>;
  const int64_t pixel = first + lane_index(), dim = task.view.dim, stride = task.view.dim_stride;
  const bool inside = pixel < task.view.pixels;
  const int64_t place = image * task.view.pixels + pixel;
  const int32_t object = inside ? task.labels.object(place) : -1;
  const T* const vector = static_cast<const T*>(task.view.data) + (inside ? task.view.offset(image, pixel) : 0);
  const auto read = [&](int64_t d) { return static_cast<C>(vector[d * stride]); };
  Scale<C> scale = {0, 0, 0};
  if (object >= 0) scale = measure<C>(dim, read);
  const C unit = static_cast<C>(1 / task.sums.unit);
  C weight = 0;
  if (weighted && object >= 0) {
    const double largest = *task.sums.weight_unit;
    const C weight_scale = static_cast<C>(largest > 0 ? 1 / largest : 0.0);
    weight = static_cast<const C*>(task.weights)[place] * weight_scale;
  }
  const bool counts = object >= 0 && (!weighted || weight != 0);
  if (counts && (!scale.finite() || weight - weight != 0)) task.sums.not_finite[image] = 1;
  const int64_t channels = weighted ? 2 * dim + 2 : dim + 1;
  const auto fixed = [&](int64_t i) -> decltype(to_fixed(unit)) {
    if (i == dim) return 1;
    if (i == 2 * dim + 1) return to_fixed(weight * unit);
    const C value = read(i < dim ? i : i - dim - 1);
    if constexpr (std::is_same_v<C, float>) {  // rounded once, as sum_group does it: layouts agree to the bit
      if (i < dim) return fixed_of(scale.factor == 0 ? 0 : value * scale.shift, scale.factor * unit);
    }
    return to_fixed(direction_of(value, scale) * unit * (i < dim ? C(1) : weight));
  };
  bool left = object >= 0;
  for (int32_t next; (next = next_object(object, left)) >= 0;) {
    const bool own = object == next;
    if (own) left = false;
    long long* const row = table + next * task.sums.row_size;
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

template <class Tile>
struct Tiles {
  Tile of_warp[sum_threads / warp_size];
};

template <class T, int D, Access access, bool weighted>
__device__ void sum_stretches(const SumTask& task, int64_t image, long long* table) {
  constexpr int groups = 8;
  constexpr int64_t group = warp_size * Pixels < T, D == 0 ? 1 : D, access > ::count;
  const int64_t warp = (blockIdx.x % task.blocks_per_image * blockDim.x + threadIdx.x) / warp_size;
  const int64_t warps = task.blocks_per_image * blockDim.x / warp_size;
  for (int64_t begin = warp * groups * group; begin < task.view.pixels; begin += warps * groups * group) {
    const int64_t end = std::min(begin + groups * group, task.view.pixels);
    if constexpr (D > 0) {
      using Held = Pixels<T, D, access>;
      using Sums = RunSums<D, Held::count>;
      static_assert(groups * Sums::lane_pixels <= Sums::most_pixels);
      auto& tile = shared_object<Tiles<typename Sums::Tile>>().of_warp[threadIdx.x / warp_size];
      Sums sums(tile, table, task.sums.row_size);
      for (int64_t first = begin; first < end; first += group) {
        sum_group<Held, access == Access::planar_packs>(task, image, first, sums);
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

// Blocks enough to fill the device a few times over; the table goes to shared memory where a block has at least half as
// many pixels as that has numbers.
template <class T, int D, Access access, bool weighted>
void launch_sums(const Device& device, SumTask task) {
  constexpr int64_t blocks_per_processor = 8, least_pixels = 8192, table_bytes = 100 << 10;
  const auto kernel = sum_kernel<T, D, access, weighted>;
  const int64_t wanted = (device.processors() * blocks_per_processor + task.view.batch - 1) / task.view.batch;
  task.blocks_per_image = std::clamp<int64_t>(task.view.pixels / least_pixels, 1, wanted);
  const int64_t size = task.sums.objects * task.sums.row_size;
  const int64_t bytes = size * static_cast<int64_t>(sizeof(long long));
  task.table_in_shared = 2 * task.view.pixels / task.blocks_per_image >= size && bytes <= table_bytes &&
                         bytes <= device.let_have_shared_memory(kernel);
  device.launch(
      kernel,
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
