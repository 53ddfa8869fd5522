// The objects of several pixels at a time: the type of the labels is asked for once.
#pragma once

#include "common/labels.h"
#include "cuda/launch.h"

namespace embedseg::cuda {

// By one comparison: what is below `first` becomes large.
template <class T>
__device__ int32_t object_of(const LabelView& view, T label) {
  using Wide = std::conditional_t<(sizeof(T) < 8), uint32_t, uint64_t>;
  const Wide number = static_cast<Wide>(label);
  const bool is_object = number - static_cast<Wide>(view.first) < static_cast<Wide>(view.count - view.first);
  return is_object ? static_cast<int32_t>(number) : -1;
}

template <class T, int count>
__device__ void read_objects_as(const LabelView& view, int64_t image, int64_t pixel, int step, int64_t end,
                                int32_t (&objects)[count]) {
  const T* const labels = static_cast<const T*>(view.data) + image + pixel;
  const bool all_there = pixel + (count - 1) * step < end;
#pragma unroll
  for (int v = 0; v < count; ++v) {
    objects[v] = all_there || pixel + v * step < end ? object_of(view, labels[v * step]) : -1;
  }
}

// Of pixels pixel, pixel + step, … of the image whose labels begin at `image`; −1 for those that are none's, and for
// pixels from `end` on. At least one object is counted.
template <int count>
__device__ void read_objects(const LabelView& view, int64_t image, int64_t pixel, int step, int64_t end,
                             int32_t (&objects)[count]) {
  const auto read_as = [&]<class T>(const T*) { read_objects_as<T>(view, image, pixel, step, end, objects); };
  switch (view.dtype) {
    case ScalarType::Byte:
      return read_as(static_cast<const uint8_t*>(nullptr));
    case ScalarType::Char:
      return read_as(static_cast<const int8_t*>(nullptr));
    case ScalarType::Short:
      return read_as(static_cast<const int16_t*>(nullptr));
    case ScalarType::Int:
      return read_as(static_cast<const int32_t*>(nullptr));
    case ScalarType::UInt16:
      return read_as(static_cast<const uint16_t*>(nullptr));
    case ScalarType::UInt32:
      return read_as(static_cast<const uint32_t*>(nullptr));
    default:
      return read_as(static_cast<const int64_t*>(nullptr));  // uint64 too: what is beyond int64 is no object's
  }
}

}  // namespace embedseg::cuda
