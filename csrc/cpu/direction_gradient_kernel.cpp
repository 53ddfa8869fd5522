// The kernel of direction_gradient.
#include "cpu/direction_gradient_kernel.h"

#include "simd/lengths.h"
#include "simd/tile_labels.h"
#include "simd/tiles.h"

EMBEDSEG_KERNEL_BEGIN
namespace {

template <int D, class T>
struct GradientWriter {
  using C = Compute<T>;
  const GradientTask& task;

  void write_segment(int64_t image, int64_t begin, int64_t end, const int32_t* labels) const {
    const int64_t dim = D > 0 ? D : task.view.dim;
    Scratch<Lanes<C>, D, D * tiles_at_once> tiles(dim * tiles_at_once), gradients(dim * tiles_at_once);
    TilePlace<T> from = tile_place<T>(task.view, image, begin, W), to = tile_place<T>(task.output, image, begin, W);
    for (int64_t pixel = begin; pixel < end; pixel += tiles_at_once * W) {
      from.pixels = to.pixels = static_cast<int>(std::min<int64_t>(tiles_at_once * W, end - pixel));
      load_tiles<D, T>(from, tiles.data());
      Lanes<C>*tile = tiles.data(), *gradient = gradients.data();
      for (int first = 0; first < from.pixels; first += W, tile += dim, gradient += dim) {
        write_tile(image, pixel + first, labels + (pixel + first - begin), std::min(W, from.pixels - first), tile,
                   gradient);
      }
      store_tiles<D, T>(to, gradients.data());
      from.first += tiles_at_once * W * from.pixel_stride;
      to.first += tiles_at_once * W * to.pixel_stride;
    }
  }

  [[gnu::always_inline]] void write_tile(int64_t image, int64_t pixel, const int32_t* labels, int pixels,
                                         Lanes<C>* tile, Lanes<C>* gradient) const {
    if (task.weights == nullptr && one_object(labels)) {
      const C* row = static_cast<const C*>(task.rows) + row_of(image, labels[0]);
      project(tile, gradient, [&](int64_t d) { return Lanes<C>{} + row[d]; });
    } else {
      gather(image, pixel, labels, pixels, gradient);
      project(tile, gradient, [&](int64_t d) { return gradient[d]; });
    }
  }

  int64_t row_of(int64_t image, int32_t object) const { return (image * task.labels.count + object) * task.view.dim; }

  // From ∂L/∂ê to ∂L/∂e.
  template <class Direction>
  [[gnu::always_inline]] void project(Lanes<C>* tile, Lanes<C>* gradient, const Direction& of_direction) const {
    const int64_t dim = D > 0 ? D : task.view.dim;
    const InverseLength<C> inverse = invert_length<D, C>(tile, dim);
    const Lanes<C> product = sum_channels<D, C, 2>(dim, [&](int64_t d) { return of_direction(d) * tile[d]; });
    const Lanes<C> along = product * inverse.factor * inverse.factor;
    for_channels<D>(dim, [&](int64_t d) { gradient[d] = (of_direction(d) - along * tile[d]) * inverse.gradient; });
  }

  // ∂L/∂ê of every pixel of a tile, from its object's row of the tables; 0 where there is none.
  void gather(int64_t image, int64_t pixel, const int32_t* labels, int pixels, Lanes<C>* gradient) const {
    const int64_t dim = D > 0 ? D : task.view.dim;
    for_channels<D>(dim, [&](int64_t d) { gradient[d] = Lanes<C>{}; });
    Lanes<C> weight{};
    if (task.weights != nullptr) {
      const C* weights = static_cast<const C*>(task.weights) + image * task.view.pixels + pixel;
      for (int i = 0; i < pixels; ++i) weight[i] = weights[i];
    }
    for_objects(labels, [&](int32_t object, Lanes<int32_t> inside, int) {
      const int64_t row = row_of(image, object);
      const C* values = static_cast<const C*>(task.rows) + row;
      const C* weighted = task.weights == nullptr ? nullptr : static_cast<const C*>(task.weighted_rows) + row;
      const auto own = __builtin_convertvector(inside, decltype(weight < weight));
      for_channels<D>(dim, [&](int64_t d) {
        const Lanes<C> value = weighted == nullptr ? Lanes<C>{} + values[d] : values[d] + weighted[d] * weight;
        gradient[d] = own ? value : gradient[d];
      });
    });
  }
};

}  // namespace

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

EMBEDSEG_KERNEL_END
