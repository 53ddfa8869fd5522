// The kernel of sum_directions, for one instruction set.
#include "simd/tile.inl"

// Rounds to an integer, and leaves it with the bits of round_bias added: sums of such bits, less the bias a pixel, are
// exact, for integers wrap around. One addition instead of two conversions.
template <class C>
[[gnu::always_inline]] inline Lanes<Fixed<C>> to_biased(Lanes<C> values) {
  return reinterpret_cast<Lanes<Fixed<C>>>(values + round_bias<C>);
}

// Sums over the lanes of `count` vectors, less `bias`, added to a row.
template <int D, class I>
void add_lane_sums(Lanes<I>* lanes, int64_t count, I bias, int64_t* row) {
  const auto add = [&](int64_t d, I sum) { row[d] += static_cast<std::make_signed_t<I>>(sum - bias); };
  if constexpr (D >= W) {  // sums of neighbours, until there are as many as channels, in the order of the channels
    for (int vectors = D; vectors > D / W; vectors /= 2) {
      for (int i = 0; i < vectors / 2; ++i) {
        const auto a = lanes[2 * i], b = lanes[2 * i + 1];
        lanes[i] = every_second<0>(a, b, EachLane()) + every_second<1>(a, b, EachLane());
      }
    }
    for (int d = 0; d < D; ++d) add(d, lanes[d / W][d % W]);
  } else {
    for (int64_t d = 0; d < count; ++d) add(d, reduce<W>(lanes[d], [](auto a, auto b) { return a + b; }));
  }
}

// A thread's sums, lane by lane, of the objects that it met last: a few that a row of the image crosses again and
// again. An object's sums go to the shared table when another takes their slot, so memory is bounded however many
// objects there are. Weighted, D is 0.
template <int D, class C, bool weighted>
class LaneSums {
 public:
  using Fixeds = Lanes<Fixed<C>>;

  LaneSums(std::vector<int64_t>& table, int64_t row_size, int64_t dim)
      : table_(table), row_size_(row_size), dim_(dim), slots_(slot_count(channels())), lanes_(slots_ * channels()) {
    objects_.assign(slots_, -1);
    pixels_.assign(slots_, 0);
  }

  // S, and with weights T and W
  int64_t channels() const { return D > 0 ? D : weighted ? 2 * dim_ + 1 : dim_; }

  // channel(i): what the tile's pixels add to channel i; inside: 0 or -1, which of them are the object's; count: how
  // many
  template <class Channel>
  [[gnu::always_inline]] void add(int64_t object, Fixeds inside, int count, const Channel& channel) {
    const int64_t slot = object & (slots_ - 1);
    if (objects_[slot] != object || pixels_[slot] + count > most_pixels_in_slot) replace(slot, object);
    pixels_[slot] += count;
    Fixeds* sums = &lanes_[slot * channels()];
    if (count == W) {
      for_channels<D>(channels(), [&](int64_t i) { sums[i] += channel(i); });
    } else {
      for_channels<D>(channels(), [&](int64_t i) { sums[i] += channel(i) & inside; });
    }
  }

  void write_through() {
    for (int64_t slot = 0; slot < slots_; ++slot) replace(slot, -1);
  }

 private:
  static int64_t slot_count(int64_t channels) {
    constexpr int64_t budget = 1 << 17;  // bytes a thread: fits a second-level cache
    const int64_t most = budget / (channels * static_cast<int64_t>(sizeof(Fixeds)));
    return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::clamp<int64_t>(most, 1, 256))));
  }

  [[gnu::noinline]] void replace(int64_t slot, int64_t object) {
    Fixeds* sums = &lanes_[slot * channels()];
    if (pixels_[slot] > 0) {
      int64_t* row = &table_[objects_[slot] * row_size_];
      const Fixed<C> bias = static_cast<Fixed<C>>(pixels_[slot]) * std::bit_cast<Fixed<C>>(round_bias<C>);
      const std::lock_guard lock(row_locks[objects_[slot] % row_locks.size()]);  // other threads add to it as well
      add_lane_sums<D, Fixed<C>>(sums, dim_, bias, row);
      row[dim_] += pixels_[slot];
      if constexpr (weighted) {
        add_lane_sums<D, Fixed<C>>(sums + dim_, dim_, bias, row + dim_ + 1);
        add_lane_sums<0, Fixed<C>>(sums + 2 * dim_, 1, bias, row + 2 * dim_ + 1);
      }
    }
    for_channels<D>(channels(), [&](int64_t i) { sums[i] = Fixeds{}; });
    objects_[slot] = object;
    pixels_[slot] = 0;
  }

  std::vector<int64_t>& table_;
  int64_t row_size_, dim_, slots_;
  Scratch<Fixeds, 0> lanes_;  // [slots, channels]
  std::vector<int64_t> objects_;
  std::vector<int> pixels_;
};

template <int D, class T, bool weighted>
struct Summer {
  using C = Compute<T>;
  using Fixeds = Lanes<Fixed<C>>;
  const SumTask& task;
  LaneSums<D, C, weighted>& sums;

  void add_segment(int64_t image, int64_t begin, int64_t end, const int32_t* labels) const {
    const int64_t dim = D > 0 ? D : task.view.dim;
    Scratch<Lanes<C>, D, D * tiles_at_once> tiles(dim * tiles_at_once);
    TilePlace<T> place = tile_place<T>(task.view, image, begin, W);
    for (int64_t pixel = begin; pixel < end; pixel += tiles_at_once * W) {
      place.pixels = static_cast<int>(std::min<int64_t>(tiles_at_once * W, end - pixel));
      add_tiles(image, pixel, place, labels + (pixel - begin), tiles.data());
      place.first += tiles_at_once * W * place.pixel_stride;
    }
  }

  [[gnu::always_inline]] void add_tiles(int64_t image, int64_t pixel, const TilePlace<T>& place, const int32_t* labels,
                                        Lanes<C>* tile) const {
    const int64_t dim = D > 0 ? D : task.view.dim;
    if (!any_object(labels, place.pixels)) return;
    load_tiles<D, T>(place, tile);
    for (int first = 0; first < place.pixels; first += W, tile += dim, labels += W) {
      if (any_object(labels)) add_tile(image, pixel + first, std::min(W, place.pixels - first), labels, tile);
    }
  }

  [[gnu::always_inline]] void add_tile(int64_t image, int64_t pixel, int pixels, const int32_t* labels,
                                       Lanes<C>* tile) const {
    const int64_t dim = D > 0 ? D : task.view.dim;
    uint32_t not_finite = 0;
    const Lanes<C> factor = invert_length<D, C>(tile, dim, not_finite).factor * static_cast<C>(1 / task.unit);
    const auto direction = [&](int64_t d) { return to_biased<C>(tile[d] * factor); };
    if constexpr (weighted) {
      const Lanes<C> weight = read_weights(image * task.view.pixels + pixel, pixels);
      not_finite = (not_finite & bits_of(weight != 0)) | bits_of(weight - weight != 0);
      add_runs(image, labels, [&](int64_t i) {
        if (i < dim) return direction(i);
        return to_biased<C>(i < 2 * dim ? tile[i - dim] * factor * weight : weight * static_cast<C>(1 / task.unit));
      });
    } else {
      add_runs(image, labels, direction);
    }
    if (not_finite != 0) see_not_finite(image, labels, not_finite);
  }

  // Lanes with a bit in `lanes` are not finite: if one of them is an object's, the image is not.
  [[gnu::noinline]] void see_not_finite(int64_t image, const int32_t* labels, uint32_t lanes) const {
    Lanes<int32_t> tile;
    std::memcpy(&tile, labels, sizeof tile);
    if ((bits_of(tile >= 0) & lanes) != 0) std::atomic_ref(task.not_finite[image]).store(1, std::memory_order_relaxed);
  }

  Lanes<C> read_weights(int64_t first, int pixels) const {
    const C* weights = static_cast<const C*>(task.weights) + first;
    Lanes<C> weight{};
    for (int i = 0; i < pixels; ++i) weight[i] = static_cast<C>(weights[i] * task.weight_scale);
    return weight;
  }

  template <class Channel>
  [[gnu::always_inline]] void add_runs(int64_t image, const int32_t* labels, const Channel& channel) const {
    const int64_t first_row = image * task.labels.count;
    for_objects(labels, [&](int32_t object, Lanes<int32_t> inside, int count) {
      sums.add(first_row + object, __builtin_convertvector(inside, Fixeds), count, channel);
    });
  }
};

template <int D, class T, bool weighted>
void sum_segments_as(const SumTask& task, const Segments& segments, int64_t first, int64_t last) {
  LaneSums<D, Compute<T>, weighted> sums(task.table, task.row_size, task.view.dim);
  std::vector<int32_t> labels(segment_length + W);
  const Summer<D, T, weighted> summer{task, sums};
  segments.visit(first, last, [&](int64_t image, int64_t begin, int64_t end) {
    const int64_t offset = image * task.view.pixels;
    read_labels(task.labels, offset + begin, offset + end, labels.data());
    summer.add_segment(image, begin, end, labels.data());
  });
  sums.write_through();
}

void sum_segments(const SumTask& task, const Segments& segments, int64_t first, int64_t last) {
  with_storage(task.view.dtype, [&]<class T>() {
    if (task.weights != nullptr) return sum_segments_as<0, T, true>(task, segments, first, last);
    with_dim<T>(task.view.dim, [&]<int D>() { sum_segments_as<D, T, false>(task, segments, first, last); });
  });
}
