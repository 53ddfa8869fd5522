#include "cpu/growth/judgement.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "simd/segments.h"

namespace embedseg::cpu {

Judgement::Judgement(const EmbeddingView& embedding, std::vector<double> directions, double limit, int64_t objects,
                     bool competes)
    : view(embedding),
      max_distance(limit),
      background_competes(competes),
      objects_(objects),
      exact_means_(std::move(directions)) {
  means = exact_means_.data();
  if (view.dtype == ScalarType::Double) return;
  rounded_means_.assign(exact_means_.begin(), exact_means_.end());
  means = rounded_means_.data();
}

double Judgement::distance(int64_t image, int64_t pixel, int64_t row) const {
  double distance = 1;
  with_storage(view.dtype, [&]<class T>() {
    const TilePlace<T> place = tile_place<T>(view, image, pixel, 1);
    const double* mean = &exact_means_[row * view.dim];
    double largest = 0, square = 0, product = 0;
    bool finite = true;
    for (int64_t d = 0; d < view.dim; ++d) {
      const double value = static_cast<double>(place.first[d * place.dim_stride]);
      finite = finite && std::isfinite(value);
      largest = std::max(largest, std::abs(value));
    }
    for (int64_t d = 0; d < view.dim && finite && largest > 0; ++d) {
      const double value = static_cast<double>(place.first[d * place.dim_stride]) / largest;
      square += value * value;
      product += value * mean[d];
    }
    if (square > 0) distance = 1 - product / std::sqrt(square);
    if (!finite) distance = std::numeric_limits<double>::infinity();
  });
  return distance;
}

bool Judgement::accepts(int64_t image, int64_t pixel, int64_t row) const {
  const double to_object = distance(image, pixel, row);
  if (to_object >= max_distance) return false;
  return !background_competes || to_object < distance(image, pixel, background_row(image));
}

}  // namespace embedseg::cpu
