// What sum_directions hands to its kernel.
#pragma once

#include <mutex>
#include <vector>

#include "common/embedding.h"
#include "common/labels.h"
#include "simd/dispatch.h"
#include "simd/segments.h"

namespace embedseg::cpu {

struct SumTask {
  const EmbeddingView& view;
  const LabelView& labels;
  const void* weights;  // [batch, pixels] of the type to compute in, or nullptr
  double unit;
  double weight_scale;  // 1 / the largest weight, so that weighted directions fit the same fixed point
  std::vector<int64_t>& table;
  int64_t row_size;
  std::vector<uint8_t>& not_finite;    // [images]
  std::vector<std::mutex>& row_locks;  // lock number `row % size` guards a row of the table
};

EMBEDSEG_EACH_ISA(void sum_segments(const SumTask& task, const Segments& segments, int64_t first, int64_t last);)

}  // namespace embedseg::cpu
