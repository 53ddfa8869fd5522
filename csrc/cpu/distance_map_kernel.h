// What distance_map hands to its kernel.
#pragma once

#include <array>

#include "common/tensor.h"
#include "cpu/objects.h"
#include "simd/dispatch.h"

namespace embedseg::cpu {

// One image: labels, and squared distances that grow axis by axis.
struct DistanceTask {
  const int32_t* labels;
  float* squares;
  Grid grid;
  std::array<float, 3> weights;  // squared spacing, in units of the smallest
};

EMBEDSEG_EACH_ISA(void measure(const DistanceTask& image, const ObjectPlaces& places);)

}  // namespace embedseg::cpu
