// The labels of tiles, and the pixels of a tile object by object.
#pragma once

#include <algorithm>

#include "common/labels.h"
#include "simd/lanes.h"

EMBEDSEG_KERNEL_BEGIN

// Labels [begin, end) as int32, −1 for those that are no object's; and W times −1 behind the last.
template <class T>
void read_labels_as(const LabelView& view, int64_t begin, int64_t end, int32_t* out) {
  const T* labels = static_cast<const T*>(view.data);
  using Wide = std::conditional_t<sizeof(T) <= 2 || std::is_same_v<T, int32_t>, int32_t, int64_t>;
  const Wide first = static_cast<Wide>(view.first), count = static_cast<Wide>(view.count);
  for (int64_t i = begin; i < end; ++i) {
    const Wide label = static_cast<Wide>(labels[i]);
    out[i - begin] = label >= first && label < count ? static_cast<int32_t>(label) : -1;
  }
  std::fill_n(out + (end - begin), W, -1);
}

inline void read_labels(const LabelView& view, int64_t begin, int64_t end, int32_t* out) {
  with_integer(view.dtype, [&]<class T>() { read_labels_as<T>(view, begin, end, out); });
}

// Whether any of the labels of one tile, or of several, is an object's; behind the last must be W times −1.
inline bool any_object(const int32_t* labels, int pixels = W) {
  Lanes<int32_t> all = Lanes<int32_t>{} - 1;
  for (int i = 0; i < pixels; i += W) all &= load_as_is(labels + i);
  return any_lane(all >= 0);
}

inline bool one_object(const int32_t* labels) { return labels[0] >= 0 && !any_lane(load_as_is(labels) != labels[0]); }

// body(object, inside, count) for every object of a tile of W labels; inside: 0 or -1, which of its pixels are the
// object's; count: how many.
template <class Body>
[[gnu::always_inline]] inline void for_objects(const int32_t* labels, const Body& body) {
  const Lanes<int32_t> tile = load_as_is(labels);
  if (one_object(labels)) return body(labels[0], tile == labels[0], W);
  for (uint32_t left = bits_of(tile >= 0); left != 0;) {
    const int32_t object = labels[std::countr_zero(left)];
    const Lanes<int32_t> inside = tile == object;
    const uint32_t own = bits_of(inside);
    body(object, inside, std::popcount(own));
    left &= ~own;
  }
}

EMBEDSEG_KERNEL_END
