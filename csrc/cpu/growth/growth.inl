// Growth, for one instruction set.
#include "simd/tile.inl"

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
  for (int first = 0; first < block_length; first += W) {
    Lanes<int32_t> lanes;
    std::memcpy(&lanes, labels + first, sizeof lanes);
    bits |= bits_of(lanes == object) << first;
  }
  return bits;
}

Judge choose_judge(const EmbeddingView& view) {
  Judge judge = nullptr;
  with_storage(view.dtype, [&]<class T>() { with_dim<T>(view.dim, [&]<int D>() { judge = &judge_as<D, T>; }); });
  return judge;
}

// Grows one image level by level, whole blocks at a time. In a level, the pixels that the last one took (fresh) offer
// their object to their neighbours; what is taken now (claimed) counts from the next level on (settled).
class Growth {
 public:
  Growth(const Judgement& judgement, int64_t image, Blocks& blocks)
      : judgement_(judgement),
        judge_(choose_judge(judgement.view)),
        image_(image),
        blocks_(blocks),
        memory_(blocks.count()),
        settled_(blocks.count(), all),
        fresh_(blocks.count(), 0),
        claimed_(blocks.count(), 0) {}

  void run(int64_t max_levels) {
    settle_seeds();
    foresee();
    for (int64_t level = 0; level < max_levels && !frontier_.empty(); ++level) {
      grow_level();
      for (const Contest& contest : contests_) decide(contest);
      end_level();
    }
  }

  // Whether a pixel joined in the last level, for each of the image's.
  void write_fresh(bool* active) const {
    blocks_.for_rows([&](int64_t pixel, int64_t row) {
      for (int64_t block = row; block < row + blocks_.row_length(); ++block, pixel += block_length) {
        for (int i = 0; i < blocks_.pixels(block); ++i) active[pixel + i] = (fresh_[block] >> i & 1) != 0;
      }
    });
  }

 private:
  static constexpr Bits all = static_cast<Bits>(~0);
  static constexpr int64_t ahead = 8;  // blocks

  void settle_seeds() {
    blocks_.for_rows([&](int64_t, int64_t row) {
      std::vector<int64_t> seeded;
      for (int64_t block = row; block < row + blocks_.row_length(); ++block) {
        const int32_t* labels = blocks_.labels(block);
        settled_[block] = static_cast<Bits>(~bits_equal(labels, 0));
        fresh_[block] = static_cast<Bits>(settled_[block] & ~bits_equal(labels, -1));
        if (fresh_[block] != 0) seeded.push_back(block);
      }
      append(frontier_, seeded);
    });
  }

  // Growth jumps all over the image, so a judgement waits for memory. Most are foreseen here, in the order of memory:
  // of the blocks near a seed, for the nearest one's object. What was foreseen wrongly costs time, nothing else.
  void foresee() {
    if (frontier_.empty()) return;
    const std::vector<int32_t> nearest = nearest_objects();
    torch::stable::parallel_for(0, blocks_.count(), 1024, [&](int64_t first, int64_t last) {
      for (int64_t block = first; block < last; ++block) {
        if (nearest[block] > 0 && settled_[block] != all) accepted(block, nearest[block]);
      }
    });
  }

  // For every block within reach of a seed, the object of the nearest, in steps along the axes; 0 for the others.
  std::vector<int32_t> nearest_objects() {
    constexpr int32_t reach = 64;  // pixels: beyond the radius of most objects, so that an empty image costs little
    std::vector<int32_t> nearest(blocks_.count(), 0), distance(blocks_.count(), reach);
    for (const int64_t block : frontier_) {
      nearest[block] = blocks_.labels(block)[std::countr_zero(fresh_[block])];
      distance[block] = 0;
    }
    const auto relax = [&](int64_t block, int64_t neighbor, int32_t steps) {
      if (distance[neighbor] + steps >= distance[block]) return;
      distance[block] = distance[neighbor] + steps;
      nearest[block] = nearest[neighbor];
    };
    const int64_t count = blocks_.count(), margin = blocks_.rows_around().back();
    const auto visit = [&](int64_t block, int64_t direction) {
      if (settled_[block] == all && distance[block] > 0) return;  // nothing is to be had there
      relax(block, block + direction, block_length);
      for (const int64_t row : blocks_.rows_around()) {
        if (row * direction > 0) relax(block, block + row, 1);
      }
    };
    for (int64_t block = margin; block < count - margin; ++block) visit(block, -1);
    for (int64_t block = count - margin - 1; block >= margin; --block) visit(block, 1);
    return nearest;
  }

  void grow_level() {
    touched_.clear();
    contests_.clear();
    torch::stable::parallel_for(0, static_cast<int64_t>(frontier_.size()), 256, [&](int64_t first, int64_t last) {
      std::vector<int64_t> touched;
      std::vector<Contest> contests;
      for (int64_t i = first; i < last; ++i) {
        if (i + ahead < last) fetch_around(frontier_[i + ahead]);
        expand(frontier_[i], touched, contests);
      }
      append(touched_, touched);
      append(contests_, contests);
    });
  }

  // Frontiers jump all over the image: what a block will need is asked for some blocks early.
  void fetch_around(int64_t block) {
    for (const int64_t row : blocks_.rows_around()) {
      memory_.prefetch(block + row);
      __builtin_prefetch(blocks_.labels(block + row));
    }
  }

  void end_level() {
    for (const int64_t block : frontier_) fresh_[block] = 0;
    for (const int64_t block : touched_) {
      fresh_[block] = claimed_[block];
      settled_[block] |= claimed_[block];
      claimed_[block] = 0;
    }
    frontier_.swap(touched_);
  }

  void expand(int64_t block, std::vector<int64_t>& touched, std::vector<Contest>& contests) {
    const int32_t* labels = blocks_.labels(block);
    for (uint32_t left = fresh_[block]; left != 0;) {
      const int32_t object = labels[std::countr_zero(left)];
      const uint32_t own = left & bits_equal(labels, object);
      left &= ~own;
      const uint32_t around = own << 2 | own << 1 | own;  // bit 0 is the last pixel of the block before
      for (const int64_t row : blocks_.rows_around()) {
        offer(block + row, object, static_cast<Bits>(around >> 1), touched, contests);
        if ((around & 1) != 0) offer(block + row - 1, object, Bits(1) << (block_length - 1), touched, contests);
        if ((around >> (block_length + 1)) != 0) offer(block + row + 1, object, 1, touched, contests);
      }
    }
  }

  void offer(int64_t block, int32_t object, Bits pixels, std::vector<int64_t>& touched,
             std::vector<Contest>& contests) {
    pixels &= static_cast<Bits>(~settled_[block]);
    if (pixels == 0) return;
    pixels &= accepted(block, object);
    if (pixels == 0) return;
    const Bits before = std::atomic_ref(claimed_[block]).fetch_or(pixels, std::memory_order_relaxed);
    if (before == 0) touched.push_back(block);
    int32_t* labels = blocks_.labels(block);
    for (uint32_t won = pixels & ~before; won != 0; won &= won - 1) {
      std::atomic_ref(labels[std::countr_zero(won)]).store(object, std::memory_order_relaxed);
    }
    for (uint32_t lost = pixels & before; lost != 0; lost &= lost - 1) {
      const int place = std::countr_zero(lost);
      // The winner may not have written yet; a contest with oneself is decided in one's favour.
      if (std::atomic_ref(labels[place]).load(std::memory_order_relaxed) != object) {
        contests.push_back({block, place, object});
      }
    }
  }

  // The closer object has the pixel, of two as close the smaller label.
  void decide(const Contest& contest) {
    int32_t& holder = blocks_.labels(contest.block)[contest.place];
    if (holder == contest.object) return;
    const int64_t pixel = blocks_.first_pixel(contest.block) + contest.place;
    const double held = judgement_.distance(image_, pixel, judgement_.row(image_, holder));
    const double offered = judgement_.distance(image_, pixel, judgement_.row(image_, contest.object));
    if (offered < held || (offered == held && contest.object < holder)) holder = contest.object;
  }

  Bits accepted(int64_t block, int32_t object) {
    std::atomic_ref<uint64_t> entry = memory_.entry(block, object);
    uint64_t judged = entry.load(std::memory_order_relaxed);
    if (judged >> block_length != static_cast<uint64_t>(object)) {
      judged = static_cast<uint64_t>(object) << block_length |
               judge_(judgement_, image_, blocks_.first_pixel(block), blocks_.pixels(block), object);
      entry.store(judged, std::memory_order_relaxed);
    }
    return static_cast<Bits>(judged);
  }

  template <class T>
  void append(std::vector<T>& all, const std::vector<T>& more) {
    if (more.empty()) return;
    const std::lock_guard lock(mutex_);
    all.insert(all.end(), more.begin(), more.end());
  }

  const Judgement& judgement_;
  Judge judge_;
  int64_t image_;
  Blocks& blocks_;
  Memory memory_;
  LargeVector<Bits> settled_, fresh_, claimed_;  // for every block
  std::vector<int64_t> frontier_, touched_;      // blocks with fresh, with claimed pixels
  std::vector<Contest> contests_;
  std::mutex mutex_;
};

void grow(const Judgement& judgement, int64_t image, Blocks& blocks, int64_t max_levels, bool* active) {
  Growth growth(judgement, image, blocks);
  growth.run(max_levels);
  if (active != nullptr) growth.write_fresh(active);
}
