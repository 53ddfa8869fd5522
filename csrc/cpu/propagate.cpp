// Frontier propagation: seeds grow over the pixels like them. SPEC, Postprocessing, steps 2 to 4.
#include <torch/csrc/stable/library.h>

#include <mutex>

#include "cpu/judgement.h"
#include "cpu/padded_labels.h"
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

// What was judged before, a few objects for every block of pixels. An entry holds the object and the bits of the
// pixels it may take in one word, so threads may overwrite each other's: either's is right.
class Memory {
 public:
  explicit Memory(int64_t places) : entries_(places / block_length * ways) {}

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

// Grows one image level by level. While a level runs, a pixel that it assigns carries the level's mark above the bits
// of its label: such a pixel may still be won by a closer object; one without it, or with the last level's, may not.
class Growth {
 public:
  Growth(const Judgement& judgement, int64_t image, int64_t objects, PaddedLabels& labels)
      : judgement_(judgement),
        judge_(EMBEDSEG_BEST_ISA(choose_judge(judgement.view))),
        image_(image),
        first_row_(image * objects),
        labels_(labels),
        memory_(labels.size()) {}

  void run() {
    collect_seeds();
    for (int64_t level = 0; !frontier_.empty(); ++level) {
      mark_ = level % 2 == 0 ? even_mark : odd_mark;
      grow_level();
    }
  }

 private:
  static constexpr uint32_t label_bits = (uint32_t(1) << 30) - 1, mark_bits = ~label_bits;
  static constexpr uint32_t even_mark = uint32_t(1) << 30, odd_mark = uint32_t(2) << 30;
  static constexpr int32_t out_of_bounds = -1, unassigned = 0;

  void collect_seeds() {
    std::mutex mutex;
    std::vector<int64_t> seeds;
    labels_.for_rows([&](int64_t, int64_t place) {
      std::vector<int64_t> found;
      for (int64_t p = place; p < place + labels_.width(); ++p) {
        if (load(p) > 0 && touches_unassigned(p)) found.push_back(p);
      }
      if (found.empty()) return;
      const std::lock_guard lock(mutex);
      seeds.insert(seeds.end(), found.begin(), found.end());
    });
    frontier_ = std::move(seeds);
  }

  bool touches_unassigned(int64_t place) {
    return std::any_of(labels_.neighbors().begin(), labels_.neighbors().end(),
                       [&](int64_t offset) { return load(place + offset) == unassigned; });
  }

  void grow_level() {
    std::mutex mutex;
    std::vector<int64_t> next;
    torch::stable::parallel_for(0, static_cast<int64_t>(frontier_.size()), 1024, [&](int64_t first, int64_t last) {
      std::vector<int64_t> taken;
      for (int64_t i = first; i < last; ++i) expand(frontier_[i], taken);
      const std::lock_guard lock(mutex);
      next.insert(next.end(), taken.begin(), taken.end());
    });
    frontier_.swap(next);
  }

  void expand(int64_t place, std::vector<int64_t>& taken) {
    const int32_t object = static_cast<int32_t>(load(place) & label_bits);
    labels_[place].store(object, std::memory_order_relaxed);  // the last level's mark goes
    for (const int64_t offset : labels_.neighbors()) {
      const int64_t neighbor = place + offset;
      int32_t held = load(neighbor);
      if (held == unassigned && accepts(neighbor, object)) {
        if (labels_[neighbor].compare_exchange_strong(held, marked(object), std::memory_order_relaxed)) {
          taken.push_back(neighbor);
          continue;
        }
      }
      if (is_contested(held, object)) contest(neighbor, held, object);
    }
  }

  bool is_contested(int32_t held, int32_t object) const {
    return held != out_of_bounds && (held & mark_bits) == mark_ && static_cast<int32_t>(held & label_bits) != object;
  }

  // Another object took the pixel in this same level: the closer one has it, of two as close the smaller label.
  void contest(int64_t place, int32_t held, int32_t object) {
    if (!accepts(place, object)) return;
    const double distance = exact_distance(place, object);
    while (is_contested(held, object)) {
      const int32_t holder = static_cast<int32_t>(held & label_bits);
      const double held_distance = exact_distance(place, holder);
      if (held_distance < distance || (held_distance == distance && holder < object)) return;
      if (labels_[place].compare_exchange_weak(held, marked(object), std::memory_order_relaxed)) return;
    }
  }

  bool accepts(int64_t place, int32_t object) {
    const int64_t block = place / block_length;
    std::atomic_ref<uint64_t> entry = memory_.entry(block, object);
    uint64_t judged = entry.load(std::memory_order_relaxed);
    if (judged >> block_length != static_cast<uint64_t>(object)) {
      const int64_t first = block * block_length;
      judged = static_cast<uint64_t>(object) << block_length |
               judge_(judgement_, image_, labels_.pixel_at(first), labels_.block_pixels(first), first_row_ + object);
      entry.store(judged, std::memory_order_relaxed);
    }
    return judged >> (place % block_length) & 1;
  }

  double exact_distance(int64_t place, int32_t object) const {
    return judgement_.distance(image_, labels_.pixel_at(place), first_row_ + object);
  }

  int32_t load(int64_t place) { return labels_[place].load(std::memory_order_relaxed); }
  int32_t marked(int32_t object) const { return static_cast<int32_t>(static_cast<uint32_t>(object) | mark_); }

  const Judgement& judgement_;
  Judge judge_;
  int64_t image_, first_row_;
  PaddedLabels& labels_;
  Memory memory_;
  std::vector<int64_t> frontier_;
  uint32_t mark_ = even_mark;
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
    PaddedLabels labels(grid, seed + image * grid.pixels());
    Growth(judgement, image, objects, labels).run();
    labels.copy_to(data<int32_t>(result) + image * grid.pixels());
  }
  return result;
}

}  // namespace
}  // namespace embedseg

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) { m.impl("propagate", TORCH_BOX(&embedseg::propagate)); }
