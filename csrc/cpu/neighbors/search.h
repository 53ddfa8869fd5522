// Which objects of one image are closer to each other than a distance.
#pragma once

#include <cstdint>
#include <vector>

#include "common/tensor.h"

namespace embedseg::cpu {

struct Neighbors {
  std::vector<int32_t> labels;         // ascending
  std::vector<int64_t> first_partner;  // of each label, and the end of the last one's
  std::vector<int32_t> partners;       // indices into labels, ascending for each label
  bool background = false;             // whether label 0 occurs
};

// labels: one image [depth, height, width]
Neighbors find_neighbors(const int32_t* labels, const Grid& grid, double distance,
                         const std::array<double, 3>& spacing);

}  // namespace embedseg::cpu
