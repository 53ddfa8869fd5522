// The kernels of direction_gradient.
#include "cuda/direction_gradient_kernel.h"
#include "cuda/pixels.h"

#ifndef EMBEDSEG_STORAGE  // CMake compiles this file once for each type
#define EMBEDSEG_STORAGE float
#endif

namespace embedseg::cuda {
namespace {

constexpr int gradient_threads = 256;

// What a pixel of an object takes from the tables; zero for a pixel of none.
template <class C>
class Row {
 public:
  __device__ Row(const GradientTask& task, int64_t image, int64_t pixel) {
    const int64_t place = image * task.view.pixels + pixel;
    const int32_t object = pixel < task.view.pixels ? task.labels.object(place) : -1;
    if (object < 0) return;
    const int64_t row = (image * task.labels.count + object) * task.view.dim;
    row_ = static_cast<const C*>(task.rows) + row;
    if (task.weights == nullptr) return;
    weighted_ = static_cast<const C*>(task.weighted_rows) + row;
    weight_ = static_cast<const C*>(task.weights)[place];
  }
  __device__ C operator[](int64_t d) const {
    const C value = row_ == nullptr ? C(0) : row_[d];
    return weighted_ == nullptr ? value : value + weight_ * weighted_[d];
  }

 private:
  const C *row_ = nullptr, *weighted_ = nullptr;
  C weight_ = 0;
};

// A group of a warp's pixels at a time.
template <class T, int D, Access access>
__global__ void __launch_bounds__(gradient_threads, blocks_at_once<T, D>)
    gradient_kernel(const GradientTask task, int64_t groups_per_image) {
  using C = Compute<T>;
  using Held = Pixels<T, D, access>;
  const int64_t groups = task.view.batch * groups_per_image;
  for (int64_t group = grid_thread() / warp_size; group < groups; group += grid_threads() / warp_size) {
    const int64_t image = group / groups_per_image;
    const LanePixels places = Held::of_warp(group % groups_per_image * warp_size * Held::count);
    Held pixels;
    pixels.load(task.view, image, places);
#pragma unroll
    for (int v = 0; v < Held::count; ++v) {
      const Row<C> row(task, image, places[v]);
      const Scale<C> scale = pixels.measure(v);
      C along = 0;
#pragma unroll
      for (int d = 0; d < D; ++d) along += row[d] * pixels.value(v, d);
      along *= scale.factor * scale.factor;
#pragma unroll
      for (int d = 0; d < D; ++d) {
        const C across = row[d] - along * pixels.value(v, d);
        pixels.values[v][d] = static_cast<T>(across * scale.gradient);
      }
    }
    pixels.store(task.output, image, places);
  }
}

// Any number of channels: the pixel is read twice, the second time from the cache.
template <class T>
__global__ void __launch_bounds__(gradient_threads) gradient_of_any_dim(const GradientTask task) {
  using C = Compute<T>;
  const EmbeddingView& view = task.view;
  for (int64_t i = grid_thread(); i < view.batch * view.pixels; i += grid_threads()) {
    const int64_t image = i / view.pixels, pixel = i % view.pixels;
    const T* const vector = static_cast<const T*>(view.data) + view.offset(image, pixel);
    T* const gradient = static_cast<T*>(task.output.data) + task.output.offset(image, pixel);
    const auto read = [&](int64_t d) { return static_cast<C>(vector[d * view.dim_stride]); };
    const Row<C> row(task, image, pixel);
    const Scale<C> scale = measure<C>(view.dim, read);
    C along = 0;
    for (int64_t d = 0; d < view.dim; ++d) along += row[d] * direction_of(read(d), scale);
    for (int64_t d = 0; d < view.dim; ++d) {
      const C across = row[d] - along * direction_of(read(d), scale);
      gradient[d * task.output.dim_stride] = static_cast<T>(across * scale.gradient);
    }
  }
}

template <class T, int D, Access access>
void launch_gradient(const Device& device, const GradientTask& task) {
  if constexpr (D == 0) {
    device.launch(gradient_of_any_dim<T>,
                  {blocks_for(task.view.batch * task.view.pixels, gradient_threads), gradient_threads}, task);
  } else {
    constexpr int64_t group = warp_size * Pixels<T, D, access>::count;
    const int64_t groups_per_image = (task.view.pixels + group - 1) / group;
    device.launch(gradient_kernel<T, D, access>,
                  {blocks_for(task.view.batch * groups_per_image * warp_size, gradient_threads), gradient_threads},
                  task, groups_per_image);
  }
}

}  // namespace

template <class T>
void write_gradient_as(const Device& device, const GradientTask& task) {
  with_cuda_kernel<T>(task.view, task.output,
                      [&]<int D, Access access>() { launch_gradient<T, D, access>(device, task); });
}

template void write_gradient_as<EMBEDSEG_STORAGE>(const Device& device, const GradientTask& task);

}  // namespace embedseg::cuda
