// The direction of a vector: e / ‖e‖, and zero for a vector that is zero or not finite.
#pragma once

#include <cmath>

#include "common/embedding.h"
#include "cuda/launch.h"

namespace embedseg::cuda {

// value · shift · factor is the direction; 1 / length of the vector as it was given is the gradient's factor.
template <class C>
struct Scale {
  C factor, gradient;
  C shift;  // a power of two, for vectors whose square would overflow or underflow; without direction 0, or NaN

  // Whether the vector was; one of length 0 is.
  __device__ bool finite() const { return shift == shift; }
};

template <class C>
constexpr C up = std::is_same_v<C, double> ? C(0x1p1000) : C(0x1p126f);  // the smallest number's square is normal then
template <class C>
constexpr C down = std::is_same_v<C, double> ? C(0x1p-600) : C(0x1p-70f);  // and the largest ones' can be summed up

template <class C>
__device__ Scale<C> scale_from(C square, C shift) {
  if (!(square > 0 && square <= std::numeric_limits<C>::max())) return {0, 0, square * 0};
  const C factor = 1 / std::sqrt(square), gradient = factor * shift, most = std::numeric_limits<C>::max();
  return {factor, gradient < most ? gradient : most, shift};
}

template <class C>
__device__ Scale<C> scale_from_safe(C square) {
  const C factor = 1 / std::sqrt(square);
  return {factor, factor, 1};
}

template <class C>
__device__ bool is_safe(C square) {
  return square > smallest_square<C> && square < largest_square<C>;
}

// The shift for a vector whose square is not safe.
template <class C>
__device__ C shift_for(C square) {
  return square <= smallest_square<C> ? up<C> : down<C>;
}

// read(d): channel d, as C.
template <class C, class Read>
__device__ Scale<C> measure(int64_t dim, const Read& read) {
  const auto sum_squares = [&](C shift) {
    C square = 0;
#pragma unroll 4
    for (int64_t d = 0; d < dim; ++d) {
      const C value = read(d) * shift;
      square += value * value;
    }
    return square;
  };
  const C square = sum_squares(1);
  if (is_safe(square)) return scale_from_safe(square);
  const C shift = shift_for(square);
  return scale_from(sum_squares(shift), shift);
}

// Channel d of the direction, of a channel that was read.
template <class C>
__device__ C direction_of(C value, const Scale<C>& scale) {
  return scale.factor == 0 ? C(0) : value * scale.shift * scale.factor;
}

}  // namespace embedseg::cuda
