// Which pixels of a tile an object may take, for one instruction set.
#include "cpu/tile.inl"

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
    Lanes<C> product{}, unlike{};
    for_channels<D>(dim, [&](int64_t d) { unlike += tile[d] * C(0); });  // NaN where a channel is not finite
    const InverseLength<C> inverse = invert_length<D, C>(tile.data(), dim);
    for_channels<D>(dim, [&](int64_t d) { product += tile[d] * mean[d]; });
    const Lanes<C> distance = C(1) - product * inverse.factor + unlike;
    for (int i = 0; i < place.pixels; ++i) {
      const bool close = std::abs(distance[i] - max_distance) < C(1e-5);
      const bool taken = close ? judgement.distance(image, pixel + first + i, object) < judgement.max_distance
                               : distance[i] < max_distance;
      accepted |= static_cast<uint32_t>(taken) << (first + i);
    }
  }
  return accepted;
}

Judge choose_judge(const EmbeddingView& view) {
  Judge judge = nullptr;
  with_storage(view.dtype, [&]<class T>() { with_dim<T>(view.dim, [&]<int D>() { judge = &judge_as<D, T>; }); });
  return judge;
}
