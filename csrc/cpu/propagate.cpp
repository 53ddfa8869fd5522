// Frontier propagation: seeds grow over the pixels like them. SPEC, Postprocessing, steps 2 to 4.
#include <torch/csrc/stable/library.h>

#include <bit>
#include <mutex>

#include "cpu/blocks.h"
#include "cpu/judgement.h"
#include "cpu/tile.h"

namespace embedseg {
namespace {

using Judge = uint32_t (*)(const Judgement&, int64_t image, int64_t pixel, int pixels, int64_t row);

}  // namespace
}  // namespace embedseg

#define EMBEDSEG_KERNEL "cpu/propagate.inl"
#include "cpu/each_isa.h"

namespace embedseg {

Judgement::Judgement(const EmbeddingView& embedding, const DirectionSums& sums, double limit)
    : view(embedding), max_distance(limit) {
  exact_means_.resize(sums.rows * sums.dim);
  for (int64_t row = 0; row < sums.rows; ++row) {
    const double length = sums.length(row);
    for (int64_t d = 0; d < sums.dim; ++d) {
      exact_means_[row * sums.dim + d] = length > 0 ? sums.sum(row, d) / length : 0.0;
    }
  }
  means = exact_means_.data();
  if (view.dtype == ScalarType::Double) return;
  rounded_means_.assign(exact_means_.begin(), exact_means_.end());
  means = rounded_means_.data();
}

double Judgement::distance(int64_t image, int64_t pixel, int64_t row) const {
  double distance = 1;
  with_storage(view.dtype, [&]<class T>() {
    const TilePlace<T> place = tile_place<T>(view, image, pixel, 1);
    const double* mean = &exact_means_[row * view.dim];
    double largest = 0, square = 0, product = 0;
    bool finite = true;
    for (int64_t d = 0; d < view.dim; ++d) {
      const double value = static_cast<double>(place.first[d * place.dim_stride]);
      finite = finite && std::isfinite(value);
      largest = std::max(largest, std::abs(value));
    }
    for (int64_t d = 0; d < view.dim && finite && largest > 0; ++d) {
      const double value = static_cast<double>(place.first[d * place.dim_stride]) / largest;
      square += value * value;
      product += value * mean[d];
    }
    if (square > 0) distance = 1 - product / std::sqrt(square);
    if (!finite) distance = std::numeric_limits<double>::infinity();
  });
  return distance;
}

namespace {

// What was judged before, a few objects for every block. An entry holds the object and the bits of the pixels that it
// may take in one word, so threads may overwrite each other's: either's is right.
class Memory {
 public:
  explicit Memory(int64_t blocks) : entries_(blocks * ways) {}

  // The entry that has the object, or the one to put it in.
  std::atomic_ref<uint64_t> entry(int64_t block, int32_t object) {
    uint64_t* const entries = &entries_[block * ways];
    int empty = -1;
    for (int way = 0; way < ways; ++way) {
      const uint64_t held = std::atomic_ref(entries[way]).load(std::memory_order_relaxed);
      if (held >> block_length == static_cast<uint64_t>(object)) return std::atomic_ref(entries[way]);
      if (held == 0 && empty < 0) empty = way;
    }
    return std::atomic_ref(entries[empty >= 0 ? empty : object % ways]);
  }

 private:
  static constexpr int ways = 4;
  std::vector<uint64_t> entries_;
};

// A pixel that an object would take although another has taken it in the same level.
struct Contest {
  int64_t block;
  int place;
  int32_t object;
};

// Grows one image level by level, whole blocks at a time. In a level, the pixels that the last one took (fresh) offer
// their object to their neighbours; what is taken now (claimed) counts from the next level on (settled).
class Growth {
 public:
  Growth(const Judgement& judgement, int64_t image, int64_t objects, Blocks& blocks)
      : judgement_(judgement),
        judge_(EMBEDSEG_BEST_ISA(choose_judge(judgement.view))),
        image_(image),
        first_row_(image * objects),
        blocks_(blocks),
        memory_(blocks.count()),
        settled_(blocks.count(), static_cast<Bits>(~0)),
        fresh_(blocks.count(), 0),
        claimed_(blocks.count(), 0) {}

  void run() {
    settle_seeds();
    while (!frontier_.empty()) {
      grow_level();
      for (const Contest& contest : contests_) decide(contest);
      end_level();
    }
  }

 private:
  void settle_seeds() {
    blocks_.for_rows([&](int64_t, int64_t row) {
      std::vector<int64_t> seeded;
      for (int64_t block = row; block < row + blocks_.row_length(); ++block) {
        Bits taken = 0, seeds = 0;
        for (int i = 0; i < block_length; ++i) {
          taken |= static_cast<Bits>((blocks_.labels(block)[i] != 0) << i);
          seeds |= static_cast<Bits>((blocks_.labels(block)[i] > 0) << i);
        }
        settled_[block] = taken;
        fresh_[block] = seeds;
        if (seeds != 0) seeded.push_back(block);
      }
      append(frontier_, seeded);
    });
  }

  void grow_level() {
    touched_.clear();
    contests_.clear();
    torch::stable::parallel_for(0, static_cast<int64_t>(frontier_.size()), 256, [&](int64_t first, int64_t last) {
      std::vector<int64_t> touched;
      std::vector<Contest> contests;
      for (int64_t i = first; i < last; ++i) expand(frontier_[i], touched, contests);
      append(touched_, touched);
      append(contests_, contests);
    });
  }

  void end_level() {
    for (const int64_t block : frontier_) fresh_[block] = 0;
    for (const int64_t block : touched_) {
      fresh_[block] = claimed_[block];
      settled_[block] |= claimed_[block];
      claimed_[block] = 0;
    }
    frontier_.swap(touched_);
  }

  void expand(int64_t block, std::vector<int64_t>& touched, std::vector<Contest>& contests) {
    const int32_t* labels = blocks_.labels(block);
    for (uint32_t left = fresh_[block]; left != 0;) {
      const int32_t object = labels[std::countr_zero(left)];
      uint32_t own = 0;
      for (int i = 0; i < block_length; ++i) own |= static_cast<uint32_t>(labels[i] == object) << i;
      own &= left;
      left &= ~own;
      const uint32_t around = own << 2 | own << 1 | own;  // bit 0 is the last pixel of the block before
      for (const int64_t row : blocks_.rows_around()) {
        offer(block + row, object, static_cast<Bits>(around >> 1), touched, contests);
        if ((around & 1) != 0) offer(block + row - 1, object, Bits(1) << (block_length - 1), touched, contests);
        if ((around >> (block_length + 1)) != 0) offer(block + row + 1, object, 1, touched, contests);
      }
    }
  }

  void offer(int64_t block, int32_t object, Bits pixels, std::vector<int64_t>& touched,
             std::vector<Contest>& contests) {
    pixels &= static_cast<Bits>(~settled_[block]);
    if (pixels == 0) return;
    pixels &= accepted(block, object);
    if (pixels == 0) return;
    const Bits before = std::atomic_ref(claimed_[block]).fetch_or(pixels, std::memory_order_relaxed);
    if (before == 0) touched.push_back(block);
    int32_t* labels = blocks_.labels(block);
    for (uint32_t won = pixels & ~before; won != 0; won &= won - 1) {
      std::atomic_ref(labels[std::countr_zero(won)]).store(object, std::memory_order_relaxed);
    }
    for (uint32_t lost = pixels & before; lost != 0; lost &= lost - 1) {
      const int place = std::countr_zero(lost);
      // The winner may not have written yet; a contest with oneself is decided in one's favour.
      if (std::atomic_ref(labels[place]).load(std::memory_order_relaxed) != object) {
        contests.push_back({block, place, object});
      }
    }
  }

  // The closer object has the pixel, of two as close the smaller label.
  void decide(const Contest& contest) {
    int32_t& holder = blocks_.labels(contest.block)[contest.place];
    if (holder == contest.object) return;
    const int64_t pixel = blocks_.first_pixel(contest.block) + contest.place;
    const double held = judgement_.distance(image_, pixel, first_row_ + holder);
    const double offered = judgement_.distance(image_, pixel, first_row_ + contest.object);
    if (offered < held || (offered == held && contest.object < holder)) holder = contest.object;
  }

  Bits accepted(int64_t block, int32_t object) {
    std::atomic_ref<uint64_t> entry = memory_.entry(block, object);
    uint64_t judged = entry.load(std::memory_order_relaxed);
    if (judged >> block_length != static_cast<uint64_t>(object)) {
      judged = static_cast<uint64_t>(object) << block_length |
               judge_(judgement_, image_, blocks_.first_pixel(block), blocks_.pixels(block), first_row_ + object);
      entry.store(judged, std::memory_order_relaxed);
    }
    return static_cast<Bits>(judged);
  }

  template <class T>
  void append(std::vector<T>& all, const std::vector<T>& more) {
    if (more.empty()) return;
    const std::lock_guard lock(mutex_);
    all.insert(all.end(), more.begin(), more.end());
  }

  const Judgement& judgement_;
  Judge judge_;
  int64_t image_, first_row_;
  Blocks& blocks_;
  Memory memory_;
  std::vector<Bits> settled_, fresh_, claimed_;  // for every block
  std::vector<int64_t> frontier_, touched_;      // blocks with fresh, with claimed pixels
  std::vector<Contest> contests_;
  std::mutex mutex_;
};

int64_t largest_label(const int32_t* labels, int64_t count) {
  return count == 0 ? 0 : std::max<int64_t>(*std::max_element(labels, labels + count), 0);
}

// embedding: [B, D, *spatial]; seeds: int32 [B, *spatial], contiguous
Tensor propagate(const Tensor& embedding, const Tensor& seeds, double max_distance) {
  const Grid grid = grid_of(seeds);
  const int32_t* seed = data<int32_t>(seeds);
  const int64_t objects = largest_label(seed, grid.batch * grid.pixels()) + 1;
  const EmbeddingView view = view_of(embedding);
  const DirectionSums sums = sum_directions(view, view_of_labels(seeds, objects, false), nullptr);
  const Judgement judgement(view, sums, max_distance);
  Tensor result = empty_like(seeds, ScalarType::Int);
  for (int64_t image = 0; image < grid.batch && grid.pixels() > 0; ++image) {
    Blocks blocks(grid, seed + image * grid.pixels());
    Growth(judgement, image, objects, blocks).run();
    blocks.copy_to(data<int32_t>(result) + image * grid.pixels());
  }
  return result;
}

}  // namespace
}  // namespace embedseg

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) { m.impl("propagate", TORCH_BOX(&embedseg::propagate)); }
