// Connected components, by runs of set pixels. docs/method.md, Postprocessing, step 1.
//
// Runs are numbered through an image in raster order. A component is a tree of runs; a run's parent has a smaller
// number, or is the run itself: then it is the component's first. So the result depends on nothing but the mask,
// however the rows are shared out.
#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "common/checks.h"
#include "cpu/contiguous.h"
#include "cpu/mask_runs.h"

namespace embedseg::cpu {
namespace {

// The runs of one image. Rows are numbered through its planes: row = z * height + y.
class Image {
 public:
  Image(const uint8_t* mask, int32_t* out, const Grid& grid, int64_t strips)
      : mask_(mask), out_(out), grid_(grid), parts_(strips), first_run_(grid.depth * grid.height + 1) {}

  // Finds the runs of the rows from `begin` to before `end`, which are strip number `strip`.
  void scan(int64_t strip, int64_t begin, int64_t end) {
    std::vector<Run> here(grid_.width / 2 + 1);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t count = find_runs(mask_ + row * grid_.width, grid_.width, here.data());
      parts_[strip].insert(parts_[strip].end(), here.begin(), here.begin() + count);
      first_run_[row + 1] = static_cast<int32_t>(count);
    }
  }

  // Every run becomes its own tree.
  void plant() {
    runs_ = std::move(parts_[0]);
    for (size_t strip = 1; strip < parts_.size(); ++strip) {
      runs_.insert(runs_.end(), parts_[strip].begin(), parts_[strip].end());
      parts_[strip] = {};
    }
    std::partial_sum(first_run_.begin(), first_run_.end(), first_run_.begin());
    parents_.resize(runs_.size());
    std::iota(parents_.begin(), parents_.end(), 0);
  }

  // Links the rows from `begin` to before `end` with the rows before them that they touch, of those from `from` to
  // before `to`, or before themselves.
  void link(int64_t begin, int64_t end, int64_t from, int64_t to) {
    const int64_t height = grid_.height;
    for (int64_t row = begin; row < end; ++row) {
      const auto link_with = [&](int64_t other) {
        if (other >= from && other < to) link_rows(other, row);
      };
      const int64_t y = row % height;
      if (y > 0) link_with(row - 1);
      if (y > 0) link_with(row - height - 1);
      link_with(row - height);
      if (y + 1 < height) link_with(row - height + 1);
    }
  }

  // Joins the trees of the rows begin .. middle - 1 to those of middle .. end - 1.
  void join(int64_t begin, int64_t middle, int64_t end) {
    const int64_t reach = grid_.depth > 1 ? grid_.height + 1 : 1;
    link(middle, std::min(end, middle + reach), begin, middle);
  }

  // Replaces parents by ids.
  void number() {
    int32_t objects = 0;
    for (size_t run = 0; run < parents_.size(); ++run) {
      const size_t parent = parents_[run];
      parents_[run] = parent == run ? ++objects : parents_[parent];
    }
  }

  void write(int64_t begin, int64_t end) const {
    for (int64_t row = begin; row < end; ++row) {
      int32_t* const out = out_ + row * grid_.width;
      int32_t x = 0;
      for (int32_t run = first_run_[row]; run < first_run_[row + 1]; ++run) {
        while (x < runs_[run].start) out[x++] = 0;
        while (x < runs_[run].end) out[x++] = parents_[run];
      }
      std::fill(out + x, out + grid_.width, 0);
    }
  }

 private:
  // Diagonals included.
  void link_rows(int64_t upper, int64_t lower) {
    int32_t u = first_run_[upper], l = first_run_[lower];
    const int32_t last_u = first_run_[upper + 1], last_l = first_run_[lower + 1];
    while (u < last_u && l < last_l) {
      if (runs_[u].start <= runs_[l].end && runs_[l].start <= runs_[u].end) unite(u, l);
      runs_[u].end < runs_[l].end ? ++u : ++l;
    }
  }

  void unite(int32_t a, int32_t b) {
    a = find_root(a);
    b = find_root(b);
    parents_[std::max(a, b)] = std::min(a, b);
  }

  int32_t find_root(int32_t run) {
    while (parents_[run] != run) run = parents_[run] = parents_[parents_[run]];  // halves the path
    return run;
  }

  const uint8_t* mask_;
  int32_t* out_;
  Grid grid_;
  std::vector<std::vector<Run>> parts_;  // of the strips
  std::vector<int32_t> first_run_;       // of every row, and behind the last
  std::vector<Run> runs_;
  std::vector<int32_t> parents_;
};

// A batch of images, each cut into the same number of strips of rows.
class Labelling {
 public:
  Labelling(const Tensor& mask, const Tensor& out) : grid_(grid_of(mask)) {
    constexpr int64_t least_pixels = 1 << 14;  // a strip that is worth a thread
    const int64_t threads = torch::stable::get_num_threads();
    const int64_t even_share = threads / std::gcd(threads, grid_.batch);
    strips_ = std::clamp<int64_t>(grid_.pixels() / least_pixels, 1, std::min(even_share, rows()));
    for (int64_t b = 0; b < grid_.batch; ++b) {
      const int64_t offset = b * grid_.pixels();
      images_.emplace_back(data<const uint8_t>(mask) + offset, data<int32_t>(out) + offset, grid_, strips_);
    }
  }

  void run() {
    for_each(strips_, [&](Image& image, int64_t strip) { image.scan(strip, first_row(strip), first_row(strip + 1)); });
    for_each(1, [](Image& image, int64_t) { image.plant(); });
    for_each(strips_, [&](Image& image, int64_t strip) {
      image.link(first_row(strip), first_row(strip + 1), first_row(strip), rows());
    });
    for (int64_t step = 1; step < strips_; step *= 2)  // joins neighbours, then neighbouring pairs, …
      for_each((strips_ + step - 1) / (2 * step), [&](Image& image, int64_t pair) {
        const int64_t left = pair * 2 * step;
        image.join(first_row(left), first_row(left + step), first_row(left + 2 * step));
      });
    for_each(1, [](Image& image, int64_t) { image.number(); });
    for_each(strips_, [&](Image& image, int64_t strip) { image.write(first_row(strip), first_row(strip + 1)); });
  }

 private:
  int64_t rows() const { return grid_.depth * grid_.height; }
  int64_t first_row(int64_t strip) const { return rows() * std::min(strip, strips_) / strips_; }

  // Calls work(image, part) for so many parts of every image.
  template <class Work>
  void for_each(int64_t parts, const Work& work) {
    const int64_t grain = std::max<int64_t>(1, (1 << 14) / grid_.pixels());
    torch::stable::parallel_for(0, grid_.batch * parts, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) work(images_[i / parts], i % parts);
    });
  }

  Grid grid_;
  int64_t strips_;
  std::vector<Image> images_;
};

// mask: bool [B, *spatial]
Tensor connected_components(const Tensor& strided) {
  check_map(strided, "mask", ScalarType::Bool);
  const Tensor mask = as_contiguous(strided);
  const Tensor out = empty_like(mask, ScalarType::Int);
  STD_TORCH_CHECK(grid_of(mask).pixels() <= std::numeric_limits<int32_t>::max(),
                  "an image of more than 2**31 - 1 pixels cannot be labelled");
  if (mask.numel() > 0) Labelling(mask, out).run();
  return out;
}

}  // namespace
}  // namespace embedseg::cpu

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) {
  m.impl("connected_components", TORCH_BOX(&embedseg::cpu::connected_components));
}
