// The test that growth asks of a pixel: is it within the cosine distance of an object's mean embedding, and closer to
// it than to the background's, where that competes? As on the CPU (cpu/growth/judgement.h), what is near a limit is
// decided in double, whatever the embedding's dtype.
#pragma once

#include "cuda/direction.h"
#include "cuda/growth.h"

namespace embedseg::cuda {

template <class T>
class Judgement {
 public:
  using C = Compute<T>;

  __device__ Judgement(const GrowthTask& task, int64_t image, int64_t pixel)
      : task_(task),
        vector_(static_cast<const T*>(task.view.data) + task.view.offset(image, pixel)),
        first_row_(image * task.objects) {}

  // Cosine distance in double; infinite for a pixel that is not finite.
  __device__ double distance(int64_t object) const {
    const double* const mean = task_.exact_means + (first_row_ + object) * task_.view.dim;
    double largest = 0, square = 0, product = 0;
#pragma unroll 1  // it is rare: registers are for others
    for (int64_t d = 0; d < task_.view.dim; ++d) {
      const double size = std::abs(read<double>(d));
      if (!(size <= std::numeric_limits<double>::max())) return std::numeric_limits<double>::infinity();
      largest = size > largest ? size : largest;
    }
    if (largest == 0) return 1;
#pragma unroll 1
    for (int64_t d = 0; d < task_.view.dim; ++d) {
      const double value = read<double>(d) / largest;
      square += value * value;
      product += value * mean[d];
    }
    return 1 - product / std::sqrt(square);
  }

  __device__ bool accepts(int64_t object) const {
    const C* const background = static_cast<const C*>(task_.means) + first_row_ * task_.view.dim;
    const C* const mean = background + object * task_.view.dim;
    C square = 0, product = 0, rival = 0;
    const auto add = [&](auto competes) {
#pragma unroll 8
      for (int64_t d = 0; d < task_.view.dim; ++d) {
        const C value = read<C>(d);
        square += value * value;
        product += value * mean[d];
        if constexpr (competes) rival += value * background[d];
      }
    };
    if (task_.background_competes) {
      add(std::true_type());
    } else {
      add(std::false_type());
    }
    const C factor = 1 / std::sqrt(square);
    // By how much the object is too far, in cosine distance.
    C excess = 1 - product * factor - static_cast<C>(task_.max_distance);
    const C to_background = (rival - product) * factor;
    if (task_.background_competes && to_background > excess) excess = to_background;
    const bool sure = is_safe(square) && std::abs(excess) >= static_cast<C>(1e-5);
    return sure ? excess < 0 : accepts_in_double(object);
  }

 private:
  __device__ bool accepts_in_double(int64_t object) const {
    const double to_object = distance(object);
    if (!(to_object < task_.max_distance)) return false;
    return !task_.background_competes || to_object < distance(0);
  }

  template <class Number>
  __device__ Number read(int64_t d) const {
    return static_cast<Number>(vector_[d * task_.view.dim_stride]);
  }

  const GrowthTask& task_;
  const T* vector_;
  int64_t first_row_;
};

}  // namespace embedseg::cuda
