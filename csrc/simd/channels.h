// Loops over the channels of a pixel. D is their number where it is a common one, known when the kernel is compiled,
// and 0 where it is known at run time only.
#pragma once

#include <new>

#include "simd/lanes.h"

EMBEDSEG_KERNEL_BEGIN

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

EMBEDSEG_KERNEL_END
