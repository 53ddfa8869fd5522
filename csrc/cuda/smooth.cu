// Gaussian smoothing, one kernel an axis: serves seed_smoothing of postprocess. The sums are rounded as on the CPU
// (cpu/smooth.cpp), in the same order, nothing fused.
#include "common/gaussian.h"
#include "cuda/exact.h"
#include "cuda/places.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;
constexpr int weights_at_once = 256;

template <class T>
struct Weights {
  T values[weights_at_once];
};

// Arguments need no copy from the host's memory, which a graph cannot capture.
template <class T>
__global__ void write_weights(const Weights<T> weights, int64_t count, T* out) {
  if (threadIdx.x < count) out[threadIdx.x] = weights.values[threadIdx.x];
}

template <class T>
Tensor upload_weights(const Device& device, const Gaussian<T>& gaussian, ScalarType dtype) {
  const auto count = static_cast<int64_t>(gaussian.weights.size());
  const Tensor weights = device.empty({count}, dtype);
  for (int64_t first = 0; first < count; first += weights_at_once) {
    const int64_t size = std::min<int64_t>(weights_at_once, count - first);
    Weights<T> some = {};
    std::copy_n(gaussian.weights.begin() + first, size, some.values);
    device.launch(write_weights<T>, {1, weights_at_once}, some, size, data<T>(weights) + first);
  }
  return weights;
}

struct Axis {
  Divisor stride, length;
  int32_t step, size;  // from pixel to pixel, and how many there are
};

template <class T>
__global__ void smooth_along(const T* in, const Axis axis, const ImageBlocks places, int64_t pixels, const T* weights,
                             int32_t radius, T total, T* out) {
  const uint32_t pixel = places.item();
  if (pixel >= pixels) return;
  const int64_t i = places.image() * pixels + pixel;
  const auto place = static_cast<int32_t>(axis.length.remainder(axis.stride.divide(pixel)));
  T sum = 0;
  if (place >= radius && place + radius < axis.size) {
    const T* value = in + i - int64_t{radius} * axis.step;
    for (int32_t k = 0; k <= 2 * radius; ++k, value += axis.step) sum = plus(sum, multiply(weights[k], *value));
  } else {
    const T* const line = in + i - int64_t{place} * axis.step;
    for (int32_t k = 0; k <= 2 * radius; ++k) {
      sum = plus(sum, multiply(weights[k], line[mirrored(place + k - radius, axis.size) * axis.step]));
    }
  }
  out[i] = sum / total;
}

template <class T>
void smooth_images(const Device& device, const Tensor& images, double sigma, const Tensor& out) {
  const Gaussian<T> gaussian(sigma);
  const Grid grid = grid_of(images);
  const int64_t pixels = grid.pixels();
  const Tensor weights = upload_weights(device, gaussian, images.scalar_type());
  const Tensor spare = device.empty_like(images, images.scalar_type());
  const bool volume = images.dim() == 4;
  const ImageBlocks places(grid.batch, pixels, threads);
  const auto along = [&](int64_t stride, int64_t length, const Tensor& from, const Tensor& to) {
    const Axis axis = {Divisor(stride), Divisor(length), static_cast<int32_t>(stride), static_cast<int32_t>(length)};
    device.launch(smooth_along<T>, places.shape(), data<T>(from), axis, places, pixels, data<T>(weights),
                  static_cast<int32_t>(gaussian.radius), gaussian.total, data<T>(to));
  };
  if (volume) along(grid.height * grid.width, grid.depth, images, out);
  along(grid.width, grid.height, volume ? out : images, spare);
  along(1, grid.width, spare, out);
}

// images: float32 or float64 [B, *spatial]
Tensor smooth(const Tensor& strided, double sigma) {
  const Device device(strided);
  const ScalarType dtype = strided.scalar_type();
  STD_TORCH_CHECK(
      (dtype == ScalarType::Float || dtype == ScalarType::Double) && (strided.dim() == 3 || strided.dim() == 4),
      "images must be float32 or float64 [B, H, W] or [B, D, H, W]");
  const Tensor images = torch::stable::contiguous(strided), out = device.empty_like(images, images.scalar_type());
  STD_TORCH_CHECK(grid_of(images).pixels() <= std::numeric_limits<int32_t>::max(),
                  "an image of more than 2**31 - 1 pixels cannot be smoothed");
  if (images.numel() == 0) return out;
  if (images.scalar_type() == ScalarType::Double) {
    smooth_images<double>(device, images, sigma, out);
  } else {
    smooth_images<float>(device, images, sigma, out);
  }
  return out;
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(smooth)
