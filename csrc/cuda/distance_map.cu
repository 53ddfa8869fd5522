// Normalised distance to the nearest pixel outside the own object. docs/method.md, Distance map and its loss.
//
// The exact squared distance is separable: along a row by the ends of the pixel's run; along each further axis as the
// minimum of (distance along the axis)² + (squared distance so far), which never lies beyond the ends of the run of the
// object along that axis, nor farther away than the distance so far: it is searched for, outwards from the pixel.
// Distances are in units of the smallest spacing: with equal spacing all squares are whole numbers.
#include "common/checks.h"
#include "common/distance_map.h"
#include "cuda/objects.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;

struct Map {
  const int32_t* labels;
  Grid grid;
  std::array<float, 3> weights;
  int64_t row_size;  // of the table of objects
  int32_t* largest;  // [batch, row_size]: the bits of an object's largest squared distance
};

__device__ float steps_or_infinity(bool found, int64_t steps) {
  return found ? static_cast<float>(steps) : std::numeric_limits<float>::infinity();
}

// A warp for each row, there and back: the steps to the pixel before the run, then to the one behind it.
__global__ void measure_rows(const Map map, int64_t rows, float weight, float* squares) {
  const int64_t width = map.grid.width;
  const int lane = lane_index();
  for (int64_t row = grid_thread() / warp_size; row < rows; row += grid_threads() / warp_size) {
    const int32_t* const labels = map.labels + row * width;
    float* const out = squares + row * width;
    int64_t start = 0;  // of the run at hand
    for (int64_t first = 0; first < width; first += warp_size) {
      const int64_t x = first + lane;
      const bool starts = x > 0 && x < width && labels[x] != labels[x - 1];
      const unsigned until_here = __ballot_sync(whole_warp, starts) & (0xffffffffu >> (warp_size - 1 - lane));
      const int64_t own = until_here == 0 ? start : first + warp_size - 1 - __clz(static_cast<int>(until_here));
      if (x < width) out[x] = steps_or_infinity(own > 0, x - own + 1);
      start = __shfl_sync(whole_warp, own, warp_size - 1);
    }
    int64_t end = width - 1;
    for (int64_t first = (width - 1) / warp_size * warp_size; first >= 0; first -= warp_size) {
      const int64_t x = first + lane;
      const bool ends = x + 1 < width && labels[x] != labels[x + 1];
      const unsigned from_here = __ballot_sync(whole_warp, ends) & (0xffffffffu << lane);
      const int64_t own = from_here == 0 ? end : first + __ffs(static_cast<int>(from_here)) - 1;
      if (x < width) {
        const float behind = steps_or_infinity(own + 1 < width, own - x + 1);
        const float steps = out[x] < behind ? out[x] : behind;
        out[x] = steps * steps * weight;
      }
      end = __shfl_sync(whole_warp, own, 0);
    }
  }
}

struct Axis {
  int64_t length, stride;
  float weight;
};

// Looks for something nearer on one side of a pixel, a step at a time.
class Side {
 public:
  __device__ Side(int64_t steps_to_border, int64_t stride) : left_(steps_to_border), stride_(stride) {}
  __device__ bool open() const { return left_ > 0; }

  // labels, squares: at the pixel
  __device__ float look(const int32_t* labels, const float* squares, int64_t step, float along) {
    if (left_ == 0) return std::numeric_limits<float>::infinity();
    --left_;
    const int64_t there = step * stride_;
    if (labels[there] == labels[0]) return squares[there] + along;
    left_ = 0;
    return along;
  }

 private:
  int64_t left_, stride_;
};

__global__ void search_along(const Map map, const Axis axis, const float* squares, float* out, bool last) {
  const int64_t pixels = map.grid.pixels(), all = map.grid.batch * pixels;
  for (int64_t i = grid_thread(); i < all; i += grid_threads()) {
    const int32_t id = map.labels[i];
    float best = 0;
    if (id > 0) {
      const int64_t place = i / axis.stride % axis.length;
      Side before(place, -axis.stride), after(axis.length - 1 - place, axis.stride);
      best = squares[i];
      for (int64_t step = 1; before.open() || after.open(); ++step) {
        const float along = axis.weight * static_cast<float>(step * step);
        if (along >= best) break;
        const float one = before.look(map.labels + i, squares + i, step, along);
        const float other = after.look(map.labels + i, squares + i, step, along);
        best = one < best ? one : best;
        best = other < best ? other : best;
      }
    }
    out[i] = best;
    if (!last || id <= 0) continue;
    // Numbers that are not negative are in the order of their bits. Most are not the largest so far: no atomic for
    // those.
    int32_t* const largest = map.largest + i / pixels * map.row_size + id;
    if (__float_as_int(best) > *largest) atomicMax(largest, __float_as_int(best));
  }
}

__global__ void normalise(const Map map, float* out) {
  const int64_t pixels = map.grid.pixels(), all = map.grid.batch * pixels;
  for (int64_t i = grid_thread(); i < all; i += grid_threads()) {
    const int32_t id = map.labels[i];
    if (id <= 0) continue;
    const float scale = __int_as_float(map.largest[i / pixels * map.row_size + id]);
    const bool alone = scale == std::numeric_limits<float>::infinity();  // nothing outside it: the object is the image
    out[i] = alone ? 1.0f : std::sqrt(out[i] / scale);
  }
}

// labels: int32 [B, *spatial]
Tensor distance_map(const Tensor& strided, std::vector<double> spacing) {
  const Device device(strided);
  check_map(strided, "labels", ScalarType::Int);
  const Tensor labels = torch::stable::contiguous(strided);
  const Tensor out = device.empty_like(labels, ScalarType::Float);
  const Grid grid = grid_of(labels);
  const int64_t all = labels.numel(), rows = grid.batch * grid.depth * grid.height;
  if (all == 0) return out;
  const CompactLabels compacted = compact(device, labels);
  const Tensor largest = device.zeros({grid.batch, compacted.row_size}, ScalarType::Int);
  const Tensor spare = device.empty({all}, ScalarType::Float);
  const Map map = {data<int32_t>(compacted.labels), grid, squared_weights(spacing, grid), compacted.row_size,
                   data<int32_t>(largest)};
  const LaunchShape a_thread_each_pixel = {blocks_for(all, threads), threads};
  const bool volume = grid.depth > 1;
  float *from = data<float>(volume ? out : spare), *to = data<float>(volume ? spare : out);
  device.launch(measure_rows, {blocks_for(rows * warp_size, threads), threads}, map, rows, map.weights[2], from);
  const Axis y = {grid.height, grid.width, map.weights[1]};
  device.launch(search_along, a_thread_each_pixel, map, y, from, to, !volume);
  if (volume) {
    const Axis z = {grid.depth, grid.height * grid.width, map.weights[0]};
    device.launch(search_along, a_thread_each_pixel, map, z, to, from, true);
  }
  device.launch(normalise, a_thread_each_pixel, map, data<float>(out));
  return out;
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(distance_map)
