// The kernel of direction_gradient, for one instruction set.
#include "cpu/tile.inl"

// Adds, in the lanes [first, last), weight · row to the tile.
template <int D, class C>
void add_row(Lanes<C>* tile, const C* row, int64_t dim, int first, int last, Lanes<C> weight) {
  Lanes<C> lane;
  for (int i = 0; i < W; ++i) lane[i] = static_cast<C>(i);
  const auto inside = (lane >= static_cast<C>(first)) & (lane < static_cast<C>(last));
  const Lanes<C> factor = inside ? weight : Lanes<C>{};
  for_channels<D>(dim, [&](int64_t d) { tile[d] += row[d] * factor; });
}

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
      const InverseLength<C> inverse = invert_length<D, C>(tile.data(), dim);
      gather(image, pixel, labels + (pixel - begin), from.pixels, gradient);
      Lanes<C> along{};
      for_channels<D>(dim, [&](int64_t d) { along += gradient[d] * tile[d]; });
      along *= inverse.factor * inverse.factor;
      for_channels<D>(dim, [&](int64_t d) { gradient[d] = (gradient[d] - along * tile[d]) * inverse.gradient; });
      store_tile<D, T>(to, gradient.data());
      from.first += W * task.view.pixel_stride;
      to.first += W * task.output.pixel_stride;
    }
  }

  // ∂L/∂ê of every pixel of a tile, from its object's row of the tables.
  void gather(int64_t image, int64_t pixel, const int32_t* labels, int pixels, Scratch<Lanes<C>, D>& gradient) const {
    const int64_t dim = D > 0 ? D : task.view.dim;
    for_channels<D>(dim, [&](int64_t d) { gradient[d] = Lanes<C>{}; });
    Lanes<C> weight{};
    if (task.weights != nullptr) {
      const C* weights = static_cast<const C*>(task.weights) + image * task.view.pixels + pixel;
      for (int i = 0; i < pixels; ++i) weight[i] = weights[i];
    }
    for (int first = 0; first < pixels;) {
      int last = first + 1;
      while (last < pixels && labels[last] == labels[first]) ++last;
      if (labels[first] >= 0) {
        const int64_t row = (image * task.labels.count + labels[first]) * dim;
        add_row<D, C>(gradient.data(), static_cast<const C*>(task.rows) + row, dim, first, last, Lanes<C>{} + C(1));
        if (task.weights != nullptr) {
          add_row<D, C>(gradient.data(), static_cast<const C*>(task.weighted_rows) + row, dim, first, last, weight);
        }
      }
      first = last;
    }
  }
};

void write_gradient(const GradientTask& task, const Segments& segments, int64_t first, int64_t last) {
  with_storage(task.view.dtype, [&]<class T>() {
    with_dim<T>(task.view.dim, [&]<int D>() {
      std::vector<int32_t> labels(segment_length);
      const GradientWriter<D, T> writer{task};
      segments.visit(first, last, [&](int64_t image, int64_t begin, int64_t end) {
        const int64_t offset = image * task.view.pixels;
        task.labels.read(offset + begin, offset + end, labels.data());
        writer.write_segment(image, begin, end, labels.data());
      });
    });
  });
}
