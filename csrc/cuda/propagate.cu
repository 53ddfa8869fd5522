// Frontier propagation: seeds grow over the pixels like them. SPEC, Postprocessing, steps 2 to 4.
#include "cuda/growth.h"
#include "cuda/objects.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;

// The seeds, with the background's pixels as one more object.
__global__ void add_background(const int32_t* seeds, const bool* background, int64_t count, int32_t object,
                               int32_t* out) {
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    out[i] = seeds[i] == 0 && background[i] ? object : seeds[i];
  }
}

Tensor with_background(const Device& device, const Tensor& seeds, const Tensor& background, int64_t object) {
  const Tensor labels = device.empty({seeds.numel()}, ScalarType::Int);
  device.launch(add_background, {blocks_for(seeds.numel(), threads), threads}, data<int32_t>(seeds),
                data<bool>(background), seeds.numel(), static_cast<int32_t>(object), data<int32_t>(labels));
  return labels;
}

// embedding: [B, D, *spatial]; seeds: int32 [B, *spatial], contiguous; background: bool, like seeds
Tensor propagate(const Tensor& embedding, const Tensor& seeds, double max_distance,
                 const std::optional<Tensor>& background, std::optional<int64_t> known_largest) {
  const Device device(embedding);
  const Tensor result = empty_like(seeds, ScalarType::Int);
  if (seeds.numel() == 0) return result;
  const EmbeddingView view = view_of(embedding);
  const int64_t largest = known_largest ? *known_largest : largest_label(device, seeds);
  const int64_t objects = largest + (background ? 2 : 1);
  const Tensor labels = background ? with_background(device, seeds, *background, largest + 1) : seeds;
  const DirectionSums sums = sum_directions(device, view, view_of_labels(labels, objects, false), nullptr);
  const Means means = find_means(device, sums, compute_dtype(view));
  grow(device, {view, grid_of(seeds), objects, data<double>(means.directions), means.rounded.data_ptr(), max_distance,
                background.has_value(), data<int32_t>(seeds), data<int32_t>(result)});
  return result;
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(propagate)
