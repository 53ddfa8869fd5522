// Per-object sums of directions, S_k, T_k, M_k and W_k of docs/method.md, in one read of the embedding; and what
// follows from them for an object. As on the CPU (cpu/direction_sums.h), sums are integers: no order of the pixels, no
// number of blocks changes a bit of them.
#pragma once

#include <cmath>

#include "common/embedding.h"
#include "common/labels.h"
#include "cuda/warp.h"

namespace embedseg::cuda {

// On the device; handed to kernels as it is.
struct SumView {
  int64_t dim, objects, rows, row_size;  // rows: images × objects
  double unit;
  bool weighted;
  double* weight_unit;  // the largest weight
  long long* table;     // [rows, row_size]: S (dim), M, and with weights T (dim), W
  int* not_finite;      // [images]: 1 where a pixel of an object, or its weight, is not; weight 0 aside
  int* out_of_range;    // 1 where a label is below −1 or not below `objects`

  __device__ long long count(int64_t row) const { return table[row * row_size + dim]; }
  __device__ double sum(int64_t row, int64_t d) const { return unit * static_cast<double>(table[row * row_size + d]); }
  __device__ double weighted_sum(int64_t row, int64_t d) const {
    return unit * *weight_unit * static_cast<double>(table[row * row_size + dim + 1 + d]);
  }
  __device__ double total_weight(int64_t row) const { return weighted_sum(row, dim); }
  __device__ void require_range() const {
    require(*out_of_range == 0, "labels must be -1 or above, and below num_objects");
  }
};

// Vectors of any length, such as sums added up over the blocks of an image.
struct VectorView {
  int64_t dim, rows;
  const double* values;  // [rows, dim]

  __device__ double sum(int64_t row, int64_t d) const { return values[row * dim + d]; }
};

// The direction of a row of vectors, channel by channel to write(d, value), and its length; by a warp.
template <class Vectors, class Write>
__device__ double find_direction(const Vectors& vectors, int64_t row, const Write& write) {
  double square = 0;
  for (int64_t d = lane_index(); d < vectors.dim; d += warp_size) square += vectors.sum(row, d) * vectors.sum(row, d);
  const double length = std::sqrt(warp_sum(square));
  for (int64_t d = lane_index(); d < vectors.dim; d += warp_size) {
    write(d, length > 0 ? vectors.sum(row, d) / length : 0.0);
  }
  return length;
}

struct DirectionSums {
  SumView view;
  Tensor memory;
};

// pixels: how many add up over all the calls whose sums shall be added: a float64 embedding's unit follows from it; 0
// for those of this embedding.
// weights: float32 or float64 as the computation asks, contiguous, one a pixel; or nullptr
DirectionSums sum_directions(const Device& device, const EmbeddingView& embedding, const LabelView& labels,
                             const Tensor* weights, int64_t pixels = 0);

struct Means {
  Tensor directions;  // u_k, float64 [rows, dim]; zero where ‖S_k‖ is
  Tensor rounded;     // the same in the type to compute in
};

// dtype: float32 or float64
Means find_means(const Device& device, const DirectionSums& sums, ScalarType dtype);
Means find_means(const Device& device, const VectorView& vectors, ScalarType dtype);

// Calls body with a null pointer to the type to compute in.
template <class Body>
void with_compute(ScalarType dtype, const Body& body) {
  if (dtype == ScalarType::Double) return body(static_cast<double*>(nullptr));
  body(static_cast<float*>(nullptr));
}

}  // namespace embedseg::cuda
