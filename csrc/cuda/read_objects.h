// The objects of several pixels at a time: the type of the labels is asked for once.
#pragma once

#include "common/labels.h"
#include "cuda/pixels.h"

namespace embedseg::cuda {

// Whether a label is −1 or below the number of objects, by one comparison: what is below −1 becomes large.
template <class T>
__device__ bool in_range(const LabelView& view, T label) {
  using Wide = std::conditional_t<(sizeof(T) < 8), uint32_t, uint64_t>;
  constexpr int ignored = std::is_signed_v<T> ? 1 : 0;
  return static_cast<Wide>(label) + ignored < static_cast<Wide>(view.count) + ignored;
}

// By one comparison: what is below `first` becomes large.
template <class T>
__device__ int32_t object_of(const LabelView& view, T label) {
  using Wide = std::conditional_t<(sizeof(T) < 8), uint32_t, uint64_t>;
  const Wide number = static_cast<Wide>(label);
  const bool is_object = number - static_cast<Wide>(view.first) < static_cast<Wide>(view.count - view.first);
  return is_object ? static_cast<int32_t>(number) : -1;
}

// Side by side, 16 bytes at a time where they are aligned.
template <class T, int count>
__device__ void read_labels(const T* place, T (&labels)[count]) {
  constexpr int at_once = std::min<int>(count, 16 / sizeof(T));
  struct alignas(sizeof(T) * at_once) Pack {
    T labels[at_once];
  };
  if (reinterpret_cast<uintptr_t>(place) % sizeof(Pack) != 0) {
#pragma unroll
    for (int v = 0; v < count; ++v) labels[v] = place[v];
    return;
  }
#pragma unroll
  for (int v = 0; v < count; v += at_once) {
    const Pack pack = *reinterpret_cast<const Pack*>(place + v);
#pragma unroll
    for (int i = 0; i < at_once; ++i) labels[v + i] = pack.labels[i];
  }
}

template <bool in_packs, class T, int count>
__device__ bool read_objects_as(const LabelView& view, int64_t image, const LanePixels& pixels, int64_t end,
                                int32_t (&objects)[count]) {
  const T* const place = static_cast<const T*>(view.data) + image;
  T labels[count];
  bool valid = true;
  if (in_packs && pixels.first < end) read_labels(place + pixels.first, labels);
#pragma unroll
  for (int v = 0; v < count; ++v) {
    const bool inside = pixels[in_packs ? 0 : v] < end;
    if (!in_packs && inside) labels[v] = place[pixels[v]];
    objects[v] = inside ? object_of(view, labels[v]) : -1;
    valid = valid && (!inside || in_range(view, labels[v]));
  }
  return valid;
}

// Of a lane's pixels in the image whose labels begin at `image`; −1 for those that are none's, and for pixels from
// `end` on. in_packs: all of them are in the image, or none. The first id is not above their number. Returns whether
// all are in range.
template <bool in_packs, int count>
__device__ bool read_objects(const LabelView& view, int64_t image, const LanePixels& pixels, int64_t end,
                             int32_t (&objects)[count]) {
  const auto read_as = [&]<class T>(const T*) {
    return read_objects_as<in_packs, T>(view, image, pixels, end, objects);
  };
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
