// Gaussian smoothing, axis by axis: serves seed_smoothing of postprocess.
#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <utility>

#include "common/gaussian.h"
#include "common/tensor.h"
#include "cpu/contiguous.h"
#include "cpu/objects.h"

namespace embedseg::cpu {
namespace {

// A row of pixels at a time; what is added to a pixel comes in the order of the offsets.
template <class T>
class RowSum {
 public:
  RowSum(T* out, int64_t width) : out_(out), width_(width) { std::fill_n(out, width, T(0)); }
  void add(const T* row, T weight) {
    for (int64_t x = 0; x < width_; ++x) out_[x] += weight * row[x];
  }
  void divide(T total) {
    for (int64_t x = 0; x < width_; ++x) out_[x] /= total;
  }

 private:
  T* out_;
  int64_t width_;
};

// Along an axis of `length` rows that are `stride` elements apart.
template <class T>
void smooth_across_rows(const T* line, int64_t place, int64_t length, int64_t stride, int64_t width,
                        const Gaussian<T>& gaussian, T* out) {
  RowSum<T> sum(out, width);
  for (int64_t k = 0; k <= 2 * gaussian.radius; ++k) {
    sum.add(line + mirrored(place + k - gaussian.radius, length) * stride, gaussian.weights[k]);
  }
  sum.divide(gaussian.total);
}

// `padded` has room for `radius` pixels on both sides of the row that begins there.
template <class T>
void smooth_row(T* padded, int64_t width, const Gaussian<T>& gaussian, T* out) {
  T* const row = padded + gaussian.radius;
  for (int64_t x = 1; x <= gaussian.radius; ++x) {
    row[-x] = row[mirrored(-x, width)];
    row[width - 1 + x] = row[mirrored(width - 1 + x, width)];
  }
  RowSum<T> sum(out, width);
  for (int64_t k = 0; k <= 2 * gaussian.radius; ++k) sum.add(padded + k, gaussian.weights[k]);
  sum.divide(gaussian.total);
}

template <class Work>
void for_each_row(const Grid& grid, const Work& work) {
  const int64_t rows = grid.batch * grid.depth * grid.height;
  torch::stable::parallel_for(0, rows, std::max<int64_t>(1, grain_pixels / 16 / grid.width), work);
}

template <class T>
void smooth_images(const T* in, const Grid& grid, double sigma, bool volume, T* out) {
  const Gaussian<T> gaussian(sigma);
  const int64_t width = grid.width, plane = grid.height * width;
  std::vector<T> planes;
  if (volume) {
    planes.resize(grid.batch * grid.pixels());
    for_each_row(grid, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t image = row / (grid.depth * grid.height), z = row / grid.height % grid.depth;
        const T* const line = in + image * grid.pixels() + row % grid.height * width;
        smooth_across_rows(line, z, grid.depth, plane, width, gaussian, planes.data() + row * width);
      }
    });
    in = planes.data();
  }
  for_each_row(grid, [&](int64_t begin, int64_t end) {
    std::vector<T> padded(width + 2 * gaussian.radius);
    for (int64_t row = begin; row < end; ++row) {
      const T* const line = in + row / grid.height * plane;
      smooth_across_rows(line, row % grid.height, grid.height, width, width, gaussian, &padded[gaussian.radius]);
      smooth_row(padded.data(), width, gaussian, out + row * width);
    }
  });
}

// images: float32 or float64 [B, *spatial]
Tensor smooth(const Tensor& strided, double sigma) {
  const ScalarType dtype = strided.scalar_type();
  STD_TORCH_CHECK(
      (dtype == ScalarType::Float || dtype == ScalarType::Double) && (strided.dim() == 3 || strided.dim() == 4),
      "images must be float32 or float64 [B, H, W] or [B, D, H, W]");
  const Tensor images = as_contiguous(strided);
  const Tensor out = empty_like(images, images.scalar_type());
  if (images.numel() == 0) return out;
  const auto run = [&]<class T>(T*) {
    smooth_images(data<const T>(images), grid_of(images), sigma, images.dim() == 4, data<T>(out));
  };
  images.scalar_type() == ScalarType::Double ? run(static_cast<double*>(nullptr)) : run(static_cast<float*>(nullptr));
  return out;
}

}  // namespace
}  // namespace embedseg::cpu

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) { m.impl("smooth", TORCH_BOX(&embedseg::cpu::smooth)); }
