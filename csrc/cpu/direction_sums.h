// Per-object sums of directions, S_k, T_k, M_k and W_k of docs/method.md, in one read of the embedding.
#pragma once

#include <cmath>
#include <vector>

#include "common/embedding.h"
#include "common/labels.h"

namespace embedseg::cpu {

// Sums are kept as integers, in units: an integer sum does not depend on the order of its terms, so neither threads
// nor tiles change a bit of the result.
struct DirectionSums {
  int64_t dim, rows, row_size;  // rows: images × objects
  double unit, weight_unit;
  std::vector<int64_t> table;       // [rows, row_size]: S (dim), M, and with weights T (dim), W
  std::vector<uint8_t> not_finite;  // [images]: 1 where a pixel of an object, or its weight, is not; weight 0 aside

  int64_t count(int64_t row) const { return table[row * row_size + dim]; }
  double sum(int64_t row, int64_t d) const { return unit * table[row * row_size + d]; }
  double weighted_sum(int64_t row, int64_t d) const { return unit * weight_unit * table[row * row_size + dim + 1 + d]; }
  double total_weight(int64_t row) const { return unit * weight_unit * table[row * row_size + 2 * dim + 1]; }
  double length(int64_t row) const;   // ‖S_k‖
  std::vector<double> means() const;  // u_k, [rows, dim]; zero where ‖S_k‖ is
};

// value(row, d): vectors of any length; their directions, [rows, dim], and zero for a vector that is zero. One
// definition for the sums of an image and for those added up over its blocks: the same bits.
template <class Value>
std::vector<double> directions_of(int64_t rows, int64_t dim, const Value& value) {
  std::vector<double> directions(rows * dim, 0.0);
  torch::stable::parallel_for(0, rows, 4096, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      double square = 0;
      for (int64_t d = 0; d < dim; ++d) square += value(row, d) * value(row, d);
      const double length = std::sqrt(square);
      for (int64_t d = 0; d < dim && length > 0; ++d) directions[row * dim + d] = value(row, d) / length;
    }
  });
  return directions;
}

// pixels: how many add up, at most, over all the calls whose sums shall be added: a float64 embedding's unit follows
// from it; 0 for those of this embedding.
// weights: float32 or float64 as the computation asks, contiguous, one a pixel; or nullptr
DirectionSums sum_directions(const EmbeddingView& embedding, const LabelView& labels, const Tensor* weights,
                             int64_t pixels = 0);

}  // namespace embedseg::cpu
