// What direction_gradient hands to its kernel.
#pragma once

#include "common/embedding.h"
#include "common/labels.h"
#include "simd/dispatch.h"
#include "simd/segments.h"

namespace embedseg::cpu {

struct GradientTask {
  const EmbeddingView& view;
  const EmbeddingView& output;
  const LabelView& labels;
  const void* rows;           // g, [B, K, D] of the type to compute in
  const void* weights;        // [B, *spatial] or nullptr
  const void* weighted_rows;  // h, [B, K, D] or nullptr
};

EMBEDSEG_EACH_ISA(void write_gradient(const GradientTask& task, const Segments& segments, int64_t first, int64_t last);)

}  // namespace embedseg::cpu
