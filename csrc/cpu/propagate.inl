// Which pixels of a block an object may take, for one instruction set.
#include "cpu/tile.inl"

// Bit i: lane i of a mask (0 or -1 in every lane) is set.
template <class M>
[[gnu::always_inline]] inline uint32_t bits_of(M mask) {
  M weights;
  for (int i = 0; i < W; ++i) weights[i] = 1 << i;
  return static_cast<uint32_t>(reduce<W>(mask & weights, [](auto a, auto b) { return a | b; }));
}

// Bit i of the result: pixel + i is within max_distance of the object's mean embedding. At most block_length pixels.
template <int D, class T>
uint32_t judge_as(const Judgement& judgement, int64_t image, int64_t pixel, int pixels, int64_t object) {
  using C = Compute<T>;
  const EmbeddingView& view = judgement.view;
  const int64_t dim = D > 0 ? D : view.dim;
  const C* mean = static_cast<const C*>(judgement.means) + object * dim;
  const C max_distance = static_cast<C>(judgement.max_distance);
  Scratch<Lanes<C>, D> tile(dim);
  TilePlace<T> place = tile_place<T>(view, image, pixel, W);
  uint32_t accepted = 0;
  for (int first = 0; first < pixels; first += W, place.first += W * view.pixel_stride) {
    place.pixels = std::min(W, pixels - first);
    load_tile<D, T>(place, tile.data());
    const Lanes<C> factor = invert_length<D, C>(tile.data(), dim).factor;
    Lanes<C> product{};
    for_channels<D>(dim, [&](int64_t d) { product += tile[d] * mean[d]; });
    const Lanes<C> distance = C(1) - product * factor;
    // Near the limit, and without direction (zero or not finite?), a pixel is looked at in double.
    const Lanes<C> margin = distance - max_distance;
    const uint32_t unsure = bits_of((margin < C(1e-5)) & (margin > C(-1e-5))) | bits_of(factor == C(0));
    uint32_t taken = bits_of(margin < C(0)) & ~unsure;
    for (int i = 0; unsure != 0 && i < place.pixels; ++i) {
      if ((unsure >> i & 1) == 0) continue;
      const bool near = judgement.distance(image, pixel + first + i, object) < judgement.max_distance;
      taken |= static_cast<uint32_t>(near) << i;
    }
    accepted |= (taken & ((1u << place.pixels) - 1)) << first;
  }
  return accepted;
}

Judge choose_judge(const EmbeddingView& view) {
  Judge judge = nullptr;
  with_storage(view.dtype, [&]<class T>() { with_dim<T>(view.dim, [&]<int D>() { judge = &judge_as<D, T>; }); });
  return judge;
}
