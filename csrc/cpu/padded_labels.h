// One image's labels with a border of pixels that are out of bounds, so that every pixel has all its neighbours: rows
// are padded at their end to whole blocks, planes and the image by a row or a plane of border.
#pragma once

#include <algorithm>
#include <atomic>

#include "tensor.h"

namespace embedseg {

constexpr int block_length = 16;  // pixels that are judged, and remembered, together: a cache line of float

class PaddedLabels {
 public:
  PaddedLabels(const Grid& grid, const int32_t* labels) : grid_(grid) {
    const bool volume = grid.depth > 1;
    row_ = (grid.width / block_length + 1) * block_length;
    plane_ = (grid.height + 1) * row_;
    const int64_t border = (volume ? plane_ : 0) + row_ + block_length;
    origin_ = border;
    labels_.assign(border + grid.depth * plane_ + border, -1);
    for_rows([&](int64_t pixel, int64_t place) { std::copy_n(labels + pixel, grid.width, &labels_[place]); });
    for (int64_t z = volume ? -1 : 0; z <= (volume ? 1 : 0); ++z) {
      for (int64_t y = -1; y <= 1; ++y) {
        for (int64_t x = -1; x <= 1; ++x) {
          if (x != 0 || y != 0 || z != 0) neighbors_.push_back(z * plane_ + y * row_ + x);
        }
      }
    }
  }

  void copy_to(int32_t* labels) const {
    for_rows([&](int64_t pixel, int64_t place) { std::copy_n(&labels_[place], grid_.width, labels + pixel); });
  }

  // body(pixel, place) for the first pixel of every row: in raster order of the image, and its place in here.
  template <class Body>
  void for_rows(const Body& body) const {
    torch::stable::parallel_for(0, grid_.depth * grid_.height, 64, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) {
        body(row * grid_.width, origin_ + row / grid_.height * plane_ + row % grid_.height * row_);
      }
    });
  }

  int64_t pixel_at(int64_t place) const {
    const int64_t inside = place - origin_;
    return (inside / plane_ * grid_.height + inside % plane_ / row_) * grid_.width + inside % row_;
  }

  // How many of a block's pixels are within its row.
  int block_pixels(int64_t place) const {
    return static_cast<int>(std::min<int64_t>(block_length, grid_.width - (place - origin_) % row_));
  }

  int64_t size() const { return static_cast<int64_t>(labels_.size()); }
  int64_t width() const { return grid_.width; }
  const std::vector<int64_t>& neighbors() const { return neighbors_; }
  std::atomic_ref<int32_t> operator[](int64_t place) { return std::atomic_ref(labels_[place]); }

 private:
  Grid grid_;
  int64_t row_, plane_, origin_;
  std::vector<int32_t> labels_;
  std::vector<int64_t> neighbors_;
};

}  // namespace embedseg
