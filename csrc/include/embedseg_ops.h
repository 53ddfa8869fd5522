// The operators for LibTorch programs: docs/cpp.md. What they compute: see the docstrings of the same names in Python.
// Arguments that do not fit are a c10::Error.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <cstdint>
#include <optional>
#include <vector>

#ifdef _WIN32
extern "C" __declspec(dllimport) void embedseg_ops_library();
#else
extern "C" void embedseg_ops_library();
#endif

namespace embedseg_ops {

// Embeddings are float [B, D, H, W] or [B, D, D', H, W]; masks, labels, distances [B, H, W] or [B, D', H, W].

namespace detail {

inline const bool linked = (embedseg_ops_library(), true);  // a linker drops a library that nothing refers to

template <class Signature>
auto find(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

}  // namespace detail

inline at::Tensor connected_components(const at::Tensor& mask) {
  static const auto op = detail::find<at::Tensor(const at::Tensor&)>("embedseg_ops::connected_components");
  return op.call(mask);
}

inline at::Tensor distance_map(const at::Tensor& labels, const std::vector<double>& spacing) {
  static const auto op =
      detail::find<at::Tensor(const at::Tensor&, at::ArrayRef<double>)>("embedseg_ops::distance_map");
  return op.call(labels, spacing);
}

// seeds: int32. largest: no seed is above it; given, no device has to be asked.
inline at::Tensor propagate(const at::Tensor& embedding, const at::Tensor& seeds, double max_cosine_distance,
                            const std::optional<at::Tensor>& background = std::nullopt,
                            std::optional<int64_t> largest = std::nullopt) {
  static const auto op =
      detail::find<at::Tensor(const at::Tensor&, const at::Tensor&, double, const std::optional<at::Tensor>&,
                              std::optional<int64_t>)>("embedseg_ops::propagate");
  return op.call(embedding, seeds, max_cosine_distance, background, largest);
}

inline at::Tensor remove_small(const at::Tensor& labels, int64_t min_size,
                               std::optional<int64_t> largest = std::nullopt) {
  static const auto op =
      detail::find<at::Tensor(const at::Tensor&, int64_t, std::optional<int64_t>)>("embedseg_ops::remove_small");
  return op.call(labels, min_size, largest);
}

inline at::Tensor smooth(const at::Tensor& images, double sigma) {
  static const auto op = detail::find<at::Tensor(const at::Tensor&, double)>("embedseg_ops::smooth");
  return op.call(images, sigma);
}

// labels: int32, distance: float32.
inline at::Tensor trim(const at::Tensor& labels, const at::Tensor& distance, double depth,
                       std::optional<int64_t> largest = std::nullopt) {
  static const auto op = detail::find<at::Tensor(const at::Tensor&, const at::Tensor&, double, std::optional<int64_t>)>(
      "embedseg_ops::trim");
  return op.call(labels, distance, depth, largest);
}

struct PostprocessOptions {
  double seed_threshold = 0.7;
  double max_cosine_distance = 0.3;
  double seed_smoothing = 0.0;
  int64_t min_seed_size = 1;
  int64_t min_object_size = 1;
  std::optional<double> background_threshold = std::nullopt;
  double min_depth_pixels = 0.0;
  std::optional<int64_t> max_objects = std::nullopt;
};

// The labels of embedseg_ops.postprocess, every bit of them.
inline at::Tensor postprocess(const at::Tensor& embedding, const at::Tensor& distance,
                              const PostprocessOptions& options = {}) {
  const at::Tensor depth = (distance.scalar_type() == at::kDouble ? distance : distance.to(at::kFloat)).contiguous();
  const at::Tensor smoothed = options.seed_smoothing > 0 ? smooth(depth, options.seed_smoothing) : depth;
  const auto& largest = options.max_objects;
  at::Tensor seeds = connected_components(smoothed > options.seed_threshold);
  if (largest) seeds = seeds.masked_fill(seeds > *largest, 0);
  if (options.min_seed_size > 1) seeds = remove_small(seeds, options.min_seed_size, largest);
  std::optional<at::Tensor> background;
  if (options.background_threshold) background = depth <= *options.background_threshold;
  at::Tensor labels = propagate(embedding, seeds, options.max_cosine_distance, background, largest);
  if (options.min_depth_pixels > 0) labels = trim(labels, depth.to(at::kFloat), options.min_depth_pixels, largest);
  if (options.min_object_size > 1 || options.min_depth_pixels > 0)  // trimming leaves gaps in the ids
    labels = remove_small(labels, options.min_object_size, largest);
  return labels;
}

}  // namespace embedseg_ops
