// A Gaussian's weights, cut off at 4 σ, the same on every device.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace embedseg {

template <class T>
struct Gaussian {
  int64_t radius;
  std::vector<T> weights;  // of the offsets −radius to radius, not yet divided by their sum
  T total;

  explicit Gaussian(double sigma) : radius(static_cast<int64_t>(4 * sigma + 0.5)) {
    double sum = 0;
    for (int64_t offset = -radius; offset <= radius; ++offset) {
      const double steps = static_cast<double>(offset) / sigma, weight = std::exp(-0.5 * steps * steps);
      weights.push_back(static_cast<T>(weight));
      sum += weight;
    }
    total = static_cast<T>(sum);
  }
};

// The place that a place beyond an axis of `size` mirrors, edges doubled: d c b a | a b c d | d c b a.
constexpr int64_t mirrored(int64_t place, int64_t size) {
  const int64_t remainder = place % (2 * size), within = remainder < 0 ? remainder + 2 * size : remainder;
  return within < size ? within : 2 * size - 1 - within;
}

}  // namespace embedseg
