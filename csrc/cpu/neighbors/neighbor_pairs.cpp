// Neighbouring objects: those closer to each other than a distance. docs/method.md, Neighbours.
#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <vector>

#include "common/checks.h"
#include "cpu/contiguous.h"
#include "cpu/neighbors/pieces.h"

namespace embedseg::cpu {
namespace {

struct Neighbors {
  std::vector<int32_t> labels;                 // ascending; an object that fills its image has no boundary: not here
  std::vector<std::vector<int32_t>> partners;  // of each label, indices into labels, ascending
};

// Where a piece is.
struct Place {
  int32_t label, tile, piece;
  auto operator<=>(const Place&) const = default;
};

bool are_near(const Tile& tile, const Piece& piece, const Tile& other_tile, const Piece& other, const Ball& ball) {
  if (!ball.contains(nearest(piece.box, other.box))) return false;
  if (ball.contains(farthest(piece.box, other.box))) return true;
  for (int32_t i = piece.first_run; i < piece.end_run; ++i) {
    const Box& run = tile.runs[i].box;
    if (!ball.contains(nearest(run, other.box))) continue;
    for (int32_t j = other.first_run; j < other.end_run; ++j) {
      if (ball.contains(nearest(run, other_tile.runs[j].box))) return true;
    }
  }
  return false;
}

// Finds the partners of one object after the other.
class Search {
 public:
  Search(const Tiles& tiles, const Ball& ball, size_t objects) : tiles_(tiles), ball_(ball), found_by_(objects, -1) {}

  // places: of the object's pieces
  void run(int32_t object, const Place* places, const Place* end, std::vector<int32_t>& partners) {
    found_by_[object] = object;
    for (; places != end && partners.size() + 1 < found_by_.size(); ++places) {
      const Tile& tile = tiles_.tiles[places->tile];
      look_around(tile, tile.pieces[places->piece], partners);
    }
    std::sort(partners.begin(), partners.end());
  }

 private:
  void look_around(const Tile& tile, const Piece& piece, std::vector<int32_t>& partners) {
    Offset low, high;  // tiles within reach
    for (int axis = 0; axis < 3; ++axis) {
      const int32_t reach = ball_.extent()[axis] - 1, side = tiles_.sides[axis];
      low[axis] = std::max(0, piece.box.low[axis] - reach) / side;
      high[axis] = std::min((piece.box.high[axis] + reach) / side, tiles_.counts[axis] - 1);
    }
    for (int32_t z = low[0]; z <= high[0]; ++z) {
      for (int32_t y = low[1]; y <= high[1]; ++y) {
        const Tile* row = &tiles_.tiles[(z * int64_t{tiles_.counts[1]} + y) * tiles_.counts[2]];
        for (int32_t x = low[2]; x <= high[2]; ++x) look_into(row[x], tile, piece, partners);
      }
    }
  }

  void look_into(const Tile& other_tile, const Tile& tile, const Piece& piece, std::vector<int32_t>& partners) {
    for (const Piece& other : other_tile.pieces) {
      if (found_by_[other.object] == piece.object || !are_near(tile, piece, other_tile, other, ball_)) continue;
      found_by_[other.object] = piece.object;
      partners.push_back(other.object);
    }
  }

  const Tiles& tiles_;
  const Ball& ball_;
  std::vector<int32_t> found_by_;  // for each object, the last one that found it
};

// By label, then in the order of the tiles.
std::vector<Place> list_places(const Tiles& tiles) {
  std::vector<Place> places;
  for (size_t tile = 0; tile < tiles.tiles.size(); ++tile) {
    for (size_t piece = 0; piece < tiles.tiles[tile].pieces.size(); ++piece) {
      places.push_back(
          {tiles.tiles[tile].pieces[piece].label, static_cast<int32_t>(tile), static_cast<int32_t>(piece)});
    }
  }
  std::sort(places.begin(), places.end());
  return places;
}

// labels: one image [depth, height, width]
Neighbors find_neighbors(const int32_t* labels, const Grid& grid, const Ball& ball) {
  Tiles tiles = cut_into_tiles(labels, grid);
  const std::vector<Place> places = list_places(tiles);
  Neighbors result;
  std::vector<size_t> first;  // place of each object, and the end of the last one's
  for (size_t i = 0; i < places.size(); ++i) {
    if (i == 0 || places[i].label != places[i - 1].label) {
      result.labels.push_back(places[i].label);
      first.push_back(i);
    }
    tiles.tiles[places[i].tile].pieces[places[i].piece].object = static_cast<int32_t>(result.labels.size()) - 1;
  }
  first.push_back(places.size());
  result.partners.resize(result.labels.size());
  torch::stable::parallel_for(0, static_cast<int64_t>(result.labels.size()), 16, [&](int64_t begin, int64_t end) {
    Search search(tiles, ball, result.labels.size());
    for (int64_t i = begin; i < end; ++i) {
      search.run(static_cast<int32_t>(i), &places[first[i]], &places[0] + first[i + 1], result.partners[i]);
    }
  });
  return result;
}

// with_background: whether label 0 occurs and counts as everyone's neighbour
void append_rows(std::vector<int64_t>& rows, int64_t image, const Neighbors& neighbors, bool with_background) {
  if (with_background) {
    for (const int32_t label : neighbors.labels) rows.insert(rows.end(), {image, 0, label});
  }
  for (size_t i = 0; i < neighbors.labels.size(); ++i) {
    const int64_t label = neighbors.labels[i];
    if (with_background) rows.insert(rows.end(), {image, label, 0});
    for (const int32_t partner : neighbors.partners[i]) {
      rows.insert(rows.end(), {image, label, neighbors.labels[partner]});
    }
  }
}

// labels: int32 [B, *spatial]; returns int64 [P, 3]
Tensor neighbor_pairs(const Tensor& strided, double distance, bool background, std::vector<double> spacing) {
  check_map(strided, "labels", ScalarType::Int);
  const Tensor labels = as_contiguous(strided);
  const Grid grid = grid_of(labels);
  const Ball ball(distance, spacing_3d(spacing), grid);
  std::vector<int64_t> rows;
  for (int64_t image = 0; image < grid.batch; ++image) {
    const int32_t* pixels = data<int32_t>(labels) + image * grid.pixels();
    const Neighbors neighbors = find_neighbors(pixels, grid, ball);
    const bool with_background = background && std::find(pixels, pixels + grid.pixels(), 0) != pixels + grid.pixels();
    append_rows(rows, image, neighbors, with_background);
  }
  const Tensor pairs = empty({static_cast<int64_t>(rows.size() / 3), 3}, ScalarType::Long, labels);
  std::copy(rows.begin(), rows.end(), data<int64_t>(pairs));
  return pairs;
}

}  // namespace
}  // namespace embedseg::cpu

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) { m.impl("neighbor_pairs", TORCH_BOX(&embedseg::cpu::neighbor_pairs)); }
