// What the kernels take for granted of their tensors. The functions in Python see to it, with errors of their own; a
// call through torch.ops need not.
#pragma once

#include <optional>

#include "common/embedding.h"
#include "common/labels.h"

namespace embedseg {

using Sizes = std::vector<int64_t>;

inline Sizes size_of(const Tensor& tensor) {
  const auto size = tensor.sizes();
  return Sizes(size.begin(), size.end());
}

// For a tensor that a kernel reads by a pointer and an index.
inline void check_flat(const Tensor& tensor, const char* name, ScalarType dtype, const Sizes& size,
                       const Tensor& like) {
  STD_TORCH_CHECK(tensor.scalar_type() == dtype, name, ": expected ", torch::headeronly::toString(dtype), ", not ",
                  torch::headeronly::toString(tensor.scalar_type()));
  STD_TORCH_CHECK(size_of(tensor) == size, name, ": does not have the size that belongs to ", "the other arguments");
  STD_TORCH_CHECK(tensor.is_contiguous(), name, ": must be contiguous");
  STD_TORCH_CHECK(tensor.device() == like.device(), name, ": is on another device than the first argument");
}

// Label maps and their like, [B, H, W] or [B, D, H, W]; the operators make them contiguous.
inline void check_map(const Tensor& tensor, const char* name, ScalarType dtype) {
  STD_TORCH_CHECK(tensor.dim() == 3 || tensor.dim() == 4, name, ": expected [B, H, W] or [B, D, H, W]");
  STD_TORCH_CHECK(tensor.scalar_type() == dtype, name, ": expected ", torch::headeronly::toString(dtype), ", not ",
                  torch::headeronly::toString(tensor.scalar_type()));
}

// [B, C, H, W] or [B, C, D, H, W], any strides. Its dtype is checked by with_storage.
inline void check_embedding(const Tensor& embedding) {
  STD_TORCH_CHECK(embedding.dim() == 4 || embedding.dim() == 5, "embedding: expected [B, C, H, W] or [B, C, D, H, W]");
}

// The size of a map of the embedding's pixels, [B, *spatial].
inline Sizes size_of_map(const Tensor& embedding) {
  Sizes map = size_of(embedding);
  map.erase(map.begin() + 1);
  return map;
}

// An embedding and the labels of its pixels, of any integer dtype.
inline void check_labelled(const Tensor& embedding, const Tensor& labels) {
  check_embedding(embedding);
  with_integer(labels.scalar_type(), [&]<class T>() {});  // it refuses others
  check_flat(labels, "labels", labels.scalar_type(), size_of_map(embedding), embedding);
}

// The size of a table [B, K, C], a row for every object of every image.
inline Sizes size_of_table(const Tensor& table, const Tensor& embedding) {
  const int64_t objects = table.dim() == 3 ? table.sizes()[1] : 0;
  return {embedding.sizes()[0], objects, embedding.sizes()[1]};
}

// What direction_gradient takes: gradients, weighted_gradients and weights in the dtype to compute in.
inline void check_gradients(const Tensor& embedding, const Tensor& labels, const Tensor& gradients,
                            const std::optional<Tensor>& weights, const std::optional<Tensor>& weighted_gradients) {
  check_labelled(embedding, labels);
  const ScalarType dtype = compute_dtype(embedding.scalar_type());
  const Sizes table = size_of_table(gradients, embedding);
  check_flat(gradients, "gradients", dtype, table, embedding);
  STD_TORCH_CHECK(weights.has_value() == weighted_gradients.has_value(), "weights: come with weighted_gradients");
  if (!weights) return;
  check_flat(*weights, "weights", dtype, size_of_map(embedding), embedding);
  check_flat(*weighted_gradients, "weighted_gradients", dtype, table, embedding);
}

// The tables [2 or 3, B, K, C] of the embedding loss, and the scalars that weigh them: what a loss is to be
// differentiated in, where it depends on that.
struct LossSlopes {
  const std::optional<Tensor>&total, &consistency, &discrimination;
};

inline void check_loss_tables(const Tensor& tables, const std::optional<Tensor>& weights, const LossSlopes& slopes,
                              const Tensor& embedding) {
  const ScalarType dtype = compute_dtype(embedding.scalar_type());
  const int64_t objects = tables.dim() == 4 ? tables.sizes()[2] : 0;
  check_flat(tables, "tables", dtype, {weights ? 3 : 2, embedding.sizes()[0], objects, embedding.sizes()[1]},
             embedding);
  if (weights) check_flat(*weights, "weights", dtype, size_of_map(embedding), embedding);
  if (slopes.total) check_flat(*slopes.total, "total", dtype, {}, embedding);
  if (slopes.consistency) check_flat(*slopes.consistency, "consistency", dtype, {}, embedding);
  if (slopes.discrimination) check_flat(*slopes.discrimination, "discrimination", dtype, {}, embedding);
}

}  // namespace embedseg
