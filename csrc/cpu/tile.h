// Where the pixels of an embedding lie, in the grains that kernels work on: tiles, and segments of rows.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <vector>

#include "embedding.h"

namespace embedseg {

// The type to compute in: double for double, float for everything else.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Squared lengths between these neither overflowed nor lost bits to underflow.
template <class C>
constexpr C largest_square = std::numeric_limits<C>::max() / 4;
template <class C>
constexpr C smallest_square = 4 / std::numeric_limits<C>::max();

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

// A piece of a segment, channel after channel, in the first-level cache. Images are often a power of two wide: the
// channels of one pixel then compete for the same few cache lines, and reading or writing them tile by tile defeats
// the cache. So planar pieces are copied, one channel at a time, and tiles are taken from the copy.
template <class T>
class Stage {
 public:
  Stage(const EmbeddingView& view, int64_t image, int64_t begin, int64_t end)
      : place_(tile_place<T>(view, image, begin, 0)), end_(end), pixel_(begin), staged_(place_.layout == Layout::planar) {
    piece_ = std::max<int64_t>(64, int64_t(1 << 18) / (view.dim * static_cast<int64_t>(sizeof(T))) / 64 * 64);
    if (staged_) copy_.resize(view.dim * piece_);
  }

  int64_t piece_length() const { return piece_; }

  // The place of the first tile of the piece that begins at a pixel.
  TilePlace<T> open(int64_t pixel) {
    source_ = place_.first + (pixel - pixel_) * place_.pixel_stride;
    length_ = std::min(piece_, end_ - pixel);
    if (!staged_) return {source_, place_.layout, place_.dim, place_.dim_stride, place_.pixel_stride, 0};
    return {copy_.data(), Layout::planar, place_.dim, piece_, 1, 0};
  }

  TilePlace<T> read(int64_t pixel) {
    const TilePlace<T> place = open(pixel);
    for (int64_t d = 0; staged_ && d < place_.dim; ++d) {
      std::memcpy(&copy_[d * piece_], source_ + d * place_.dim_stride, length_ * sizeof(T));
    }
    return place;
  }

  // What was written to the tiles of the open piece goes to the embedding.
  void write() {
    for (int64_t d = 0; staged_ && d < place_.dim; ++d) {
      std::memcpy(source_ + d * place_.dim_stride, &copy_[d * piece_], length_ * sizeof(T));
    }
  }

 private:
  TilePlace<T> place_;
  int64_t end_, pixel_, piece_, length_ = 0;
  bool staged_;
  T* source_ = nullptr;
  std::vector<T> copy_;
};

}  // namespace embedseg
