// The kernel of sum_directions.
//
// A pixel's direction is rounded to fixed point and added to its object's sum: integers, in vectors of lanes. Rounding
// takes one addition. round_bias, 1.5 · 2^23 in float, is so large that a sum with it has no bits left for a fraction:
//
//   2.7 + 12582912 = 12582914.7, stored as 12582915. As bits: 0x4b400003, which is 0x4b400000, the bias, plus 3.
//
// So the bits of the sum, read as an integer, are those of the bias plus the rounded number, a negative one too. Added
// up over m pixels, modulo 2^32, they are m times the bias' bits plus the sum of the rounded numbers, and the first is
// taken off in the end. That is exact while the sum of the numbers fits 31 bits: 511 pixels of at most 2^22.
#include "cpu/direction_sums_kernel.h"

#include <atomic>
#include <bit>
#include <cmath>

#include "simd/lengths.h"
#include "simd/tile_labels.h"
#include "simd/tiles.h"

EMBEDSEG_KERNEL_BEGIN
namespace {

template <class C>
using Fixed = std::conditional_t<std::is_same_v<C, double>, uint64_t, uint32_t>;

// Added to a number of at most 2^22 (2^51), it leaves no bits for a fraction.
template <class C>
constexpr C round_bias = std::is_same_v<C, double> ? C(0x1.8p52) : C(0x1.8p23);

constexpr int most_pixels = 511;  // of one object, in all lanes together, before its sums must be emptied

template <class C>
[[gnu::always_inline]] inline Lanes<Fixed<C>> to_biased(Lanes<C> values) {
  return bits_as<Fixed<C>>(values + round_bias<C>);
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

// A thread's cache of the shared table: the sums, lane by lane, of the objects that it met last, a few that a row of
// the image crosses again and again. An object has one slot, its row's number modulo their count. Its sums are written
// through to the table when another object takes the slot, so memory is bounded however many objects there are.
// Weighted, D is 0.
template <int D, class C, bool weighted>
class LaneSumCache {
 public:
  using Fixeds = Lanes<Fixed<C>>;

  explicit LaneSumCache(const SumTask& task)
      : task_(task), dim_(task.view.dim), slots_(slot_count(channels())), lanes_(slots_ * channels()) {
    rows_.assign(slots_, -1);
    pixels_.assign(slots_, 0);
  }

  // S, and with weights T and W
  int64_t channels() const { return D > 0 ? D : weighted ? 2 * dim_ + 1 : dim_; }

  // row: the object's, in the table; channel(i): what the tile's pixels add to channel i; inside: 0 or -1, which of
  // them are the object's; count: how many
  template <class Channel>
  [[gnu::always_inline]] void add(int64_t row, Fixeds inside, int count, const Channel& channel) {
    const int64_t slot = row & (slots_ - 1);
    if (rows_[slot] != row || pixels_[slot] + count > most_pixels) replace(slot, row);
    pixels_[slot] += count;
    Fixeds* sums = &lanes_[slot * channels()];
    if (count == W) {
      for_channels<D>(channels(), [&](int64_t i) { sums[i] += channel(i); });
    } else {
      for_channels<D>(channels(), [&](int64_t i) { sums[i] += channel(i) & inside; });
    }
  }

  void write_through() {
    for (int64_t slot = 0; slot < slots_; ++slot) empty_slot(slot);
  }

 private:
  static int64_t slot_count(int64_t channels) {
    constexpr int64_t budget = 1 << 17;  // bytes a thread: fits a second-level cache
    const int64_t most = budget / (channels * static_cast<int64_t>(sizeof(Fixeds)));
    return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::clamp<int64_t>(most, 1, 256))));
  }

  [[gnu::noinline]] void replace(int64_t slot, int64_t row) {
    empty_slot(slot);
    Fixeds* sums = &lanes_[slot * channels()];
    for_channels<D>(channels(), [&](int64_t i) { sums[i] = Fixeds{}; });
    rows_[slot] = row;
    pixels_[slot] = 0;
  }

  // A slot without pixels is not looked at: on a small image most of the lanes never come into a cache.
  void empty_slot(int64_t slot) {
    if (pixels_[slot] == 0) return;
    Fixeds* sums = &lanes_[slot * channels()];
    int64_t* row = &task_.table[rows_[slot] * task_.row_size];
    const Fixed<C> bias = static_cast<Fixed<C>>(pixels_[slot]) * std::bit_cast<Fixed<C>>(round_bias<C>);
    const std::lock_guard lock(task_.row_locks[rows_[slot] % task_.row_locks.size()]);  // other threads add as well
    add_lane_sums<D, Fixed<C>>(sums, dim_, bias, row);
    row[dim_] += pixels_[slot];
    if constexpr (weighted) {
      add_lane_sums<D, Fixed<C>>(sums + dim_, dim_, bias, row + dim_ + 1);
      add_lane_sums<0, Fixed<C>>(sums + 2 * dim_, 1, bias, row + 2 * dim_ + 1);
    }
  }

  const SumTask& task_;
  int64_t dim_, slots_;
  Scratch<Fixeds, 0> lanes_;   // [slots, channels]
  std::vector<int64_t> rows_;  // of the table, for every slot; -1 where there is none
  std::vector<int> pixels_;    // for every slot
};

template <int D, class T, bool weighted>
struct Summer {
  using C = Compute<T>;
  using Fixeds = Lanes<Fixed<C>>;
  const SumTask& task;
  LaneSumCache<D, C, weighted>& sums;

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
    const Lanes<int32_t> tile = load_as_is(labels);
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
  LaneSumCache<D, Compute<T>, weighted> sums(task);
  std::vector<int32_t> labels(segment_length + W);
  const Summer<D, T, weighted> summer{task, sums};
  segments.visit(first, last, [&](int64_t image, int64_t begin, int64_t end) {
    const int64_t offset = image * task.view.pixels;
    read_labels(task.labels, offset + begin, offset + end, labels.data());
    summer.add_segment(image, begin, end, labels.data());
  });
  sums.write_through();
}

}  // namespace

void sum_segments(const SumTask& task, const Segments& segments, int64_t first, int64_t last) {
  with_storage(task.view.dtype, [&]<class T>() {
    if (task.weights != nullptr) return sum_segments_as<0, T, true>(task, segments, first, last);
    with_dim<T>(task.view.dim, [&]<int D>() { sum_segments_as<D, T, false>(task, segments, first, last); });
  });
}

EMBEDSEG_KERNEL_END
