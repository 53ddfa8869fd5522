// Where the pixels of an embedding lie, in the grains that kernels work on: tiles, and segments of rows.
#pragma once

#include <algorithm>

#include "common/embedding.h"

namespace embedseg::cpu {

// A tile is a few neighbouring pixels of one row: its first pixel's first channel, the strides, how many there are.
template <class T>
struct TilePlace {
  T* first;
  Layout layout;
  int64_t dim, dim_stride, pixel_stride;
  int pixels;
};

template <class T>
TilePlace<T> tile_place(const EmbeddingView& view, int64_t image, int64_t pixel, int pixels) {
  T* first = static_cast<T*>(view.data) + view.offset(image, pixel);
  return {first, view.layout(), view.dim, view.dim_stride, view.pixel_stride, pixels};
}

constexpr int64_t segment_length = 4096;  // pixels: 16 KiB of labels, half of a first-level cache

// The grain of parallel work: every image's rows, cut into segments.
struct Segments {
  explicit Segments(const EmbeddingView& view)
      : row_length(view.row_length),
        per_row((view.row_length + segment_length - 1) / segment_length),
        per_image(view.pixels / view.row_length * per_row),
        count(view.batch * per_image) {}

  // body(image, begin, end) for pixels [begin, end) of an image
  template <class Body>
  void visit(int64_t first, int64_t last, const Body& body) const {
    for (int64_t i = first; i < last; ++i) {
      const int64_t row = i % per_image / per_row * row_length;
      const int64_t begin = i % per_row * segment_length;
      body(i / per_image, row + begin, row + std::min(begin + segment_length, row_length));
    }
  }

  int64_t row_length, per_row, per_image, count;
};

}  // namespace embedseg::cpu
