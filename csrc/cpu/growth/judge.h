// The questions that growth asks of a block's pixels, all at once.
#pragma once

#include "cpu/growth/blocks.h"
#include "cpu/growth/judgement.h"
#include "simd/lengths.h"
#include "simd/tiles.h"

EMBEDSEG_KERNEL_BEGIN

using Judge = uint32_t (*)(const Judgement&, int64_t image, int64_t pixel, int pixels, int64_t object);

// Bit i of the result: the object accepts pixel + i. At most block_length pixels.
template <int D, class T>
uint32_t judge_as(const Judgement& judgement, int64_t image, int64_t pixel, int pixels, int64_t object) {
  using C = Compute<T>;
  const EmbeddingView& view = judgement.view;
  const int64_t dim = D > 0 ? D : view.dim, row = judgement.row(image, object);
  const C* mean = static_cast<const C*>(judgement.means) + row * dim;
  const C* background = static_cast<const C*>(judgement.means) + judgement.background_row(image) * dim;
  const C max_distance = static_cast<C>(judgement.max_distance);
  constexpr int tile_count = block_length / W;
  Scratch<Lanes<C>, D, D * tile_count> tiles(dim * tile_count);
  load_tiles<D, T, tile_count>(tile_place<T>(view, image, pixel, pixels), tiles.data());
  Lanes<C>* tile = tiles.data();
  uint32_t accepted = 0;
  for (int first = 0; first < pixels; first += W, tile += dim) {
    const Lanes<C> factor = invert_length<D, C>(tile, dim).factor;
    const auto project = [&](const C* direction) {
      return sum_channels<D, C, 2>(dim, [&](int64_t d) { return tile[d] * direction[d]; }) * factor;
    };
    const Lanes<C> likeness = project(mean);
    // By how much the object is too far, in cosine distance.
    Lanes<C> excess = C(1) - likeness - max_distance;
    if (judgement.background_competes) {
      const Lanes<C> to_background = project(background) - likeness;
      excess = excess > to_background ? excess : to_background;
    }
    // Near a limit, and without direction (zero or not finite?), a pixel is looked at in double.
    const uint32_t unsure = bits_of((excess < C(1e-5)) & (excess > C(-1e-5))) | bits_of(factor == C(0));
    uint32_t taken = bits_of(excess < C(0)) & ~unsure;
    for (int i = 0; unsure != 0 && first + i < pixels && i < W; ++i) {
      if ((unsure >> i & 1) == 0) continue;
      taken |= static_cast<uint32_t>(judgement.accepts(image, pixel + first + i, row)) << i;
    }
    accepted |= taken << first;
  }
  return accepted & ((1u << pixels) - 1);
}

// Bit i: label i of a block is `object`.
inline uint32_t bits_equal(const int32_t* labels, int32_t object) {
  uint32_t bits = 0;
  for (int first = 0; first < block_length; first += W) bits |= bits_of(load_as_is(labels + first) == object) << first;
  return bits;
}

inline Judge choose_judge(const EmbeddingView& view) {
  Judge judge = nullptr;
  with_storage(view.dtype, [&]<class T>() { with_dim<T>(view.dim, [&]<int D>() { judge = &judge_as<D, T>; }); });
  return judge;
}

EMBEDSEG_KERNEL_END
