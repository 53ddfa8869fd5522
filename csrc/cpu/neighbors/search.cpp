#include "cpu/neighbors/search.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "common/ball.h"
#include "cpu/neighbors/objects.h"
#include "cpu/neighbors/pieces.h"
#include "cpu/workers.h"

namespace embedseg::cpu {
namespace {

struct Pair {
  int32_t object, partner;
};

Box box_of(const Run& run, const Box& piece) {
  const auto [z, y, x] = piece.low;
  return {{z + run.z, y + run.y, x + run.first}, {z + run.z, y + run.y, x + run.last}};
}

bool runs_are_near(const Piece& a, const Piece& b, const Ball& ball) {
  for (int32_t i = 0; i < a.run_count; ++i) {
    const Box run = box_of(a.runs[i], a.box);
    if (!ball.contains(nearest(run, b.box))) continue;
    for (int32_t j = 0; j < b.run_count; ++j) {
      if (ball.contains(nearest(run, box_of(b.runs[j], b.box)))) return true;
    }
  }
  return false;
}

bool pieces_are_near(const Piece& a, const Piece& b, const Ball& ball) {
  if (!ball.contains(nearest(a.box, b.box))) return false;
  return ball.contains(farthest(a.box, b.box)) || runs_are_near(a, b, ball);
}

bool fragments_are_near(const Objects& objects, const Fragment& a, const Entry& entry, const Ball& ball) {
  if (!ball.contains(nearest(a.box, entry.box))) return false;
  if (ball.contains(farthest(a.box, entry.box))) return true;
  const Fragment& b = objects.fragments[entry.fragment];
  const auto end = [](const Fragment& fragment) { return (&fragment + 1)->first_piece; };
  for (int64_t i = a.first_piece; i < end(a); ++i) {
    if (!ball.contains(nearest(objects.pieces[i].box, b.box))) continue;
    for (int64_t j = b.first_piece; j < end(b); ++j) {
      if (pieces_are_near(objects.pieces[i], objects.pieces[j], ball)) return true;
    }
  }
  return false;
}

// Finds the neighbours of one object after the other, of those that rank above it: the object with fewer fragments
// looks for the one with more, so one huge object costs no more than the surroundings of the others.
class Search {
 public:
  Search(const Objects& objects, const Ball& ball)
      : objects_(objects),
        ball_(ball),
        found_by_(objects.labels.size(), -1),
        done_by_(objects.first_entry.size(), -1) {}

  void run(int32_t rank) {
    const int32_t object = objects_.by_rank[rank];
    left_ = static_cast<int64_t>(objects_.labels.size()) - 1 - rank;
    for (int64_t i = objects_.first_fragment[object]; i < objects_.first_fragment[object + 1] && left_ > 0; ++i) {
      look_around(objects_.fragments[i], rank);
    }
  }

  const std::vector<Pair>& pairs() const { return pairs_; }

 private:
  void look_around(const Fragment& fragment, int32_t rank) {
    Offset low, high;
    for (int axis = 0; axis < 3; ++axis) {
      const int32_t reach = ball_.extent()[axis] - 1, side = objects_.block_sides[axis];
      low[axis] = std::max(0, fragment.box.low[axis] - reach) / side;
      high[axis] = std::min((fragment.box.high[axis] + reach) / side, objects_.blocks[axis] - 1);
    }
    for (int32_t z = low[0]; z <= high[0]; ++z) {
      for (int32_t y = low[1]; y <= high[1]; ++y) {
        for (int32_t x = low[2]; x <= high[2]; ++x) look_into({z, y, x}, fragment, rank);
      }
    }
  }

  void look_into(const Offset& index, const Fragment& fragment, int32_t rank) {
    const int64_t block = (index[0] * int64_t{objects_.blocks[1]} + index[1]) * objects_.blocks[2] + index[2];
    if (done_by_[block] == rank) return;
    bool done = true;  // everything in the block is a neighbour: the object's other fragments need not look again
    for (int64_t i = objects_.first_entry[block]; i < objects_.first_entry[block + 1]; ++i) {
      const Entry& entry = objects_.entries[i];
      if (entry.rank <= rank) break;
      if (found_by_[entry.rank] == rank) continue;
      if (!fragments_are_near(objects_, fragment, entry, ball_)) {
        done = false;
        continue;
      }
      found_by_[entry.rank] = rank;
      pairs_.push_back({fragment.object, objects_.by_rank[entry.rank]});
      --left_;
    }
    if (done) done_by_[block] = rank;
  }

  const Objects& objects_;
  const Ball& ball_;
  int64_t left_ = 0;               // objects that rank above and are not found yet
  std::vector<int32_t> found_by_;  // for each rank, the last rank that found it
  std::vector<int32_t> done_by_;   // for each block, the last rank that found everything in it
  std::vector<Pair> pairs_;
};

// Both directions of each pair, by object, then by partner. A list by object, read in order and distributed by
// partner, is the transposed list with sorted rows; and the relation is symmetric.
void sort_pairs(const std::vector<Search>& searches, Neighbors& result) {
  const size_t size = result.labels.size();
  std::vector<int64_t> first(size + 1, 0);
  for (const Search& search : searches) {
    for (const auto [object, partner] : search.pairs()) ++first[object + 1], ++first[partner + 1];
  }
  std::partial_sum(first.begin(), first.end(), first.begin());
  std::vector<int32_t> unsorted(first[size]);
  std::vector<int64_t> next = first;
  for (const Search& search : searches) {
    for (const auto [object, partner] : search.pairs()) {
      unsorted[next[object]++] = partner;
      unsorted[next[partner]++] = object;
    }
  }
  next = first;
  result.partners.resize(unsorted.size());
  for (size_t object = 0; object < size; ++object) {
    for (int64_t i = first[object]; i < first[object + 1]; ++i) {
      result.partners[next[unsorted[i]]++] = static_cast<int32_t>(object);
    }
  }
  result.first_partner = std::move(first);
}

}  // namespace

Neighbors find_neighbors(const int32_t* labels, const Grid& grid, double distance,
                         const std::array<double, 3>& spacing) {
  const Ball ball(distance, spacing, grid);
  const std::vector<Pieces> parts = cut_into_pieces(labels, grid);
  const Objects objects = group_pieces(parts, grid, ball);
  std::vector<Search> searches(worker_count(), Search(objects, ball));
  const int64_t size = static_cast<int64_t>(objects.labels.size());
  share_work(size, 1, [&](int64_t worker, int64_t begin, int64_t end) {
    // from the top: the largest objects take longest
    for (int64_t i = begin; i < end; ++i) searches[worker].run(static_cast<int32_t>(size - 1 - i));
  });

  Neighbors result;
  result.labels = objects.labels;
  for (const Pieces& part : parts) result.background |= part.background;
  sort_pairs(searches, result);
  return result;
}

}  // namespace embedseg::cpu
