// Connected components, by runs of set pixels. SPEC, Postprocessing, step 1.
//
// The forest of a union-find lives in the output: the first pixel of a run holds ~p (negative), p the first pixel of
// its parent run in the image's raster order, and a positive number once it has its id. A root is always the smallest
// pixel of its tree, so the result depends on nothing but the mask, however the rows are shared out.
#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <span>

#include "common/tensor.h"

namespace embedseg::cpu {
namespace {

struct Run {
  int32_t start, end;  // columns start .. end - 1
};

// A row's runs, and for each a pixel known to lead to its root: one that often is the root spares a walk through
// memory.
struct RowRuns {
  std::span<const Run> runs;
  int32_t* leads;
};

// Writes the runs of `row` to `runs`; returns how many.
int64_t find_runs(const uint8_t* row, int64_t width, Run* runs) {
  static_assert(std::endian::native == std::endian::little);
  int32_t* edge = &runs->start;  // starts and ends alternate
  uint64_t previous = 0;
  const auto add_edges = [&](int64_t x, uint64_t pixels) {
    for (uint64_t edges = pixels ^ (pixels << 8 | previous); edges != 0; edges &= edges - 1)
      *edge++ = static_cast<int32_t>(x) + (std::countr_zero(edges) >> 3);
    previous = pixels >> 56;
  };
  int64_t x = 0;
  uint64_t pixels = 0;
  for (; x + 8 <= width; x += 8) {
    std::memcpy(&pixels, row + x, 8);
    add_edges(x, pixels);
  }
  pixels = 0;
  std::memcpy(&pixels, row + x, width - x);
  add_edges(x, pixels);  // the zeros beyond the row end its last run
  return (edge - &runs->start) / 2;
}

// Rows are numbered through the planes of an image: row = z * height + y.
struct Image {
  const uint8_t* mask;
  int32_t* out;
  Grid grid;
  int64_t rows() const { return grid.depth * grid.height; }
};

// The runs of the rows last asked for: as far back as a row's neighbours reach.
class RecentRuns {
 public:
  explicit RecentRuns(const Image& image)
      : image_(image),
        slots_(image.grid.depth > 1 ? image.grid.height + 2 : 2),
        capacity_(image.grid.width / 2 + 1),
        runs_(std::make_unique_for_overwrite<Run[]>(slots_ * capacity_)),
        leads_(std::make_unique_for_overwrite<int32_t[]>(slots_ * capacity_)),
        counts_(slots_),
        rows_(slots_, -1) {}

  RowRuns operator[](int64_t row) {
    const int64_t slot = row % slots_;
    Run* runs = runs_.get() + slot * capacity_;
    int32_t* leads = leads_.get() + slot * capacity_;
    if (rows_[slot] != row) {
      const int64_t base = row * image_.grid.width;
      rows_[slot] = row;
      counts_[slot] = find_runs(image_.mask + base, image_.grid.width, runs);
      for (int64_t i = 0; i < counts_[slot]; ++i) leads[i] = static_cast<int32_t>(base + runs[i].start);
    }
    return {{runs, static_cast<size_t>(counts_[slot])}, leads};
  }

 private:
  const Image& image_;
  int64_t slots_, capacity_;
  std::unique_ptr<Run[]> runs_;
  std::unique_ptr<int32_t[]> leads_;
  std::vector<int64_t> counts_, rows_;
};

int32_t find_root(int32_t* forest, int32_t pixel) {
  while (~forest[pixel] != pixel) {
    forest[pixel] = forest[~forest[pixel]];  // halves the path
    pixel = ~forest[pixel];
  }
  return pixel;
}

// Returns the root of both.
int32_t unite(int32_t* forest, int32_t a, int32_t b) {
  if (a == b) return a;
  a = find_root(forest, a);
  b = find_root(forest, b);
  const int32_t root = std::min(a, b);
  forest[std::max(a, b)] = ~root;
  return root;
}

// Unites the runs of one row with those that they touch, diagonals included, in another.
void link(int32_t* forest, const RowRuns& upper, const RowRuns& lower) {
  size_t u = 0, l = 0;
  while (u < upper.runs.size() && l < lower.runs.size()) {
    if (upper.runs[u].start <= lower.runs[l].end && lower.runs[l].start <= upper.runs[u].end)
      upper.leads[u] = lower.leads[l] = unite(forest, upper.leads[u], lower.leads[l]);
    upper.runs[u].end < lower.runs[l].end ? ++u : ++l;
  }
}

// Links `row` with the rows before it that it touches, of those from `from` to before `to`.
void link_row(const Image& image, RecentRuns& recent, int64_t row, int64_t from, int64_t to) {
  const RowRuns lower = recent[row];
  if (lower.runs.empty()) return;
  const auto link_with = [&](int64_t other) {
    if (other >= from && other < to) link(image.out, recent[other], lower);
  };
  const int64_t height = image.grid.height, y = row % height;
  if (y > 0) link_with(row - 1);
  if (y > 0) link_with(row - height - 1);
  link_with(row - height);
  if (y + 1 < height) link_with(row - height + 1);
}

// Builds the forest of the rows from `begin` to before `end`; returns its roots in raster order.
std::vector<int32_t> build_forest(const Image& image, int64_t begin, int64_t end) {
  std::vector<int32_t> roots;
  RecentRuns recent(image);
  for (int64_t row = begin; row < end; ++row) {
    const RowRuns here = recent[row];
    for (size_t i = 0; i < here.runs.size(); ++i) image.out[here.leads[i]] = ~here.leads[i];
    link_row(image, recent, row, begin, row);
    const int64_t base = row * image.grid.width;
    for (size_t i = 0; i < here.runs.size(); ++i)
      if (here.leads[i] == base + here.runs[i].start) roots.push_back(here.leads[i]);
  }
  return roots;
}

// Joins the forest of the rows begin .. middle - 1 to that of middle .. end - 1.
void join_forests(const Image& image, int64_t begin, int64_t middle, int64_t end) {
  RecentRuns recent(image);
  const int64_t reach = image.grid.depth > 1 ? image.grid.height + 1 : 1;
  for (int64_t row = middle; row < std::min(end, middle + reach); ++row) link_row(image, recent, row, begin, middle);
}

// Replaces the links of the rows by ids. Other threads may pass through these rows on their way to a root: what they
// find at the start of a run, its old link or already its id, leads them to the same.
void write_ids(const Image& image, int64_t begin, int64_t end) {
  const int64_t width = image.grid.width;
  std::vector<Run> runs(width / 2 + 1);
  for (int64_t row = begin; row < end; ++row) {
    const int64_t count = find_runs(image.mask + row * width, width, runs.data());
    int32_t* out = image.out + row * width;
    int32_t x = 0;
    for (const Run& run : std::span(runs.data(), count)) {
      int32_t id = out[run.start];
      while (id < 0) id = std::atomic_ref(image.out[~id]).load(std::memory_order_relaxed);
      while (x < run.start) out[x++] = 0;
      std::atomic_ref(out[x++]).store(id, std::memory_order_relaxed);
      while (x < run.end) out[x++] = id;
    }
    std::fill(out + x, out + width, 0);
  }
}

// A batch of images, each cut into the same number of strips of rows.
class Labelling {
 public:
  Labelling(const Tensor& mask, const Tensor& out)
      : mask_(data<const uint8_t>(mask)), out_(data<int32_t>(out)), grid_(grid_of(mask)) {
    constexpr int64_t least_pixels = 1 << 14;  // a strip that is worth a thread
    const int64_t threads = torch::stable::get_num_threads();
    const int64_t even_share = threads / std::gcd(threads, grid_.batch);
    strips_ = std::clamp<int64_t>(grid_.pixels() / least_pixels, 1, std::min(even_share, rows()));
  }

  void run() const {
    std::vector<std::vector<int32_t>> roots(grid_.batch * strips_);
    for_each(strips_, [&](int64_t b, int64_t strip) {
      roots[b * strips_ + strip] = build_forest(image(b), first_row(strip), first_row(strip + 1));
    });
    for (int64_t step = 1; step < strips_; step *= 2)  // joins neighbours, then neighbouring pairs, …
      for_each((strips_ + step - 1) / (2 * step), [&](int64_t b, int64_t pair) {
        const int64_t left = pair * 2 * step;
        join_forests(image(b), first_row(left), first_row(left + step), first_row(left + 2 * step));
      });
    for_each(1, [&](int64_t b, int64_t) { number_roots(b, roots); });
    for_each(strips_, [&](int64_t b, int64_t strip) { write_ids(image(b), first_row(strip), first_row(strip + 1)); });
  }

 private:
  int64_t rows() const { return grid_.depth * grid_.height; }
  int64_t first_row(int64_t strip) const { return rows() * std::min(strip, strips_) / strips_; }
  Image image(int64_t b) const { return {mask_ + b * grid_.pixels(), out_ + b * grid_.pixels(), grid_}; }

  // Calls work(image, part) for so many parts of every image.
  template <class Work>
  void for_each(int64_t parts, const Work& work) const {
    const int64_t grain = std::max<int64_t>(1, (1 << 14) / grid_.pixels());
    torch::stable::parallel_for(0, grid_.batch * parts, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) work(i / parts, i % parts);
    });
  }

  void number_roots(int64_t b, const std::vector<std::vector<int32_t>>& roots) const {
    int32_t* out = image(b).out;
    int32_t objects = 0;
    for (int64_t strip = 0; strip < strips_; ++strip)
      for (const int32_t root : roots[b * strips_ + strip])
        if (out[root] == ~root) out[root] = ++objects;
  }

  const uint8_t* mask_;
  int32_t* out_;
  Grid grid_;
  int64_t strips_;
};

// mask: bool [B, *spatial]
Tensor connected_components(const Tensor& strided) {
  const Tensor mask = torch::stable::contiguous(strided);
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
