// Per-object sums of directions, S_k, T_k, M_k and W_k of SPEC, in one read of the embedding.
#pragma once

#include "common/embedding.h"
#include "common/labels.h"

namespace embedseg::cpu {

// Sums are kept as integers, in units: an integer sum does not depend on the order of its terms, so neither threads
// nor tiles change a bit of the result.
struct DirectionSums {
  int64_t dim, rows, row_size;  // rows: images × objects
  double unit, weight_unit;
  std::vector<int64_t> table;  // [rows, row_size]: S (dim), M, and with weights T (dim), W

  int64_t count(int64_t row) const { return table[row * row_size + dim]; }
  double sum(int64_t row, int64_t d) const { return unit * table[row * row_size + d]; }
  double weighted_sum(int64_t row, int64_t d) const { return unit * weight_unit * table[row * row_size + dim + 1 + d]; }
  double total_weight(int64_t row) const { return unit * weight_unit * table[row * row_size + 2 * dim + 1]; }
  double length(int64_t row) const;   // ‖S_k‖
  std::vector<double> means() const;  // u_k, [rows, dim]; zero where ‖S_k‖ is
};

// weights: float32 or float64 as the computation asks, contiguous, one a pixel; or nullptr
DirectionSums sum_directions(const EmbeddingView& embedding, const LabelView& labels, const Tensor* weights);

}  // namespace embedseg::cpu
