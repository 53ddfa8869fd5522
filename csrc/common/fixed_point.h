// Sums of directions in fixed point, the same on every device. An integer sum does not depend on the order of its
// terms, so neither threads nor tiles nor blocks change a bit of the result. docs/method.md has the proof.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>

#include "common/embedding.h"

namespace embedseg {

// What one stands for. Directions are rounded to it, once a pixel: to 2^-22 in float, which is 2^-22 / √pixels in a
// mean; and in double as finely as the sum of all pixels leaves room for in 63 bits.
// pixels: how many are summed up in all, where the view is a part of them; 0: the view's.
inline double fixed_unit(const EmbeddingView& view, int64_t pixels) {
  if (view.dtype != ScalarType::Double) return 0x1p-22;
  const int pixel_bits = std::bit_width(static_cast<uint64_t>(pixels > 0 ? pixels : view.batch * view.pixels));
  return std::ldexp(1.0, std::max(pixel_bits - 62, -51));
}

}  // namespace embedseg
