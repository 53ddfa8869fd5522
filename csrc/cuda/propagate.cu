// Frontier propagation: seeds grow over the pixels like them. docs/method.md, Postprocessing, steps 2 to 4.
#include "common/checks.h"
#include "cuda/growth.h"
#include "cuda/objects.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;
constexpr uint32_t all_levels = std::numeric_limits<uint32_t>::max() - 1;  // a level beyond is still a number

// The seeds, with 0 for the background's pixels alone, and -1 for the others.
__global__ void add_background(const int32_t* seeds, const bool* background, int64_t count, int32_t* out) {
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    out[i] = seeds[i] == 0 && !background[i] ? -1 : seeds[i];
  }
}

Tensor with_background(const Device& device, const Tensor& seeds, const Tensor& background) {
  const Tensor labels = device.empty({seeds.numel()}, ScalarType::Int);
  device.launch(add_background, {blocks_for(seeds.numel(), threads), threads}, data<int32_t>(seeds),
                data<bool>(background), seeds.numel(), data<int32_t>(labels));
  return labels;
}

// embedding: [B, D, *spatial]; seeds: int32 [B, *spatial], contiguous; background: bool, like seeds
Tensor propagate(const Tensor& embedding, const Tensor& seeds, double max_distance,
                 const std::optional<Tensor>& background, std::optional<int64_t> known_largest) {
  check_embedding(embedding);
  check_flat(seeds, "seeds", ScalarType::Int, size_of_map(embedding), embedding);
  if (background) check_flat(*background, "background", ScalarType::Bool, size_of_map(embedding), embedding);
  const Device device(embedding);
  const Tensor result = device.empty_like(seeds, ScalarType::Int);
  if (seeds.numel() == 0) return result;
  const EmbeddingView view = view_of(embedding);
  const int64_t objects = (known_largest ? *known_largest : largest_label(device, seeds)) + 1;
  const Tensor labels = background ? with_background(device, seeds, *background) : seeds;
  const LabelView label_view = view_of_labels(labels, objects, background.has_value());
  const Means means = find_means(device, sum_directions(device, view, label_view, nullptr), compute_dtype(view.dtype));
  grow(device, {view, grid_of(seeds), objects, data<double>(means.directions), means.rounded.data_ptr(), max_distance,
                background.has_value(), data<int32_t>(seeds), data<int32_t>(result), all_levels, nullptr});
  return result;
}

// labels: int32 [B, *spatial], contiguous, below K; vectors: float64 [B, K, D], contiguous, row 0 the background's
std::tuple<Tensor, Tensor> propagate_levels(const Tensor& embedding, const Tensor& labels, const Tensor& vectors,
                                            double max_distance, bool competes, int64_t max_levels) {
  check_embedding(embedding);
  check_flat(labels, "labels", ScalarType::Int, size_of_map(embedding), embedding);
  check_flat(vectors, "vectors", ScalarType::Double, size_of_table(vectors, embedding), embedding);
  const Device device(embedding);
  const Tensor grown = empty_like(labels, ScalarType::Int), active = empty_like(labels, ScalarType::Bool);
  if (labels.numel() == 0) return {grown, active};
  const EmbeddingView view = view_of(embedding);
  const int64_t objects = vectors.sizes()[1];
  STD_TORCH_CHECK(largest_label(device, labels) < std::max<int64_t>(objects, 1),
                  "labels must be below the number of rows of the means");
  const Means means =
      find_means(device, VectorView{view.dim, view.batch * objects, data<double>(vectors)}, compute_dtype(view.dtype));
  const auto levels = static_cast<uint32_t>(std::min<int64_t>(max_levels, all_levels));
  grow(device, {view, grid_of(labels), objects, data<double>(means.directions), means.rounded.data_ptr(), max_distance,
                competes, data<int32_t>(labels), data<int32_t>(grown), levels, data<bool>(active)});
  return {grown, active};
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(propagate)
EMBEDSEG_CUDA_OPERATOR(propagate_levels)
