// One image's labels in blocks of a row's pixels, with a border of pixels that are out of bounds, so that every block
// has all its neighbours: rows are padded at their end (by a pixel at least), planes and the image by rows and planes.
#pragma once

#include <algorithm>
#include <atomic>

#include "common/tensor.h"

namespace embedseg::cpu {

constexpr int block_length = 16;  // pixels: a cache line of float; a set of them is a word of 16 bits
using Bits = uint16_t;

class Blocks {
 public:
  Blocks(const Grid& grid, const int32_t* labels) : grid_(grid) {
    const bool volume = grid.depth > 1;
    row_ = grid.width / block_length + 1;
    plane_ = (grid.height + 1) * row_;
    origin_ = (volume ? plane_ : 0) + row_ + 1;
    count_ = origin_ + grid.depth * plane_ + origin_;
    labels_.assign(count_ * block_length, -1);
    for_rows(
        [&](int64_t pixel, int64_t block) { std::copy_n(labels + pixel, grid.width, &labels_[block * block_length]); });
    for (int64_t z = volume ? -1 : 0; z <= (volume ? 1 : 0); ++z) {
      for (int64_t y = -1; y <= 1; ++y) rows_around_.push_back(z * plane_ + y * row_);
    }
  }

  void copy_to(int32_t* labels) const {
    for_rows([&](int64_t pixel, int64_t block) {
      std::copy_n(&labels_[block * block_length], grid_.width, labels + pixel);
    });
  }

  // body(pixel, block) for every row: its first pixel in raster order of the image, and its first block.
  template <class Body>
  void for_rows(const Body& body) const {
    torch::stable::parallel_for(0, grid_.depth * grid_.height, 64, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row) {
        body(row * grid_.width, origin_ + row / grid_.height * plane_ + row % grid_.height * row_);
      }
    });
  }

  int64_t first_pixel(int64_t block) const {
    const int64_t inside = block - origin_;
    return (inside / plane_ * grid_.height + inside % plane_ / row_) * grid_.width + inside % row_ * block_length;
  }
  // How many of a block's pixels are within the image.
  int pixels(int64_t block) const {
    return static_cast<int>(std::min<int64_t>(block_length, grid_.width - (block - origin_) % row_ * block_length));
  }

  int64_t count() const { return count_; }
  int64_t row_length() const { return row_; }
  // From a block to those at its place in the rows around it, its own row among them.
  const std::vector<int64_t>& rows_around() const { return rows_around_; }
  int32_t* labels(int64_t block) { return &labels_[block * block_length]; }

 private:
  Grid grid_;
  int64_t row_, plane_, origin_, count_;  // in blocks
  LargeVector<int32_t> labels_;
  std::vector<int64_t> rows_around_;
};

}  // namespace embedseg::cpu
