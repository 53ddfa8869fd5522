#include "cpu/direction_sums.h"

#include "common/fixed_point.h"
#include "cpu/direction_sums_kernel.h"

namespace embedseg::cpu {
namespace {

double largest_weight(const EmbeddingView& view, const void* weights) {
  double largest = 0;
  with_storage(view.dtype, [&]<class T>() {
    const Compute<T>* values = static_cast<const Compute<T>*>(weights);
    for (int64_t i = 0; i < view.batch * view.pixels; ++i) {
      if (std::isfinite(values[i])) largest = std::max<double>(largest, std::abs(values[i]));
    }
  });
  return largest;
}

}  // namespace

double DirectionSums::length(int64_t row) const {
  double square = 0;
  for (int64_t d = 0; d < dim; ++d) square += sum(row, d) * sum(row, d);
  return std::sqrt(square);
}

std::vector<double> DirectionSums::means() const {
  return directions_of(rows, dim, [&](int64_t row, int64_t d) { return sum(row, d); });
}

DirectionSums sum_directions(const EmbeddingView& view, const LabelView& labels, const Tensor* weights,
                             int64_t pixels) {
  DirectionSums sums{view.dim, view.batch * labels.count, 0, fixed_unit(view, pixels), 1.0, {}, {}};
  sums.not_finite.assign(view.batch, 0);
  sums.row_size = weights == nullptr ? sums.dim + 1 : 2 * sums.dim + 2;
  sums.table.assign(sums.rows * sums.row_size, 0);
  if (sums.rows == 0 || view.pixels == 0) return sums;
  std::vector<std::mutex> row_locks(std::min<int64_t>(sums.rows, 1024));
  SumTask task{view, labels, nullptr, sums.unit, 0.0, sums.table, sums.row_size, sums.not_finite, row_locks};
  if (weights != nullptr) {
    task.weights = weights->data_ptr();
    sums.weight_unit = largest_weight(view, task.weights);
    if (sums.weight_unit > 0) task.weight_scale = 1 / sums.weight_unit;
  }
  const Segments segments(view);
  torch::stable::parallel_for(0, segments.count, 1, [&](int64_t first, int64_t last) {
    EMBEDSEG_BEST_ISA(sum_segments(task, segments, first, last));
  });
  return sums;
}

}  // namespace embedseg::cpu
