// Connected components, by runs of set pixels. docs/method.md, Postprocessing, step 1.
//
// A component is a tree of runs; a run is named by its first pixel's place in the image. While the trees grow they live
// in the output, at the first pixels of the runs: ~p there is a link to the parent p, and ~p at p itself makes a root.
// A link is negative, so it is not taken for an id, which is above 0. For the mask on the left, whose runs are 0, 3 and
// 4:
//
//   1 1 0 1      ~0  .  . ~3       ~0  .  . ~0       1  .  .  ~0       1 1 0 1
//   1 1 1 1  →   ~4  .  .  .   →   ~0  .  .  .   →  ~0  .  .   .   →   1 1 1 1
//                planted           united            root numbered     written
//
// A root is always the smallest pixel of its tree, so the result depends on nothing but the mask, however the rows are
// shared out.
#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <numeric>

#include "common/checks.h"
#include "cpu/mask_runs.h"

namespace embedseg::cpu {
namespace {

// The trees of one image's runs, in its output.
class Forest {
 public:
  explicit Forest(int32_t* out) : out_(out) {}

  void plant(int32_t run) const { out_[run] = ~run; }
  bool is_root(int32_t run) const { return out_[run] == ~run; }
  void number(int32_t root, int32_t id) const { out_[root] = id; }

  // Returns the root of both.
  int32_t unite(int32_t a, int32_t b) const {
    if (a == b) return a;
    a = find_root(a);
    b = find_root(b);
    const int32_t root = std::min(a, b);
    out_[std::max(a, b)] = ~root;
    return root;
  }

  // The id of the run's root, once roots are numbered. Threads may replace links by ids meanwhile: on the way to a
  // root, either leads to the same.
  int32_t id_of(int32_t run) const {
    int32_t link = out_[run];
    while (link < 0) link = std::atomic_ref(out_[~link]).load(std::memory_order_relaxed);
    return link;
  }

 private:
  int32_t find_root(int32_t run) const {
    while (!is_root(run)) {
      out_[run] = out_[~out_[run]];  // halves the path
      run = ~out_[run];
    }
    return run;
  }

  int32_t* out_;
};

struct Image {
  const uint8_t* mask;
  int32_t* out;
  Grid grid;

  Forest forest() const { return Forest(out); }
};

// Unites the runs of one row with those that they touch, diagonals included, in another.
void link(const Forest& forest, const RowRuns& upper, const RowRuns& lower) {
  size_t u = 0, l = 0;
  while (u < upper.runs.size() && l < lower.runs.size()) {
    if (upper.runs[u].start <= lower.runs[l].end && lower.runs[l].start <= upper.runs[u].end)
      upper.leads[u] = lower.leads[l] = forest.unite(upper.leads[u], lower.leads[l]);
    upper.runs[u].end < lower.runs[l].end ? ++u : ++l;
  }
}

// Links `row` with the rows before it that it touches, of those from `from` to before `to`.
void link_row(const Image& image, RecentRuns& recent, int64_t row, int64_t from, int64_t to) {
  const RowRuns lower = recent[row];
  if (lower.runs.empty()) return;
  const auto link_with = [&](int64_t other) {
    if (other >= from && other < to) link(image.forest(), recent[other], lower);
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
  RecentRuns recent(image.mask, image.grid);
  for (int64_t row = begin; row < end; ++row) {
    const RowRuns here = recent[row];
    for (size_t i = 0; i < here.runs.size(); ++i) image.forest().plant(here.leads[i]);
    link_row(image, recent, row, begin, row);
    const int64_t base = row * image.grid.width;
    for (size_t i = 0; i < here.runs.size(); ++i)
      if (here.leads[i] == base + here.runs[i].start) roots.push_back(here.leads[i]);
  }
  return roots;
}

// Joins the forest of the rows begin .. middle - 1 to that of middle .. end - 1.
void join_forests(const Image& image, int64_t begin, int64_t middle, int64_t end) {
  RecentRuns recent(image.mask, image.grid);
  const int64_t reach = image.grid.depth > 1 ? image.grid.height + 1 : 1;
  for (int64_t row = middle; row < std::min(end, middle + reach); ++row) link_row(image, recent, row, begin, middle);
}

// Replaces the links of the rows by ids.
void write_ids(const Image& image, int64_t begin, int64_t end) {
  const int64_t width = image.grid.width;
  std::vector<Run> runs(width / 2 + 1);
  for (int64_t row = begin; row < end; ++row) {
    const int64_t count = find_runs(image.mask + row * width, width, runs.data());
    int32_t* out = image.out + row * width;
    int32_t x = 0;
    for (const Run& run : std::span(runs.data(), count)) {
      const int32_t id = image.forest().id_of(static_cast<int32_t>(row * width) + run.start);
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
    const Forest forest = image(b).forest();
    int32_t objects = 0;
    for (int64_t strip = 0; strip < strips_; ++strip)
      for (const int32_t root : roots[b * strips_ + strip])
        if (forest.is_root(root)) forest.number(root, ++objects);
  }

  const uint8_t* mask_;
  int32_t* out_;
  Grid grid_;
  int64_t strips_;
};

// mask: bool [B, *spatial]
Tensor connected_components(const Tensor& strided) {
  check_map(strided, "mask", ScalarType::Bool);
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
