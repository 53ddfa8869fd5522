#include "cpu/neighbors/pieces.h"

#include <bit>
#include <cstring>

#include "cpu/workers.h"

namespace embedseg::cpu {
namespace {

struct Image {
  const int32_t* labels;
  Grid grid;

  const int32_t* row(int64_t z, int64_t y) const { return labels + (z * grid.height + y) * grid.width; }
};

constexpr int64_t row_size = 16;  // of a full tile

// Whether row[x] is `label` for x below size.
bool is_filled(const int32_t* row, int64_t size, int32_t label) {
  int32_t difference = 0;
  if (size == row_size) {
    for (int64_t x = 0; x < row_size; ++x) difference |= row[x] ^ label;
  } else {
    for (int64_t x = 0; x < size; ++x) difference |= row[x] ^ label;
  }
  return difference == 0;
}

// Bit x is set where a run of equal labels ends: row[x] is not row[x + 1], or x + 1 is size.
uint32_t run_ends(const int32_t* row, int64_t size, bool readable_beyond) {
  if (size < row_size || !readable_beyond) {
    uint32_t ends = uint32_t{1} << (size - 1);
    for (int64_t x = 0; x + 1 < size; ++x) ends |= uint32_t{row[x] != row[x + 1]} << x;
    return ends;
  }
  std::array<uint8_t, row_size> differs;
  for (int64_t x = 0; x < row_size; ++x) differs[x] = row[x] != row[x + 1];
  std::array<uint64_t, 2> halves;
  std::memcpy(halves.data(), differs.data(), sizeof(halves));
  // gathers the lowest bits of eight bytes, the first byte's into the lowest bit
  const auto gather = [](uint64_t bytes) { return static_cast<uint32_t>((bytes * 0x0102040810204080) >> 56); };
  return gather(halves[0]) | gather(halves[1]) << 8 | uint32_t{1} << (row_size - 1);
}

// Whether a row of a tile that holds one label only touches no other label.
bool is_interior(const Image& image, int64_t z, int64_t y, int64_t begin, int64_t end) {
  const auto& grid = image.grid;
  const int32_t* row = image.row(z, y);
  const int32_t label = row[begin];
  const auto filled = [&](int64_t z, int64_t y) { return is_filled(image.row(z, y) + begin, end - begin, label); };
  return (begin == 0 || row[begin - 1] == label) && (end == grid.width || row[end] == label) &&
         (y == 0 || filled(z, y - 1)) && (y + 1 == grid.height || filled(z, y + 1)) && (z == 0 || filled(z - 1, y)) &&
         (z + 1 == grid.depth || filled(z + 1, y));
}

// A run of a tile and its label in one integer that sorts by label, then in raster order.
uint64_t pack(int32_t label, int64_t z, int64_t y, int64_t first, int64_t last) {
  return static_cast<uint64_t>(label) << 32 | static_cast<uint64_t>(z << 24 | y << 16 | first << 8 | last);
}

int32_t label_of(uint64_t key) { return static_cast<int32_t>(key >> 32); }

Box box_of(uint64_t key) {
  const auto byte = [&](int shift) { return static_cast<int32_t>(key >> shift & 255); };
  return {{byte(24), byte(16), byte(8)}, {byte(24), byte(16), byte(0)}};
}

// Cuts tiles, one after the other.
class Cutter {
 public:
  Cutter(const Image& image, Pieces& result) : image_(image), result_(result) {}

  void cut(const Box& tile) {
    keys_.clear();
    for (int64_t z = tile.low[0]; z <= tile.high[0]; ++z) {
      for (int64_t y = tile.low[1]; y <= tile.high[1]; ++y) cut_row(tile, z, y);
    }
    std::sort(keys_.begin(), keys_.end());
    for (size_t begin = 0, end; begin < keys_.size(); begin = end) {
      for (end = begin + 1; end < keys_.size() && label_of(keys_[end]) == label_of(keys_[begin]);) ++end;
      add_piece(tile, begin, end);
    }
  }

 private:
  void cut_row(const Box& tile, int64_t z, int64_t y) {
    const int64_t begin = tile.low[2], size = tile.high[2] + 1 - begin;
    const int32_t* row = image_.row(z, y) + begin;
    const bool last_of_all = z + 1 == image_.grid.depth && y + 1 == image_.grid.height;
    uint32_t ends = run_ends(row, size, !last_of_all);
    if (ends == uint32_t{1} << (size - 1) && (row[0] <= 0 || is_interior(image_, z, y, begin, begin + size))) {
      result_.background |= row[0] == 0;
      return;
    }
    for (int64_t first = 0; ends != 0; ends &= ends - 1) {
      const int64_t last = std::countr_zero(ends);
      if (row[first] > 0) keys_.push_back(pack(row[first], z - tile.low[0], y - tile.low[1], first, last));
      result_.background |= row[first] == 0;
      first = last + 1;
    }
  }

  void add_piece(const Box& tile, size_t begin, size_t end) {
    Box box = box_of(keys_[begin]);
    for (size_t i = begin; i < end; ++i) box.include(box_of(keys_[i]));
    const int64_t first_run = static_cast<int64_t>(result_.runs.size());
    for (size_t i = begin; i < end; ++i) {
      const Box run = box_of(keys_[i]);
      const auto relative = [&](int32_t value, int axis) { return static_cast<uint8_t>(value - box.low[axis]); };
      result_.runs.push_back(
          {relative(run.low[0], 0), relative(run.low[1], 1), relative(run.low[2], 2), relative(run.high[2], 2)});
    }
    for (int axis = 0; axis < 3; ++axis) {
      box.low[axis] += tile.low[axis];
      box.high[axis] += tile.low[axis];
    }
    result_.pieces.push_back({box, label_of(keys_[begin]), static_cast<int32_t>(end - begin), {first_run}});
  }

  Image image_;
  Pieces& result_;
  std::vector<uint64_t> keys_;  // of the tile at hand
};

}  // namespace

std::vector<Pieces> cut_into_pieces(const int32_t* labels, const Grid& grid) {
  const Image image = {labels, grid};
  const Offset sides = tile_sides(grid);
  const std::array<int64_t, 3> size = {grid.depth, grid.height, grid.width};
  std::array<int64_t, 3> tiles;
  for (int axis = 0; axis < 3; ++axis) tiles[axis] = (size[axis] + sides[axis] - 1) / sides[axis];

  std::vector<Pieces> results(worker_count());
  share_work(tiles[0] * tiles[1] * tiles[2], 64, [&](int64_t worker, int64_t begin, int64_t end) {
    Cutter cutter(image, results[worker]);
    for (int64_t tile = begin; tile < end; ++tile) {
      const std::array<int64_t, 3> index = {tile / (tiles[1] * tiles[2]), tile / tiles[2] % tiles[1], tile % tiles[2]};
      Box box;
      for (int axis = 0; axis < 3; ++axis) {
        box.low[axis] = static_cast<int32_t>(index[axis] * sides[axis]);
        box.high[axis] = static_cast<int32_t>(std::min((index[axis] + 1) * sides[axis], size[axis]) - 1);
      }
      cutter.cut(box);
    }
  });
  for (Pieces& result : results) {
    for (Piece& piece : result.pieces) piece.runs = result.runs.data() + piece.first_run;
  }
  return results;
}

}  // namespace embedseg::cpu
