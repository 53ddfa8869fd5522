// How an embedding [B, D, *spatial] lies in memory, whatever its strides.
#pragma once

#include <limits>
#include <type_traits>

#include "common/tensor.h"

namespace embedseg {

// The type to compute in: double for double, float for everything else.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, double>, double, float>;
inline ScalarType compute_dtype(ScalarType storage) {
  return storage == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

// Squared lengths between these neither overflowed nor lost bits to underflow.
template <class C>
constexpr C largest_square = std::numeric_limits<C>::max() / 4;
template <class C>
constexpr C smallest_square = 4 / std::numeric_limits<C>::max();

enum class Layout { planar, interleaved, strided };  // contiguous, channels last, anything else

// Pixels are counted in raster order within an image. A row is a stretch of pixels at a constant stride: the whole
// image where it is dense, the last axis otherwise.
struct EmbeddingView {
  void* data;
  ScalarType dtype;
  int64_t batch, dim, pixels;
  int64_t batch_stride, dim_stride, pixel_stride;
  int64_t row_length, rows_per_plane, row_stride, plane_stride;

  C10_HOST_DEVICE bool dense() const { return row_length >= pixels; }

  Layout layout() const {
    if (pixel_stride == 1) return Layout::planar;
    return dim_stride == 1 && pixel_stride == dim ? Layout::interleaved : Layout::strided;
  }

  // Offset, in elements, of the first channel of a pixel.
  C10_HOST_DEVICE int64_t offset(int64_t image, int64_t pixel) const {
    if (dense()) return image * batch_stride + pixel * pixel_stride;
    const int64_t row = pixel / row_length;
    return image * batch_stride + row / rows_per_plane * plane_stride + row % rows_per_plane * row_stride +
           pixel % row_length * pixel_stride;
  }
};

inline EmbeddingView view_of(const Tensor& embedding) {
  const auto size = embedding.sizes();
  const auto stride = embedding.strides();
  const size_t last = size.size() - 1;
  const bool volume = size.size() == 5;
  const int64_t depth = volume ? size[2] : 1;
  const int64_t height = size[last - 1], width = size[last];
  EmbeddingView view{.data = embedding.data_ptr(),
                     .dtype = embedding.scalar_type(),
                     .batch = size[0],
                     .dim = size[1],
                     .pixels = depth * height * width,
                     .batch_stride = stride[0],
                     .dim_stride = stride[1],
                     .pixel_stride = stride[last],
                     .row_length = width,
                     .rows_per_plane = height,
                     .row_stride = stride[last - 1],
                     .plane_stride = volume ? stride[2] : 0};
  const bool dense_plane = view.row_stride == width * view.pixel_stride || height == 1;
  const bool dense_volume = view.plane_stride == height * width * view.pixel_stride || depth == 1;
  if (dense_plane && dense_volume) view.row_length = view.pixels;
  view.row_length = std::max<int64_t>(view.row_length, 1);
  view.rows_per_plane = std::max<int64_t>(view.rows_per_plane, 1);
  return view;
}

// Calls body with the storage type of the embedding: template <class T> void operator()().
template <class Body>
void with_storage(ScalarType dtype, const Body& body) {
  switch (dtype) {
    case ScalarType::Float:
      return body.template operator()<float>();
    case ScalarType::Double:
      return body.template operator()<double>();
    case ScalarType::Half:
      return body.template operator()<c10::Half>();
    case ScalarType::BFloat16:
      return body.template operator()<c10::BFloat16>();
    default:
      STD_TORCH_CHECK(false, "embedding must be float16, bfloat16, float32 or float64");
  }
}

}  // namespace embedseg
