// Reading label maps of any integer dtype.
#pragma once

#include "tensor.h"

namespace embedseg {

// Ids first, first + 1, …, count − 1 are objects; every other label is ignored, and read as −1.
struct LabelView {
  const void* data;
  ScalarType dtype;
  int64_t first, count;

  void read(int64_t begin, int64_t end, int32_t* out) const;
};

// labels: any integer dtype, contiguous
inline LabelView view_of_labels(const Tensor& labels, int64_t count, bool background = true) {
  return {labels.data_ptr(), labels.scalar_type(), background ? 0 : 1, count};
}

}  // namespace embedseg
