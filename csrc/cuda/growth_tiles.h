// The tiles of a growth: 48 columns of some rows, the core, with a margin of as many pixels around as there are levels
// in a round. What a pixel becomes in t levels depends on what lies at most t pixels away: so a block grows a tile for
// a round, looks at no other block, and its core is right. Margins are grown by more blocks than one, and thrown away.
//
// A tile's row is a number of 64 bits. Its core begins with bit 8, whatever the margin is, so that bits lie in memory
// by bytes.
#pragma once

#include "cuda/places.h"

namespace embedseg::cuda {

constexpr int tile_width = 64, core_width = 48, core_begin = 8;
constexpr int most_tile_rows = 96;

using Row = unsigned long long;  // a bit a column

__device__ inline Row columns(int begin, int end) { return (~Row{0} >> (tile_width - (end - begin))) << begin; }

// A row of a tile in the image.
struct RowPlace {
  bool inside;
  int32_t row;  // of the image's
};

struct TilePlace {
  int32_t image, column;  // which column of tiles
  int32_t x, y, z;        // where its first row begins in the image, at or before 0 perhaps
};

struct Tiling {
  Grid grid;
  int levels;         // of a round
  int height, depth;  // a tile's rows and planes, with the margin
  int depth_margin;
  uint32_t across, down, deep;  // how many tiles
  Divisor by_height, by_across, by_down, by_deep;

  explicit Tiling(const Grid& of)
      : grid(of),
        levels(of.depth > 1 ? 2 : 8),
        height(of.depth > 1 ? 12 : 64),
        depth(of.depth > 1 ? 8 : 1),
        depth_margin(of.depth > 1 ? levels : 0),
        across(count(of.width, core_width)),
        down(count(of.height, height - 2 * levels)),
        deep(count(of.depth, depth - 2 * depth_margin)),
        by_height(height),
        by_across(across),
        by_down(down),
        by_deep(deep) {}

  constexpr int64_t tiles() const { return grid.batch * deep * down * across; }
  // A row's bits: those of the cores one after another, between bits that stay 0.
  constexpr int64_t halfwords_in_row() const { return int64_t{3} * across + 2; }
  int64_t halfwords() const { return grid.batch * grid.depth * grid.height * halfwords_in_row(); }

  __device__ int rows() const { return height * depth; }
  __device__ int planes_around() const { return depth_margin > 0 ? 1 : 0; }

  __device__ TilePlace place(uint32_t tile) const {
    const uint32_t row = by_across.divide(tile), plane = by_down.divide(row), image = by_deep.divide(plane);
    const auto tx = static_cast<int32_t>(tile - row * across);
    const auto ty = static_cast<int32_t>(row - plane * down), tz = static_cast<int32_t>(plane - image * deep);
    return {static_cast<int32_t>(image), tx, tx * core_width - core_begin, ty * (height - 2 * levels) - levels,
            tz * (depth - 2 * depth_margin) - depth_margin};
  }

  __device__ RowPlace row(const TilePlace& tile, int row) const {
    const int plane = static_cast<int>(by_height.divide(static_cast<uint32_t>(row)));
    const int y = tile.y + row - plane * height, z = tile.z + plane;
    const bool inside = y >= 0 && y < grid.height && z >= 0 && z < grid.depth;
    return {inside, z * static_cast<int32_t>(grid.height) + y};
  }

  // The pixels of a row that are within so many of the core.
  __device__ Row near_core(int row, int margin) const {
    const int plane = static_cast<int>(by_height.divide(static_cast<uint32_t>(row))), y = row - plane * height;
    const int cut = levels - margin, depth_cut = depth_margin > 0 ? cut : 0;
    const bool there = y >= cut && y < height - cut && plane >= depth_cut && plane < depth - depth_cut;
    return there ? columns(core_begin - margin, core_begin + core_width + margin) : 0;
  }

  // The columns that are in the image.
  __device__ Row within(const TilePlace& tile) const {
    const int64_t left = grid.width - tile.x;
    return columns(tile.x < 0 ? -tile.x : 0, left < tile_width ? static_cast<int>(left) : tile_width);
  }

  // Whether tile + (dx, dy, dz), the i-th of the 27 around, is there; and which it is.
  __device__ bool neighbor(uint32_t tile, int i, uint32_t& other) const {
    const uint32_t row = by_across.divide(tile), plane = by_down.divide(row);
    const auto tx = static_cast<int32_t>(tile - row * across) + i % 3 - 1;
    const auto ty = static_cast<int32_t>(row - plane * down) + i / 3 % 3 - 1;
    const auto tz = static_cast<int32_t>(plane - by_deep.divide(plane) * deep) + i / 9 - 1;
    other = tile +
            static_cast<uint32_t>(
                ((i / 9 - 1) * static_cast<int32_t>(down) + i / 3 % 3 - 1) * static_cast<int32_t>(across) + i % 3 - 1);
    return i < 27 && tx >= 0 && tx < static_cast<int32_t>(across) && ty >= 0 && ty < static_cast<int32_t>(down) &&
           tz >= 0 && tz < static_cast<int32_t>(deep);
  }

 private:
  static uint32_t count(int64_t size, int64_t core) { return static_cast<uint32_t>((size + core - 1) / core); }
};

}  // namespace embedseg::cuda
