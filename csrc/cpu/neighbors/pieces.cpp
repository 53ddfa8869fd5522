#include "cpu/neighbors/pieces.h"

#include "cpu/objects.h"

namespace embedseg::cpu {
namespace {

struct Image {
  const int32_t* labels;
  Grid grid;

  const int32_t* row(int64_t z, int64_t y) const { return labels + (z * grid.height + y) * grid.width; }
  bool filled(int64_t z, int64_t y, int64_t begin, int64_t end, int32_t label) const {
    const int32_t* pixels = row(z, y);
    int32_t difference = 0;
    for (int64_t x = begin; x < end; ++x) difference |= pixels[x] ^ label;
    return difference == 0;
  }

  // Whether the pixels [begin, end) of a row, all of one label, have no neighbour of another.
  bool is_interior(int64_t z, int64_t y, int64_t begin, int64_t end) const {
    const int32_t* pixels = row(z, y);
    const int32_t label = pixels[begin];
    return (begin == 0 || pixels[begin - 1] == label) && (end == grid.width || pixels[end] == label) &&
           (y == 0 || filled(z, y - 1, begin, end, label)) &&
           (y + 1 == grid.height || filled(z, y + 1, begin, end, label)) &&
           (z == 0 || filled(z - 1, y, begin, end, label)) &&
           (z + 1 == grid.depth || filled(z + 1, y, begin, end, label));
  }
};

Tile cut(const Image& image, const Box& box) {
  Tile tile;
  for (int32_t z = box.low[0]; z <= box.high[0]; ++z) {
    for (int32_t y = box.low[1]; y <= box.high[1]; ++y) {
      for_each_run(image.row(z, y), box.low[2], box.high[2] + 1, [&](int32_t label, int64_t begin, int64_t end) {
        if (label <= 0 || image.is_interior(z, y, begin, end)) return;
        tile.runs.push_back({label, {{z, y, static_cast<int32_t>(begin)}, {z, y, static_cast<int32_t>(end) - 1}}});
      });
    }
  }
  std::sort(tile.runs.begin(), tile.runs.end(), [](const Run& a, const Run& b) { return a.label < b.label; });
  for (size_t i = 0; i < tile.runs.size(); ++i) {
    const Run& run = tile.runs[i];
    const int32_t place = static_cast<int32_t>(i);
    if (i == 0 || run.label != tile.runs[i - 1].label) tile.pieces.push_back({run.box, run.label, -1, place, place});
    tile.pieces.back().box.include(run.box);
    tile.pieces.back().end_run = place + 1;
  }
  return tile;
}

}  // namespace

Tiles cut_into_tiles(const int32_t* labels, const Grid& grid) {
  Tiles result{grid.depth == 1 ? Offset{1, 16, 16} : Offset{8, 8, 16}, {}, {}};
  const std::array<int64_t, 3> size = {grid.depth, grid.height, grid.width};
  for (int axis = 0; axis < 3; ++axis) {
    result.counts[axis] = static_cast<int32_t>((size[axis] + result.sides[axis] - 1) / result.sides[axis]);
  }
  const int64_t in_row = result.counts[2], in_plane = result.counts[1] * in_row;
  result.tiles.resize(result.counts[0] * in_plane);
  const Image image = {labels, grid};
  torch::stable::parallel_for(0, static_cast<int64_t>(result.tiles.size()), 64, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const std::array<int64_t, 3> index = {i / in_plane, i % in_plane / in_row, i % in_row};
      Box box;
      for (int axis = 0; axis < 3; ++axis) {
        const int64_t low = index[axis] * result.sides[axis];
        box.low[axis] = static_cast<int32_t>(low);
        box.high[axis] = static_cast<int32_t>(std::min(low + result.sides[axis], size[axis]) - 1);
      }
      result.tiles[i] = cut(image, box);
    }
  });
  return result;
}

}  // namespace embedseg::cpu
