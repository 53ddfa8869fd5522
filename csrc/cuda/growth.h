// The growth of seeds on the device. docs/method.md, Postprocessing, steps 3 and 4.
#pragma once

#include "cuda/direction_sums.h"

namespace embedseg::cuda {

struct GrowthTask {
  EmbeddingView view;
  Grid grid;
  int64_t objects;            // rows an image; the first is the background's where it competes
  const double* exact_means;  // [batch × objects, dim]
  const void* means;          // the same in the type to compute in
  double max_distance;
  bool background_competes;
  const int32_t* seeds;
  int32_t* out;
  uint32_t max_levels;
  bool* active;  // where a pixel joined in the last of max_levels levels; or nullptr
};

// One file for all types: a kernel's channels are counted at run time.
void grow(const Device& device, const GrowthTask& task);

}  // namespace embedseg::cuda
