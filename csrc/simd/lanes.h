// Vectors of W lanes, for the instruction set that a kernel is compiled for, and what is done lane by lane.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "common/embedding.h"
#include "simd/target.h"

namespace embedseg::cpu {

template <class T, int W>
struct VectorType {
  using type [[gnu::vector_size(sizeof(T) * W)]] = T;
};
template <class T, int W>
using Vector = typename VectorType<T, W>::type;

}  // namespace embedseg::cpu

EMBEDSEG_KERNEL_BEGIN

constexpr int W = EMBEDSEG_LANES;

template <class T>
using Lanes = Vector<T, W>;

// The same bits as another vector.
template <class To, class From>
[[gnu::always_inline]] inline Lanes<To> bits_as(From from) {
  static_assert(sizeof(From) == sizeof(Lanes<To>));
  Lanes<To> to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

template <class T>
[[gnu::always_inline]] inline Lanes<T> load_as_is(const T* from) {
  Lanes<T> loaded;
  std::memcpy(&loaded, from, sizeof loaded);
  return loaded;
}

template <class T>
[[gnu::always_inline]] inline Lanes<Compute<T>> load_lanes(const T* from) {
  if constexpr (std::is_same_v<T, Compute<T>>) {
    return load_as_is(from);
  } else {
    const auto stored = __builtin_convertvector(load_as_is(reinterpret_cast<const uint16_t*>(from)), Lanes<uint32_t>);
    if constexpr (std::is_same_v<T, c10::BFloat16>) return bits_as<float>(stored << 16);
    // Half: exponent and mantissa in float's places; the product moves the exponent's bias, and makes denormals right.
    const auto magnitude = bits_as<float>((stored & 0x7fff) << 13) * 0x1p112f;
    const auto not_finite = bits_as<uint32_t>((stored & 0x7c00) == 0x7c00) & 0x7f800000u;
    return bits_as<float>(bits_as<uint32_t>(magnitude) | (stored & 0x8000) << 16 | not_finite);
  }
}

template <class T>
[[gnu::always_inline]] inline void store_lanes(T* to, Lanes<Compute<T>> values) {
  if constexpr (std::is_same_v<T, Compute<T>>) {
    std::memcpy(to, &values, sizeof values);
  } else if constexpr (std::is_same_v<T, c10::BFloat16>) {
    const auto bits = bits_as<uint32_t>(values);
    const Lanes<uint32_t> to_even = (bits + 0x7fff + (bits >> 16 & 1)) >> 16, nan = Lanes<uint32_t>{} + 0x7fc0u;
    const auto rounded = __builtin_convertvector(values == values ? to_even : nan, Vector<uint16_t, W>);
    std::memcpy(to, &rounded, sizeof rounded);
  } else {
    for (int i = 0; i < W; ++i) to[i] = static_cast<T>(values[i]);
  }
}

template <class V, int... I>
[[gnu::always_inline]] inline auto half_of(V v, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(v, v, I...);
}
template <class V, int... I>
[[gnu::always_inline]] inline auto other_half_of(V v, std::integer_sequence<int, I...>) {
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
  const auto lanes = __builtin_convertvector(mask, Lanes<int32_t>);
#if defined(EMBEDSEG_FOR_AVX512)
  return _mm512_movepi32_mask(reinterpret_cast<__m512i>(lanes));
#elif defined(EMBEDSEG_FOR_AVX2)
  return static_cast<uint32_t>(_mm256_movemask_ps(reinterpret_cast<__m256>(lanes)));
#elif defined(__x86_64__)
  return static_cast<uint32_t>(_mm_movemask_ps(reinterpret_cast<__m128>(lanes)));
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

EMBEDSEG_KERNEL_END
