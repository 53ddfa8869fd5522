#include "cpu/direction_sums.h"

#include <array>
#include <atomic>
#include <bit>
#include <mutex>

#include "simd/tile.h"

namespace embedseg::cpu {
namespace {

template <class C>
using Fixed = std::conditional_t<std::is_same_v<C, double>, uint64_t, uint32_t>;

// Added to a number of at most 2^22 (2^51), it leaves no bits for a fraction.
template <class C>
constexpr C round_bias = std::is_same_v<C, double> ? C(0x1.8p52) : C(0x1.8p23);

constexpr int most_pixels_in_slot = 511;  // in float, terms of at most 2^22 are summed over all lanes in 32 bits

// Whoever adds to a row of the table holds the lock of its number: one for several rows.
std::array<std::mutex, 1024> row_locks;

struct SumTask {
  const EmbeddingView& view;
  const LabelView& labels;
  const void* weights;  // [batch, pixels] of the type to compute in, or nullptr
  double unit;
  double weight_scale;  // 1 / the largest weight, so that weighted directions fit the same fixed point
  std::vector<int64_t>& table;
  int64_t row_size;
  std::vector<uint8_t>& not_finite;
};

// Directions are rounded to fixed point, once a pixel: to 2^-22 in float, which is 2^-22 / √pixels in a mean; and in
// double as finely as the sum of all pixels leaves room for in 63 bits.
double fixed_unit(const EmbeddingView& view, int64_t pixels) {
  if (view.dtype != ScalarType::Double) return 0x1p-22;
  const int pixel_bits = std::bit_width(static_cast<uint64_t>(pixels > 0 ? pixels : view.batch * view.pixels));
  return std::ldexp(1.0, std::max(pixel_bits - 62, -51));
}

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
}  // namespace embedseg::cpu

#define EMBEDSEG_KERNEL "cpu/direction_sums.inl"
#include "simd/each_isa.h"

namespace embedseg::cpu {

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
  SumTask task{view, labels, nullptr, sums.unit, 0.0, sums.table, sums.row_size, sums.not_finite};
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
