// The lengths of a tile's vectors, inverted.
#pragma once

#include <algorithm>
#include <cmath>

#include "simd/channels.h"

EMBEDSEG_KERNEL_BEGIN

template <class C>
struct InverseLength {
  Lanes<C> factor;    // tile · factor is the direction
  Lanes<C> gradient;  // 1 / length of the vectors as they were given
};

// Vectors whose square overflows, underflows or is not finite: scaled by their largest component first. A vector that
// is zero or not finite gets the zero direction; lane i of one that is not finite sets bit i of `not_finite`.
template <class C>
[[gnu::noinline]] void rescale_lanes(Lanes<C>* tile, int64_t dim, const Lanes<C>& square, InverseLength<C>& inverse,
                                     uint32_t& not_finite) {
  for (int i = 0; i < W; ++i) {
    if (square[i] > smallest_square<C> && square[i] < largest_square<C>) continue;
    C largest = 0, rescaled = 0;
    bool finite = true;
    for (int64_t d = 0; d < dim; ++d) {
      largest = std::max<C>(largest, std::abs(tile[d][i]));
      finite = finite && std::isfinite(tile[d][i]);
    }
    if (!finite) not_finite |= 1u << i;
    const bool directed = finite && largest > 0;
    for (int64_t d = 0; d < dim; ++d) {
      tile[d][i] = directed ? tile[d][i] / largest : C(0);
      rescaled += tile[d][i] * tile[d][i];
    }
    inverse.factor[i] = directed ? 1 / std::sqrt(rescaled) : C(0);
    inverse.gradient[i] = directed ? std::min<C>(inverse.factor[i] / largest, std::numeric_limits<C>::max()) : C(0);
  }
}

template <int D, class C>
[[gnu::always_inline]] inline InverseLength<C> invert_length(Lanes<C>* tile, int64_t runtime_dim,
                                                             uint32_t& not_finite) {
  const int64_t dim = D > 0 ? D : runtime_dim;
  const Lanes<C> square = sum_channels<D, C, 4>(dim, [&](int64_t d) { return tile[d] * tile[d]; });
  Lanes<C> length;
  for (int i = 0; i < W; ++i) length[i] = std::sqrt(square[i]);
  const Lanes<C> inverse = C(1) / length;
  const auto too_small = square <= smallest_square<C>, fits = square < largest_square<C>;
  if (!any_lane(too_small | ~fits)) return {inverse, inverse};
  Scratch<Lanes<C>, D> copy(dim);  // the tile itself can then stay in registers
  for_channels<D>(dim, [&](int64_t d) { copy[d] = tile[d]; });
  const Lanes<C> unsafe_square = square;
  InverseLength<C> rescaled = {inverse, inverse};
  rescale_lanes<C>(copy.data(), dim, unsafe_square, rescaled, not_finite);
  for_channels<D>(dim, [&](int64_t d) { tile[d] = copy[d]; });
  return rescaled;
}

template <int D, class C>
[[gnu::always_inline]] inline InverseLength<C> invert_length(Lanes<C>* tile, int64_t dim) {
  uint32_t not_finite = 0;
  return invert_length<D, C>(tile, dim, not_finite);
}

EMBEDSEG_KERNEL_END
