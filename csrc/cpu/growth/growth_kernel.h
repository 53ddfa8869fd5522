// Growth of an image's seeds.
#pragma once

#include "cpu/growth/blocks.h"
#include "cpu/growth/judgement.h"
#include "simd/dispatch.h"

namespace embedseg::cpu {

// blocks: the seeds, above 0; 0 where pixels may be taken, −1 where not. In the end, the objects.
// active: takes, for every pixel, whether it joined in the last of `max_levels` levels; or nullptr.
EMBEDSEG_EACH_ISA(void grow(const Judgement& judgement, int64_t image, Blocks& blocks, int64_t max_levels,
                            bool* active);)

}  // namespace embedseg::cpu
