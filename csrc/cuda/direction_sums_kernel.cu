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

// The directions of a lane's pixels as biased bits. Returns whether those of objects are finite.
template <class Held>
__device__ bool read_values(const SumTask& task, int64_t image, const LanePixels& places,
                            const int32_t (&objects)[Held::count], unsigned (&values)[Held::dim][Held::count]) {
  Held pixels;
  pixels.load(task.view, image, places);
  const auto unit = static_cast<float>(1 / task.sums.unit);
  bool finite = true;
#pragma unroll
  for (int v = 0; v < Held::count; ++v) {
    const auto scale = pixels.measure(v);
    finite = finite && (objects[v] < 0 || scale.finite());
#pragma unroll
    for (int d = 0; d < Held::dim; ++d) values[d][v] = biased_bits(pixels.value(v, d), scale.factor * unit);
  }
  return finite;
}

template <class Held, bool in_packs, class Sums>
__device__ void sum_group(const SumTask& task, int64_t image, const LanePixels& places, Sums& sums) {
  int32_t objects[Held::count];
  if (!read_objects<in_packs>(task.labels, image * task.view.pixels, places, task.view.pixels, objects)) {
    *task.sums.out_of_range = 1;
  }
  bool any = false;
#pragma unroll
  for (int v = 0; v < Held::count; ++v) any = any || objects[v] >= 0;
  if (!__any_sync(whole_warp, any)) return;
  unsigned values[Held::dim][Held::count] = {};
  if (any && !read_values<Held>(task, image, places, objects, values)) task.sums.not_finite[image] = 1;
  sums.add(objects, values);
}

// Any number of channels, and weights: a lane's pixel is read again for each object of the warp's, from the cache.
template <class T, bool weighted>
__device__ void sum_any_dim(const SumTask& task, int64_t image, int64_t first, long long* table) {
  using C = Compute<T>;
  const int64_t pixel = first + lane_index(), dim = task.view.dim, stride = task.view.dim_stride;
  const bool inside = pixel < task.view.pixels;
  const int64_t place = image * task.view.pixels + pixel;
  int32_t objects[1];
  if (!read_objects<false>(task.labels, image * task.view.pixels, {pixel, 0}, task.view.pixels, objects)) {
    *task.sums.out_of_range = 1;
  }
  const int32_t object = objects[0];
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
  const int64_t warp = (blockIdx.x % task.blocks_per_image * blockDim.x + threadIdx.x) / warp_size;
  const int64_t warps = task.blocks_per_image * blockDim.x / warp_size;
  if constexpr (D > 0) {
    using Held = Pixels<T, D, access, 32>;
    constexpr bool in_packs = access == Access::planar_packs;
    using Sums = RunSums<D, Held::count, in_packs>;
    auto& tile = shared_object<Tiles<typename Sums::Tile>>().of_warp[threadIdx.x / warp_size];
    for (int64_t begin = warp * Sums::stretch; begin < task.view.pixels; begin += warps * Sums::stretch) {
      Sums sums(tile, table);
      for (int group = 0; group < Sums::groups; ++group) {
        sum_group<Held, in_packs>(task, image, Sums::pixels_of(begin, group), sums);
      }
      sums.write_through();
    }
  } else {
    for (int64_t first = warp * warp_size; first < task.view.pixels; first += warps * warp_size) {
      sum_any_dim<T, weighted>(task, image, first, table);
    }
  }
}

// Numbers of a table, as one access of shared memory has them.
struct alignas(16) Two {
  long long first, second;
};

template <class T, int D, Access access, bool weighted>
__global__ void __launch_bounds__(sum_threads, blocks_at_once<T, D>) sum_kernel(const SumTask task) {
  const int64_t image = blockIdx.x / task.blocks_per_image;
  const int64_t size = task.sums.objects * task.sums.row_size;
  long long* const table = task.sums.table + image * size;
  if (!task.table_in_shared) return sum_stretches<T, D, access, weighted>(task, image, table);
  Two* const own = dynamic_shared<Two>();
  const int twos = static_cast<int>(size + 1) / 2;
  for (int i = threadIdx.x; i < twos; i += sum_threads) own[i] = {0, 0};
  __syncthreads();
  sum_stretches<T, D, access, weighted>(task, image, &own->first);
  __syncthreads();
  for (int i = threadIdx.x; i < twos; i += sum_threads) {
    const Two sums = own[i];
    if (sums.first != 0) add_to(table + 2 * i, sums.first);
    if (sums.second != 0) add_to(table + 2 * i + 1, sums.second);
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
  const int64_t bytes = (size + 1) / 2 * static_cast<int64_t>(sizeof(Two));
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
