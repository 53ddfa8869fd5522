// The size of an object as one length, the same on every device.
#pragma once

#include <torch/headeronly/macros/Macros.h>

#include <cmath>
#include <cstdint>
#include <numbers>

namespace embedseg {

// The radius of a disc, or of a ball, of so many pixels.
C10_HOST_DEVICE inline double radius(int64_t pixels, bool volume) {
  const double size = static_cast<double>(pixels);
  return volume ? std::cbrt(0.75 / std::numbers::pi * size) : std::sqrt(size / std::numbers::pi);
}

}  // namespace embedseg
