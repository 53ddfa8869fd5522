// Frontier propagation: seeds grow over the pixels like them. SPEC, Postprocessing, steps 2 to 4.
#include <torch/csrc/stable/library.h>

#include <bit>
#include <mutex>

#include "cpu/growth/blocks.h"
#include "cpu/growth/judgement.h"
#include "simd/tile.h"

namespace embedseg::cpu {
namespace {

using Judge = uint32_t (*)(const Judgement&, int64_t image, int64_t pixel, int pixels, int64_t object);

// What was judged before, a few objects for every block. An entry holds the object and the bits of the pixels that it
// may take in one word, so threads may overwrite each other's: either's is right.
class Memory {
 public:
  explicit Memory(int64_t blocks) : entries_(blocks * ways) {}

  void prefetch(int64_t block) const { __builtin_prefetch(&entries_[block * ways]); }

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
  LargeVector<uint64_t> entries_;
};

// A pixel that an object would take although another has taken it in the same level.
struct Contest {
  int64_t block;
  int place;
  int32_t object;
};

}  // namespace
}  // namespace embedseg::cpu

#define EMBEDSEG_KERNEL "cpu/growth/growth.inl"
#include "simd/each_isa.h"

namespace embedseg::cpu {

Judgement::Judgement(const EmbeddingView& embedding, std::vector<double> directions, double limit, int64_t objects,
                     bool competes)
    : view(embedding),
      max_distance(limit),
      background_competes(competes),
      objects_(objects),
      exact_means_(std::move(directions)) {
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

bool Judgement::accepts(int64_t image, int64_t pixel, int64_t row) const {
  const double to_object = distance(image, pixel, row);
  if (to_object >= max_distance) return false;
  return !background_competes || to_object < distance(image, pixel, background_row(image));
}

namespace {

int64_t largest_label(const int32_t* labels, int64_t count) {
  return count == 0 ? 0 : std::max<int64_t>(*std::max_element(labels, labels + count), 0);
}

// The seeds, with 0 for the background's pixels alone, and -1 for the others.
Tensor with_background(const Tensor& seeds, const Tensor& background) {
  Tensor labels = empty_like(seeds, ScalarType::Int);
  const int32_t* seed = data<int32_t>(seeds);
  const bool* outside = data<bool>(background);
  int32_t* label = data<int32_t>(labels);
  torch::stable::parallel_for(0, seeds.numel(), 1 << 16, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) label[i] = seed[i] == 0 && !outside[i] ? -1 : seed[i];
  });
  return labels;
}

// active: where a pixel joined in the last of `max_levels` levels; or nullptr
Tensor grow_images(const Judgement& judgement, const Tensor& seeds, int64_t max_levels, bool* active) {
  const Grid grid = grid_of(seeds);
  Tensor result = empty_like(seeds, ScalarType::Int);
  for (int64_t image = 0; image < grid.batch && grid.pixels() > 0; ++image) {
    const int64_t first = image * grid.pixels();
    Blocks blocks(grid, data<int32_t>(seeds) + first);
    EMBEDSEG_BEST_ISA(grow(judgement, image, blocks, max_levels, active == nullptr ? nullptr : active + first));
    blocks.copy_to(data<int32_t>(result) + first);
  }
  return result;
}

// embedding: [B, D, *spatial]; seeds: int32 [B, *spatial], contiguous; background: bool, like seeds
Tensor propagate(const Tensor& embedding, const Tensor& seeds, double max_distance,
                 const std::optional<Tensor>& background, std::optional<int64_t> /*largest*/) {
  const int64_t objects = largest_label(data<int32_t>(seeds), seeds.numel()) + 1;
  const EmbeddingView view = view_of(embedding);
  const Tensor labels = background ? with_background(seeds, *background) : seeds;
  const DirectionSums sums = sum_directions(view, view_of_labels(labels, objects, background.has_value()), nullptr);
  const Judgement judgement(view, sums.means(), max_distance, objects, background.has_value());
  return grow_images(judgement, seeds, std::numeric_limits<int64_t>::max(), nullptr);
}

// labels: int32 [B, *spatial], contiguous; vectors: float64 [B, K, D], contiguous, row 0 the background's
std::tuple<Tensor, Tensor> propagate_levels(const Tensor& embedding, const Tensor& labels, const Tensor& vectors,
                                            double max_distance, bool competes, int64_t max_levels) {
  const int64_t objects = vectors.sizes()[1];
  STD_TORCH_CHECK(largest_label(data<int32_t>(labels), labels.numel()) < std::max<int64_t>(objects, 1),
                  "labels must be below the number of rows of the means");
  const EmbeddingView view = view_of(embedding);
  const double* vector = data<double>(vectors);
  std::vector<double> means =
      directions_of(view.batch * objects, view.dim, [&](int64_t row, int64_t d) { return vector[row * view.dim + d]; });
  const Judgement judgement(view, std::move(means), max_distance, objects, competes);
  Tensor active = empty_like(labels, ScalarType::Bool);
  Tensor grown = grow_images(judgement, labels, max_levels, data<bool>(active));
  return {grown, active};
}

}  // namespace
}  // namespace embedseg::cpu

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) {
  m.impl("propagate", TORCH_BOX(&embedseg::cpu::propagate));
  m.impl("propagate_levels", TORCH_BOX(&embedseg::cpu::propagate_levels));
}
