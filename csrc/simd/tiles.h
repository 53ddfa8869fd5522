// Tiles of W pixels as vectors, one a channel, loaded and stored whatever the layout and the dtype.
#pragma once

#include "simd/channels.h"
#include "simd/segments.h"

EMBEDSEG_KERNEL_BEGIN

using EachLane = std::make_integer_sequence<int, W>;

// Every second element of the stream a b, from the first or the second on: of 0 1 2 3, 4 5 6 7 the vectors 0 2 4 6 and
// 1 3 5 7. And its inverse: half of a and half of b zipped.
template <int first, class V, int... I>
[[gnu::always_inline]] inline V every_second(V a, V b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, (2 * I + first)...);
}
template <int first, class V, int... I>
[[gnu::always_inline]] inline V zip_from(V a, V b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, (first + I / 2 + I % 2 * static_cast<int>(sizeof...(I)))...);
}

// From memory order [W][D] to vectors [D][W]. With W = 4 pixels a b c d of D = 4 channels:
//
//   loaded                   a0 a1 a2 a3   b0 b1 b2 b3   c0 c1 c2 c3   d0 d1 d2 d3
//   even places, then odd    a0 a2 b0 b2   c0 c2 d0 d2   a1 a3 b1 b3   c1 c3 d1 d3
//   once more                a0 b0 c0 d0   a1 b1 c1 d1   a2 b2 c2 d2   a3 b3 c3 d3
//
// The place of an element in the whole stream is a number whose high bits are the pixel's and whose low bits are the
// channel's. A step moves its lowest bit to the front; after log2 D steps all of the channel's bits are there.
template <int D, class V>
[[gnu::always_inline]] inline void deinterleave(V* tile) {
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
[[gnu::always_inline]] inline void interleave(V* tile) {
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
  constexpr int pixels = count * W, ahead = 64, cache_line = 64 / sizeof(T);
  const int64_t dim = D > 0 ? D : place.dim;
  if (place.pixels == pixels && place.layout == Layout::planar) {
    for (int64_t d = 0; d < dim; ++d, place.first += place.dim_stride) {
      for (int i = 0; i < count; ++i) tiles[i * dim + d] = load_lanes(place.first + i * W);
      for (int i = 0; i < pixels; i += cache_line) __builtin_prefetch(place.first + ahead + i);
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

EMBEDSEG_KERNEL_END
