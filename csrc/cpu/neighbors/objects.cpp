#include "cpu/neighbors/objects.h"

#include <algorithm>
#include <numeric>

namespace embedseg::cpu {
namespace {

struct Key {
  uint64_t order;
  int64_t index;
};

// A stable radix sort by `order`: the keys are small integers, most digits are the same everywhere.
void sort_keys(std::vector<Key>& keys) {
  constexpr int bits = 11;
  uint64_t same = ~uint64_t{0}, all = 0;
  for (const Key& key : keys) same &= key.order, all |= key.order;
  std::vector<Key> sorted(keys.size());
  std::vector<size_t> places;
  for (int shift = 0; shift < 64; shift += bits) {
    const auto digit = [&](uint64_t order) { return order >> shift & ((1 << bits) - 1); };
    if (digit(same) == digit(all)) continue;
    places.assign((1 << bits) + 1, 0);
    for (const Key& key : keys) ++places[digit(key.order) + 1];
    std::partial_sum(places.begin(), places.end(), places.begin());
    for (const Key& key : keys) sorted[places[digit(key.order)]++] = key;
    keys.swap(sorted);
  }
}

// A third of the distance: smaller blocks are more to look at, larger ones hold more that is out of reach.
void choose_blocks(Objects& objects, const Grid& grid, const Ball& ball) {
  const Offset sides = tile_sides(grid);
  const std::array<int64_t, 3> size = {grid.depth, grid.height, grid.width};
  for (int axis = 0; axis < 3; ++axis) {
    const int32_t side = sides[axis] * std::max(1, ball.extent()[axis] / (3 * sides[axis]));
    objects.block_sides[axis] = side;
    objects.blocks[axis] = static_cast<int32_t>((size[axis] + side - 1) / side);
  }
}

int64_t block_of(const Objects& objects, const Box& box) {
  std::array<int64_t, 3> index;
  for (int axis = 0; axis < 3; ++axis) index[axis] = box.low[axis] / objects.block_sides[axis];
  return (index[0] * objects.blocks[1] + index[1]) * objects.blocks[2] + index[2];
}

// Fills pieces, fragments, labels and first_fragment.
void list_by_object(Objects& objects, const std::vector<Pieces>& parts) {
  std::vector<Piece> pieces;
  for (const Pieces& part : parts) pieces.insert(pieces.end(), part.pieces.begin(), part.pieces.end());
  std::vector<Key> keys(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    const uint64_t block = static_cast<uint64_t>(block_of(objects, pieces[i].box));
    keys[i] = {static_cast<uint64_t>(pieces[i].label) << 32 | block, static_cast<int64_t>(i)};
  }
  sort_keys(keys);

  objects.pieces.reserve(pieces.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const Piece& piece = pieces[keys[i].index];
    if (i > 0 && keys[i].order == keys[i - 1].order) {
      objects.fragments.back().box.include(piece.box);
    } else {
      if (objects.labels.empty() || objects.labels.back() != piece.label) {
        objects.labels.push_back(piece.label);
        objects.first_fragment.push_back(static_cast<int64_t>(objects.fragments.size()));
      }
      const int32_t object = static_cast<int32_t>(objects.labels.size()) - 1;
      const int32_t block = static_cast<int32_t>(keys[i].order & 0xffffffff);
      objects.fragments.push_back({piece.box, object, block, static_cast<int64_t>(i)});
    }
    objects.pieces.push_back(piece);
  }
  objects.first_fragment.push_back(static_cast<int64_t>(objects.fragments.size()));
  objects.fragments.push_back({{}, -1, -1, static_cast<int64_t>(pieces.size())});
}

void rank_objects(Objects& objects) {
  const auto fragment_count = [&](int64_t object) {
    return static_cast<uint64_t>(objects.first_fragment[object + 1] - objects.first_fragment[object]);
  };
  std::vector<Key> keys(objects.labels.size());
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = {fragment_count(i), static_cast<int64_t>(i)};
  sort_keys(keys);
  objects.ranks.resize(keys.size());
  objects.by_rank.resize(keys.size());
  for (size_t rank = 0; rank < keys.size(); ++rank) {
    objects.by_rank[rank] = static_cast<int32_t>(keys[rank].index);
    objects.ranks[keys[rank].index] = static_cast<int32_t>(rank);
  }
}

// Fills first_entry and entries: a counting sort by block that keeps the order of the ranks.
void list_by_block(Objects& objects) {
  const size_t block_count = static_cast<size_t>(objects.blocks[0]) * objects.blocks[1] * objects.blocks[2];
  objects.first_entry.assign(block_count + 2, 0);
  const size_t fragment_count = objects.fragments.size() - 1;
  for (size_t i = 0; i < fragment_count; ++i) ++objects.first_entry[objects.fragments[i].block + 2];
  std::partial_sum(objects.first_entry.begin(), objects.first_entry.end(), objects.first_entry.begin());
  objects.entries.resize(fragment_count);
  for (int64_t rank = static_cast<int64_t>(objects.by_rank.size()) - 1; rank >= 0; --rank) {
    const int32_t object = objects.by_rank[rank];
    for (int64_t i = objects.first_fragment[object]; i < objects.first_fragment[object + 1]; ++i) {
      const int64_t place = objects.first_entry[objects.fragments[i].block + 1]++;
      objects.entries[place] = {objects.fragments[i].box, static_cast<int32_t>(rank), static_cast<int32_t>(i)};
    }
  }
  objects.first_entry.pop_back();
}

}  // namespace

Objects group_pieces(const std::vector<Pieces>& parts, const Grid& grid, const Ball& ball) {
  Objects objects;
  choose_blocks(objects, grid, ball);
  list_by_object(objects, parts);
  rank_objects(objects);
  list_by_block(objects);
  return objects;
}

}  // namespace embedseg::cpu
