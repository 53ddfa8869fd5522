// Growth, whole blocks at a time.
#include "cpu/growth/growth_kernel.h"

#include <atomic>
#include <bit>
#include <mutex>
#include <vector>

#include "cpu/growth/judge.h"
#include "cpu/growth/look_ahead.h"
#include "cpu/growth/verdicts.h"

EMBEDSEG_KERNEL_BEGIN
namespace {

// A pixel that an object would take although another has taken it in the same level.
struct Contest {
  int64_t block;
  int place;
  int32_t object;
};

// Grows one image level by level. In a level, the pixels that the last one took (fresh) offer their object to their
// neighbours; what is taken now (claimed) counts from the next level on (settled).
class Growth {
 public:
  Growth(const Judgement& judgement, int64_t image, Blocks& blocks)
      : judgement_(judgement),
        judge_(choose_judge(judgement.view)),
        image_(image),
        blocks_(blocks),
        verdicts_(blocks.count()),
        settled_(blocks.count(), all),
        fresh_(blocks.count(), 0),
        claimed_(blocks.count(), 0) {}

  void run(int64_t max_levels) {
    settle_seeds();
    if (!frontier_.empty()) judge_ahead();
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

  void judge_ahead() {
    const std::vector<int32_t> nearest = nearest_objects(blocks_, frontier_, fresh_, settled_);
    torch::stable::parallel_for(0, blocks_.count(), 1024, [&](int64_t first, int64_t last) {
      for (int64_t block = first; block < last; ++block) {
        if (nearest[block] > 0 && settled_[block] != all) accepted(block, nearest[block]);
      }
    });
  }

  void grow_level() {
    touched_.clear();
    contests_.clear();
    torch::stable::parallel_for(0, static_cast<int64_t>(frontier_.size()), 256, [&](int64_t first, int64_t last) {
      std::vector<int64_t> touched;
      std::vector<Contest> contests;
      visit_ahead(
          frontier_.data() + first, frontier_.data() + last, [&](int64_t block) { prefetch_around(block); },
          [&](int64_t block) { expand(block, touched, contests); });
      append(touched_, touched);
      append(contests_, contests);
    });
  }

  void prefetch_around(int64_t block) {
    for (const int64_t row : blocks_.rows_around()) {
      prefetch(verdicts_.place(block + row));
      prefetch(blocks_.labels(block + row));
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
    return verdicts_.get(block, object, [&] {
      return judge_(judgement_, image_, blocks_.first_pixel(block), blocks_.pixels(block), object);
    });
  }

  template <class T>
  void append(std::vector<T>& to, const std::vector<T>& more) {
    if (more.empty()) return;
    const std::lock_guard lock(mutex_);
    to.insert(to.end(), more.begin(), more.end());
  }

  const Judgement& judgement_;
  Judge judge_;
  int64_t image_;
  Blocks& blocks_;
  Verdicts verdicts_;
  LargeVector<Bits> settled_, fresh_, claimed_;  // for every block
  std::vector<int64_t> frontier_, touched_;      // blocks with fresh, with claimed pixels
  std::vector<Contest> contests_;
  std::mutex mutex_;
};

}  // namespace

void grow(const Judgement& judgement, int64_t image, Blocks& blocks, int64_t max_levels, bool* active) {
  Growth growth(judgement, image, blocks);
  growth.run(max_levels);
  if (active != nullptr) growth.write_fresh(active);
}

EMBEDSEG_KERNEL_END
