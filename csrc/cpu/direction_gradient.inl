// The kernel of direction_gradient, for one instruction set.
#include "cpu/tile.inl"

template <int D, class T>
struct GradientWriter {
  using C = Compute<T>;
  const GradientTask& task;

  void write_segment(int64_t image, int64_t begin, int64_t end, const int32_t* labels) const {
    const int64_t dim = D > 0 ? D : task.view.dim;
    Scratch<Lanes<C>, D> tile(dim), gradient(dim);
    TilePlace<T> from = tile_place<T>(task.view, image, begin, W), to = tile_place<T>(task.output, image, begin, W);
    for (int64_t pixel = begin; pixel < end; pixel += W) {
      from.pixels = to.pixels = static_cast<int>(std::min<int64_t>(W, end - pixel));
      load_tile<D, T>(from, tile.data());
      gather(image, pixel, labels + (pixel - begin), from.pixels, gradient);
      project(tile, gradient);
      store_tile<D, T>(to, gradient.data());
      from.first += W * from.pixel_stride;
      to.first += W * to.pixel_stride;
    }
  }

  // From ∂L/∂ê to ∂L/∂e.
  void project(Scratch<Lanes<C>, D>& tile, Scratch<Lanes<C>, D>& gradient) const {
    const int64_t dim = D > 0 ? D : task.view.dim;
    const InverseLength<C> inverse = invert_length<D, C>(tile.data(), dim);
    Lanes<C> along{};
    for_channels<D>(dim, [&](int64_t d) { along += gradient[d] * tile[d]; });
    along *= inverse.factor * inverse.factor;
    for_channels<D>(dim, [&](int64_t d) { gradient[d] = (gradient[d] - along * tile[d]) * inverse.gradient; });
  }

  // ∂L/∂ê of every pixel of a tile, from its object's row of the tables.
  void gather(int64_t image, int64_t pixel, const int32_t* labels, int pixels, Scratch<Lanes<C>, D>& gradient) const {
    const int64_t dim = D > 0 ? D : task.view.dim;
    if (!one_object(labels)) {
      for_channels<D>(dim, [&](int64_t d) { gradient[d] = Lanes<C>{}; });
    }
    Lanes<C> weight{};
    if (task.weights != nullptr) {
      const C* weights = static_cast<const C*>(task.weights) + image * task.view.pixels + pixel;
      for (int i = 0; i < pixels; ++i) weight[i] = weights[i];
    }
    for_objects(labels, [&](int32_t object, Lanes<int32_t> inside, int count) {
      const int64_t row = (image * task.labels.count + object) * dim;
      const C* values = static_cast<const C*>(task.rows) + row;
      const C* weighted = task.weights == nullptr ? nullptr : static_cast<const C*>(task.weighted_rows) + row;
      const auto own = __builtin_convertvector(inside, decltype(weight < weight));
      for_channels<D>(dim, [&](int64_t d) {
        const Lanes<C> value = weighted == nullptr ? Lanes<C>{} + values[d] : values[d] + weighted[d] * weight;
        gradient[d] = count == W ? value : own ? value : gradient[d];
      });
    });
  }
};

void write_gradient(const GradientTask& task, const Segments& segments, int64_t first, int64_t last) {
  with_storage(task.view.dtype, [&]<class T>() {
    with_dim<T>(task.view.dim, [&]<int D>() {
      std::vector<int32_t> labels(segment_length + W);
      const GradientWriter<D, T> writer{task};
      segments.visit(first, last, [&](int64_t image, int64_t begin, int64_t end) {
        const int64_t offset = image * task.view.pixels;
        read_labels(task.labels, offset + begin, offset + end, labels.data());
        writer.write_segment(image, begin, end, labels.data());
      });
    });
  });
}
