// Frontier propagation: seeds grow over the pixels like them. docs/method.md, Postprocessing, steps 2 to 4.
#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <limits>

#include "common/checks.h"
#include "cpu/growth/growth_kernel.h"

namespace embedseg::cpu {
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
  check_embedding(embedding);
  check_flat(seeds, "seeds", ScalarType::Int, size_of_map(embedding), embedding);
  if (background) check_flat(*background, "background", ScalarType::Bool, size_of_map(embedding), embedding);
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
  check_embedding(embedding);
  check_flat(labels, "labels", ScalarType::Int, size_of_map(embedding), embedding);
  check_flat(vectors, "vectors", ScalarType::Double, size_of_table(vectors, embedding), embedding);
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
