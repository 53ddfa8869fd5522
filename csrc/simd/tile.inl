// Tiles of W pixels as vectors, one a channel, whatever the layout and the dtype. D is the number of channels, or 0
// where it is known at run time only. Included by kernels, inside the namespace of an instruction set.

template <class C>
using Lanes = Vector<C, W>;

// Calls body with the number of channels where it is a common one, 0 otherwise: template <int D> void operator()().
template <class T, class Body>
void with_dim(int64_t dim, const Body& body) {
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, c10::BFloat16>) {
    if (dim == 4) return body.template operator()<4>();
    if (dim == 8) return body.template operator()<8>();
    if (dim == 16) return body.template operator()<16>();
    if (dim == 32) return body.template operator()<32>();
  }
  body.template operator()<0>();
}

// Room for `count` vectors: on the stack, or in registers, where D is known. (std::vector forgets their alignment.)
template <class V, int D, int count = D>
struct Scratch {
  V values[count];
  explicit Scratch(int64_t) {}
  V& operator[](int64_t i) { return values[i]; }
  V* data() { return values; }
};
template <class V, int count>
struct Scratch<V, 0, count> {
  static constexpr std::align_val_t alignment{sizeof(V)};
  V* values;
  explicit Scratch(int64_t size) : values(static_cast<V*>(::operator new(size * sizeof(V), alignment))) {}
  Scratch(const Scratch&) = delete;
  ~Scratch() { ::operator delete(values, alignment); }
  V& operator[](int64_t i) { return values[i]; }
  V* data() { return values; }
};

// body(d) for every channel: unrolled where their number is known, which keeps the vectors in registers.
template <int D, class Body>
[[gnu::always_inline]] inline void for_channels(int64_t dim, const Body& body) {
  if constexpr (D > 0) {
    [&]<int... d>(std::integer_sequence<int, d...>)
        __attribute__((always_inline)) { (body(d), ...); }(std::make_integer_sequence<int, D>());
  } else {
    for (int64_t d = 0; d < dim; ++d) body(d);
  }
}

// The sum of term(d) over the channels, as four sums, or two, at once: one alone would wait for itself.
template <int D, class C, int sums, class Term>
[[gnu::always_inline]] inline Lanes<C> sum_channels(int64_t dim, const Term& term) {
  Lanes<C> partial[sums]{};
  for_channels<D>(dim, [&](int64_t d) { partial[d % sums] += term(d); });
  if constexpr (sums == 2) {
    return partial[0] + partial[1];
  } else {
    return (partial[0] + partial[1]) + (partial[2] + partial[3]);
  }
}

template <class T>
[[gnu::always_inline]] inline Lanes<Compute<T>> load_lanes(const T* from) {
  if constexpr (std::is_same_v<T, c10::BFloat16>) {
    Vector<uint16_t, W> bits;
    std::memcpy(&bits, from, sizeof bits);
    return reinterpret_cast<Lanes<float>>(__builtin_convertvector(bits, Lanes<uint32_t>) << 16);
  } else if constexpr (std::is_same_v<T, c10::Half>) {
    Vector<uint16_t, W> half;
    std::memcpy(&half, from, sizeof half);
    const auto bits = __builtin_convertvector(half, Lanes<uint32_t>);
    // Exponent and mantissa in float's places; the product moves the exponent's bias, and makes denormals right.
    const auto magnitude = reinterpret_cast<Lanes<float>>((bits & 0x7fff) << 13) * 0x1p112f;
    const auto not_finite = reinterpret_cast<Lanes<uint32_t>>((bits & 0x7c00) == 0x7c00) & 0x7f800000u;
    return reinterpret_cast<Lanes<float>>(reinterpret_cast<Lanes<uint32_t>>(magnitude) | (bits & 0x8000) << 16 |
                                          not_finite);
  } else {
    Lanes<T> loaded;
    std::memcpy(&loaded, from, sizeof loaded);
    return loaded;
  }
}

template <class T>
[[gnu::always_inline]] inline void store_lanes(T* to, Lanes<Compute<T>> values) {
  if constexpr (std::is_same_v<T, Compute<T>>) {
    std::memcpy(to, &values, sizeof values);
  } else if constexpr (std::is_same_v<T, c10::BFloat16>) {
    const auto bits = reinterpret_cast<Lanes<uint32_t>>(values);
    const auto to_even = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    const auto rounded = __builtin_convertvector(values == values ? to_even : 0x7fc0u, Vector<uint16_t, W>);
    std::memcpy(to, &rounded, sizeof rounded);
  } else {
    for (int i = 0; i < W; ++i) to[i] = static_cast<T>(values[i]);
  }
}

// Every second element of the stream a b, from the first or the second on; and the two halves of a and b zipped.
template <int first, class V, int... I>
V every_second(V a, V b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, (2 * I + first)...);
}
template <int first, class V, int... I>
V zip_from(V a, V b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, (first + I / 2 + I % 2 * static_cast<int>(sizeof...(I)))...);
}
using EachLane = std::make_integer_sequence<int, W>;

// Memory order [W][D] to vectors [D][W]. Taking the even elements of the whole stream, then the odd ones, rotates the
// bits of each element's index by one; log2 D times brings the channel's bits to the front.
template <int D, class V>
void deinterleave(V* tile) {
  for (int stage = 1; stage < D; stage *= 2) {
    V next[D];
    for_channels<D / 2>(0, [&](int64_t i) {
      next[i] = every_second<0>(tile[2 * i], tile[2 * i + 1], EachLane());
      next[i + D / 2] = every_second<1>(tile[2 * i], tile[2 * i + 1], EachLane());
    });
    for_channels<D>(0, [&](int64_t i) { tile[i] = next[i]; });
  }
}

template <int D, class V>
void interleave(V* tile) {
  for (int stage = 1; stage < D; stage *= 2) {
    V next[D];
    for_channels<D / 2>(0, [&](int64_t i) {
      next[2 * i] = zip_from<0>(tile[i], tile[i + D / 2], EachLane());
      next[2 * i + 1] = zip_from<W / 2>(tile[i], tile[i + D / 2], EachLane());
    });
    for_channels<D>(0, [&](int64_t i) { tile[i] = next[i]; });
  }
}

// Missing pixels read as 1.
template <int D, class T>
void load_tile(const TilePlace<T>& place, Lanes<Compute<T>>* tile) {
  const int64_t dim = D > 0 ? D : place.dim;
  if (place.pixels == W && place.layout == Layout::planar) {
    for_channels<D>(dim, [&](int64_t d) { tile[d] = load_lanes(place.first + d * place.dim_stride); });
  } else if (D > 0 && place.pixels == W && place.layout == Layout::interleaved) {
    for_channels<D>(dim, [&](int64_t d) { tile[d] = load_lanes(place.first + d * W); });
    deinterleave<D == 0 ? 1 : D>(tile);
  } else {
    for (int64_t d = 0; d < dim; ++d) {
      const T* channel = place.first + d * place.dim_stride;
      Compute<T> lanes[W];
      for (int i = 0; i < W; ++i) {
        lanes[i] = i < place.pixels ? static_cast<Compute<T>>(channel[i * place.pixel_stride]) : Compute<T>(1);
      }
      std::memcpy(&tile[d], lanes, sizeof lanes);
    }
  }
}

constexpr int tiles_at_once = 32 / W;

// Several tiles at once, one behind the other: vectors [tile][D]. Channel by channel, so that a cache line is read as a
// whole; those of the tiles after the next arrive while this one is worked on.
template <int D, class T, int count = tiles_at_once>
[[gnu::always_inline]] inline void load_tiles(TilePlace<T> place, Lanes<Compute<T>>* tiles) {
  constexpr int pixels = count * W, ahead = 64;
  const int64_t dim = D > 0 ? D : place.dim;
  if (place.pixels == pixels && place.layout == Layout::planar) {
    for (int64_t d = 0; d < dim; ++d, place.first += place.dim_stride) {
      for (int i = 0; i < count; ++i) tiles[i * dim + d] = load_lanes(place.first + i * W);
      for (int i = 0; i < pixels; i += line / sizeof(T)) __builtin_prefetch(place.first + ahead + i);
    }
    return;
  }
  for (int left = place.pixels; left > 0; left -= W, tiles += dim, place.first += W * place.pixel_stride) {
    place.pixels = std::min(left, W);
    load_tile<D, T>(place, tiles);
  }
}

template <int D, class T>
void store_tile(const TilePlace<T>& place, Lanes<Compute<T>>* tile) {
  const int64_t dim = D > 0 ? D : place.dim;
  if (place.pixels == W && place.layout == Layout::planar) {
    for_channels<D>(dim, [&](int64_t d) { store_lanes(place.first + d * place.dim_stride, tile[d]); });
  } else if (D > 0 && place.pixels == W && place.layout == Layout::interleaved) {
    interleave<D == 0 ? 1 : D>(tile);
    for_channels<D>(dim, [&](int64_t d) { store_lanes(place.first + d * W, tile[d]); });
  } else {
    for (int64_t d = 0; d < dim; ++d) {
      T* channel = place.first + d * place.dim_stride;
      for (int i = 0; i < place.pixels; ++i) channel[i * place.pixel_stride] = static_cast<T>(tile[d][i]);
    }
  }
}

template <int D, class T>
[[gnu::always_inline]] inline void store_tiles(TilePlace<T> place, Lanes<Compute<T>>* tiles) {
  const int64_t dim = D > 0 ? D : place.dim;
  if (place.pixels == tiles_at_once * W && place.layout == Layout::planar) {
    for (int64_t d = 0; d < dim; ++d, place.first += place.dim_stride) {
      for (int i = 0; i < tiles_at_once; ++i) store_lanes(place.first + i * W, tiles[i * dim + d]);
    }
    return;
  }
  for (int left = place.pixels; left > 0; left -= W, tiles += dim, place.first += W * place.pixel_stride) {
    place.pixels = std::min(left, W);
    store_tile<D, T>(place, tiles);
  }
}

template <class V, int... I>
auto half_of(V v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, I...);
}
template <class V, int... I>
auto other_half_of(V v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, (static_cast<int>(sizeof...(I)) + I)...);
}

// The lanes of a vector taken together two by two, whatever their order.
template <int lanes, class V, class Combine>
[[gnu::always_inline]] inline auto reduce(V v, const Combine& combine) {
  if constexpr (lanes == 2) {
    return combine(v[0], v[1]);
  } else {
    constexpr auto half = std::make_integer_sequence<int, lanes / 2>();
    return reduce<lanes / 2>(combine(half_of(v, half), other_half_of(v, half)), combine);
  }
}

// Which lanes of a mask (0 or -1 in every lane) are set, lane i as bit i.
template <class M>
[[gnu::always_inline]] inline uint32_t bits_of(M mask) {
  auto lanes = __builtin_convertvector(mask, Lanes<int32_t>);
#if defined(__x86_64__)
  if constexpr (W == 16) {
    return _mm512_movepi32_mask(reinterpret_cast<__m512i>(lanes));
  } else if constexpr (W == 8) {
    return static_cast<uint32_t>(_mm256_movemask_ps(reinterpret_cast<__m256>(lanes)));
  } else {
    return static_cast<uint32_t>(_mm_movemask_ps(reinterpret_cast<__m128>(lanes)));
  }
#else
  Lanes<int32_t> weights;
  for (int i = 0; i < W; ++i) weights[i] = 1 << i;
  return static_cast<uint32_t>(reduce<W>(lanes & weights, [](auto a, auto b) { return a | b; }));
#endif
}
template <class M>
[[gnu::always_inline]] inline bool any_lane(M mask) {
  return bits_of(mask) != 0;
}

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
  Lanes<int32_t> tile, all = Lanes<int32_t>{} - 1;
  for (int i = 0; i < pixels; i += W) {
    std::memcpy(&tile, labels + i, sizeof tile);
    all &= tile;
  }
  return any_lane(all >= 0);
}

inline bool one_object(const int32_t* labels) {
  Lanes<int32_t> tile;
  std::memcpy(&tile, labels, sizeof tile);
  return labels[0] >= 0 && !any_lane(tile != labels[0]);
}

// body(object, inside, count) for every object of a tile of W labels; inside: 0 or -1, which of its pixels are the
// object's; count: how many.
template <class Body>
[[gnu::always_inline]] inline void for_objects(const int32_t* labels, const Body& body) {
  Lanes<int32_t> tile;
  std::memcpy(&tile, labels, sizeof tile);
  if (one_object(labels)) return body(labels[0], tile == labels[0], W);
  for (uint32_t left = bits_of(tile >= 0); left != 0;) {
    const int32_t object = labels[std::countr_zero(left)];
    const Lanes<int32_t> inside = tile == object;
    const uint32_t own = bits_of(inside);
    body(object, inside, std::popcount(own));
    left &= ~own;
  }
}

template <class C>
struct InverseLength {
  Lanes<C> factor;    // tile · factor is the direction
  Lanes<C> gradient;  // 1 / length of the vectors as they were given
};

// Vectors whose square overflows, underflows or is not finite: scaled by their largest component first. A vector that
// is zero or not finite gets the zero direction; lane i of one that is not finite sets bit i of `not_finite`.
template <class C>
[[gnu::noinline]] InverseLength<C> rescale_lanes(Lanes<C>* tile, int64_t dim, InverseLength<C> inverse, Lanes<C> square,
                                                 uint32_t& not_finite) {
  for (int i = 0; i < W; ++i) {
    if (square[i] > smallest_square<C> && square[i] < largest_square<C>) continue;
    C largest = 0, rescaled = 0;
    bool finite = true;
    for (int64_t d = 0; d < dim; ++d) {
      largest = std::max<C>(largest, std::abs(tile[d][i]));
      finite = finite && std::isfinite(tile[d][i]);
    }
    if (!finite) not_finite |= 1u << i;
    const bool directed = finite && largest > 0;
    for (int64_t d = 0; d < dim; ++d) {
      tile[d][i] = directed ? tile[d][i] / largest : C(0);
      rescaled += tile[d][i] * tile[d][i];
    }
    inverse.factor[i] = directed ? 1 / std::sqrt(rescaled) : C(0);
    inverse.gradient[i] = directed ? std::min<C>(inverse.factor[i] / largest, std::numeric_limits<C>::max()) : C(0);
  }
  return inverse;
}

template <int D, class C>
[[gnu::always_inline]] inline InverseLength<C> invert_length(Lanes<C>* tile, int64_t runtime_dim,
                                                             uint32_t& not_finite) {
  const int64_t dim = D > 0 ? D : runtime_dim;
  const Lanes<C> square = sum_channels<D, C, 4>(dim, [&](int64_t d) { return tile[d] * tile[d]; });
  Lanes<C> length;
  for (int i = 0; i < W; ++i) length[i] = std::sqrt(square[i]);
  const Lanes<C> inverse = C(1) / length;
  const auto safe = (square > smallest_square<C>)&(square < largest_square<C>);
  if (!any_lane(~safe)) return {inverse, inverse};
  Scratch<Lanes<C>, D> copy(dim);  // the tile itself can then stay in registers
  for_channels<D>(dim, [&](int64_t d) { copy[d] = tile[d]; });
  const auto rescaled = rescale_lanes<C>(copy.data(), dim, {inverse, inverse}, square, not_finite);
  for_channels<D>(dim, [&](int64_t d) { tile[d] = copy[d]; });
  return rescaled;
}

template <int D, class C>
[[gnu::always_inline]] inline InverseLength<C> invert_length(Lanes<C>* tile, int64_t dim) {
  uint32_t not_finite = 0;
  return invert_length<D, C>(tile, dim, not_finite);
}
