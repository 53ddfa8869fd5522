// The kernel of sum_directions, for one instruction set.
#include "cpu/tile.inl"

template <class V>
V rounded(V values) {
  for (size_t i = 0; i < sizeof(V) / sizeof(values[0]); ++i) values[i] = std::rint(values[i]);
  return values;
}

template <class C>
Lanes<Fixed<C>> to_fixed(Lanes<C> values) {
  return __builtin_convertvector(rounded(values), Lanes<Fixed<C>>);
}

// Adds the sum over the lanes of each of `count` vectors to out.
template <int D, class I>
void add_lane_sums(Lanes<I>* lanes, int64_t count, int64_t* out) {
  if constexpr (D >= W) {  // sums of neighbours, until there are as many as channels, in the order of the channels
    for (int vectors = D; vectors > D / W; vectors /= 2) {
      for (int i = 0; i < vectors / 2; ++i) {
        const auto a = lanes[2 * i], b = lanes[2 * i + 1];
        lanes[i] = every_second<0>(a, b, EachLane()) + every_second<1>(a, b, EachLane());
      }
    }
    for (int d = 0; d < D; ++d) out[d] += lanes[d / W][d % W];
  } else {
    for (int64_t d = 0; d < count; ++d) {
      int64_t sum = 0;
      for (int i = 0; i < W; ++i) sum += lanes[d][i];
      out[d] += sum;
    }
  }
}

// The sums, lane by lane, of the run of one object's pixels that is being read.
// Weighted, D is 0.
template <int D, class C, bool weighted>
struct Run {
  using Fixeds = Lanes<Fixed<C>>;
  SumCache& cache;
  int64_t dim;
  Scratch<Fixeds, D> sums{channels()};  // S, and with weights T and W
  int64_t object = -1;
  int pixels = 0;

  Run(SumCache& shared_cache, int64_t dims) : cache(shared_cache), dim(dims) { clear(); }

  int64_t channels() const { return weighted ? 2 * dim + 1 : dim; }

  // inside: 0 or -1, which of the tile's pixels are the object's; count: how many
  void add(int64_t next, const Fixeds* directions, Fixeds inside, int count) {
    if (next != object || pixels + count > most_pixels_in_run) {
      finish();
      object = next;
    }
    pixels += count;
    for_channels<D>(channels(), [&](int64_t i) { sums[i] += directions[i] & inside; });
  }

  void finish() {
    if (pixels > 0) {
      int64_t* row = cache.row(object);
      add_lane_sums<D, Fixed<C>>(sums.data(), dim, row);
      row[dim] += pixels;
      if constexpr (weighted) {
        add_lane_sums<D, Fixed<C>>(sums.data() + dim, dim, row + dim + 1);
        add_lane_sums<0, Fixed<C>>(sums.data() + 2 * dim, 1, row + 2 * dim + 1);
      }
    }
    clear();
  }

  void clear() {
    for_channels<D>(channels(), [&](int64_t i) { sums[i] = Fixeds{}; });
    pixels = 0;
  }
};

template <int D, class T, bool weighted>
struct Summer {
  using C = Compute<T>;
  using Fixeds = Lanes<Fixed<C>>;
  const SumTask& task;
  SumCache& cache;

  void add_segment(int64_t image, int64_t begin, int64_t end, const int32_t* labels) const {
    const int64_t dim = D > 0 ? D : task.view.dim;
    const C scale = static_cast<C>(1 / task.unit);
    Scratch<Lanes<C>, D> tile(dim);
    Scratch<Fixeds, D> directions(2 * dim + 1);
    Run<D, C, weighted> run(cache, dim);
    Stage<T> stage(task.view, image, begin, end);
    for (int64_t piece = begin; piece < end; piece += stage.piece_length()) {
      const int64_t piece_end = std::min(piece + stage.piece_length(), end);
      TilePlace<T> place = stage.read(piece);
      for (int64_t pixel = piece; pixel < piece_end; pixel += W, place.first += W * place.pixel_stride) {
        place.pixels = static_cast<int>(std::min<int64_t>(W, piece_end - pixel));
        load_tile<D, T>(place, tile.data());
        const Lanes<C> factor = invert_length<D, C>(tile.data(), dim).factor * scale;
        for_channels<D>(dim, [&](int64_t d) { directions[d] = to_fixed<C>(tile[d] * factor); });
        if constexpr (weighted) weigh(image * task.view.pixels + pixel, place.pixels, tile.data(), factor, directions);
        add_runs(image, labels + (pixel - begin), directions.data(), run);
      }
    }
    run.finish();
  }

  void weigh(int64_t first, int pixels, const Lanes<C>* tile, Lanes<C> factor, Scratch<Fixeds, D>& directions) const {
    const int64_t dim = task.view.dim;
    const C* weights = static_cast<const C*>(task.weights) + first;
    Lanes<C> weight{};
    for (int i = 0; i < pixels; ++i) weight[i] = static_cast<C>(weights[i] * task.weight_scale);
    for (int64_t d = 0; d < dim; ++d) directions[dim + d] = to_fixed<C>(tile[d] * factor * weight);
    directions[2 * dim] = to_fixed<C>(weight * static_cast<C>(1 / task.unit));
  }

  void add_runs(int64_t image, const int32_t* labels, const Fixeds* directions, Run<D, C, weighted>& run) const {
    const int64_t first_row = image * task.labels.count;
    for_objects(labels, [&](int32_t object, Lanes<int32_t> inside) {
      run.add(first_row + object, directions, __builtin_convertvector(inside, Fixeds), count_lanes(inside));
    });
  }
};

template <int D, class T, bool weighted>
void sum_segments_as(const SumTask& task, const Segments& segments, int64_t first, int64_t last, SumCache& cache) {
  std::vector<int32_t> labels(segment_length + W);
  const Summer<D, T, weighted> summer{task, cache};
  segments.visit(first, last, [&](int64_t image, int64_t begin, int64_t end) {
    const int64_t offset = image * task.view.pixels;
    read_labels(task.labels, offset + begin, offset + end, labels.data());
    summer.add_segment(image, begin, end, labels.data());
  });
}

void sum_segments(const SumTask& task, const Segments& segments, int64_t first, int64_t last, SumCache& cache) {
  with_storage(task.view.dtype, [&]<class T>() {
    if (task.weights != nullptr) return sum_segments_as<0, T, true>(task, segments, first, last, cache);
    with_dim<T>(task.view.dim, [&]<int D>() { sum_segments_as<D, T, false>(task, segments, first, last, cache); });
  });
}
