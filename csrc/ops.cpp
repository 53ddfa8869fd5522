// Every operator of the library: its table of contents. Semantics: see the docstrings in python/embedseg_ops/ops.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(embedseg_ops, m) {
  m.def(
      "mean_embedding(Tensor embedding, Tensor labels, SymInt num_objects)"
      " -> (Tensor means, Tensor counts, Tensor lengths)");
  m.def(
      "embedding_loss(Tensor embedding, Tensor labels, Tensor pairs, Tensor? weights, bool balanced, bool background,"
      " SymInt num_objects) -> (Tensor total, Tensor consistency, Tensor discrimination, Tensor tables)");
  m.def(
      "direction_gradient(Tensor embedding, Tensor labels, Tensor gradients, Tensor? weights,"
      " Tensor? weighted_gradients) -> Tensor");
  // From the loss's tables; the scalars: what the slope of something is in the loss and in its two terms; None: 0.
  m.def(
      "loss_gradient(Tensor embedding, Tensor labels, Tensor tables, Tensor? weights, Tensor? total,"
      " Tensor? consistency, Tensor? discrimination) -> Tensor");
  m.def("neighbor_pairs(Tensor labels, float distance, bool background, float[] spacing) -> Tensor");
  m.def("distance_map(Tensor labels, float[] spacing) -> Tensor");
  m.def("connected_components(Tensor mask) -> Tensor");
  // largest: no label is above it; given, no device has to be asked for the largest one.
  m.def(
      "propagate(Tensor embedding, Tensor seeds, float max_distance, Tensor? background, int? largest=None)"
      " -> Tensor");
  // Sums and vectors [B, K, D], row 0 the background's; pixels: of the whole, of which this is a part; 0: of this.
  m.def(
      "direction_sums(Tensor embedding, Tensor labels, SymInt num_objects, SymInt pixels) -> (Tensor sums, Tensor "
      "counts)");
  m.def(
      "propagate_levels(Tensor embedding, Tensor labels, Tensor vectors, float max_distance, bool competes,"
      " int max_levels) -> (Tensor grown, Tensor active)");
  m.def("remove_small(Tensor labels, int min_size, int? largest=None) -> Tensor");
  m.def("smooth(Tensor images, float sigma) -> Tensor");
  m.def("trim(Tensor labels, Tensor distance, float depth, int? largest=None) -> Tensor");
  // What it was built with; cuda_stream: whether the torch at hand can run CUDA.
  m.def("build_info() -> (str torch, str simd, str? cuda, int cuda_runtime, bool cuda_stream)");
}
