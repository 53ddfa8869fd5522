// Connected components, by words of 32 pixels. docs/method.md, Postprocessing, step 1.
//
// A run of set pixels within a word is a node of a union-find. It is named by its first pixel's place in the image,
// where the result keeps the node's parent meanwhile; a root is always the smallest name of its tree: the first pixel
// of its component.
#include "common/checks.h"
#include "cuda/numbering.h"
#include "cuda/places.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;
constexpr uint32_t word_pixels = 32;
constexpr uint32_t written_at_once = 8;

using Name = uint32_t;
constexpr Name final = Name{1} << 31;  // marks a root's name that is a node's last parent

// One batch. Rows are numbered through the planes of an image.
struct Forest {
  uint32_t depth, height, width;  // of an image, in pixels
  uint32_t across;                // words in a row
  Divisor by_height, by_across, by_written;
  uint32_t* words;  // [batch, rows, across]: a bit a pixel
  uint32_t* roots;  // likewise: set where a component begins
  Name* nodes;      // [batch, pixels]: the result's memory

  C10_HOST_DEVICE uint32_t rows() const { return depth * height; }
  C10_HOST_DEVICE uint32_t words_each() const { return rows() * across; }
  C10_HOST_DEVICE uint32_t pixels() const { return rows() * width; }
  __device__ Name* image(uint32_t image) const { return nodes + int64_t{image} * pixels(); }
  // The first pixel of a word.
  __device__ Name name_of(uint32_t word) const {
    const uint32_t row = by_across.divide(word);
    return row * width + (word - row * across) * word_pixels;
  }
};

// The pixels from `begin` to before `end`, of 32.
__device__ unsigned stretch(int begin, int end) { return (~0u << begin) & (end < 32 ? ~(~0u << end) : ~0u); }

// Where the run of set bits begins that the bit `in_it` belongs to, and where it ends.
__device__ int begin_of_run(unsigned set, int in_it) { return 32 - __clz(static_cast<int>(~set & ~(~0u << in_it))); }
__device__ int end_of_run(unsigned set, int in_it) {
  const unsigned clear = ~set & (~0u << in_it);
  return clear == 0 ? 32 : __ffs(static_cast<int>(clear)) - 1;
}

// Calls work(first bit, bit behind the last) for every run.
template <class Work>
__device__ void for_each_run(unsigned set, const Work& work) {
  while (set != 0) {
    const int begin = __ffs(static_cast<int>(set)) - 1, end = end_of_run(set, begin);
    work(begin, end);
    set &= ~stretch(begin, end);
  }
}

__device__ Name find_root(const Name* nodes, Name name) {
  for (Name parent; (parent = nodes[name]) != name; name = parent) {
    if ((parent & final) != 0) return parent & ~final;
  }
  return name;
}

__device__ void unite(Name* nodes, Name a, Name b) {
  for (;;) {
    a = find_root(nodes, a);
    b = find_root(nodes, b);
    if (a == b) return;
    const Name larger = a > b ? a : b, smaller = a > b ? b : a;
    const Name before = atomicMin(&nodes[larger], smaller);
    if (before == larger) return;
    a = before;  // someone else had hung the larger below another: that one and the smaller are to be united
    b = smaller;
  }
}

// The bits of 4 pixels, a byte each, as the last of a number.
__device__ unsigned gather_bits(unsigned bytes) { return bytes * 0x10204080u >> 28; }

// The first 32 of a row's pixels, or as many as there are.
__device__ unsigned read_word(const bool* mask, uint32_t pixels) {
  unsigned set = 0;
  if (pixels >= word_pixels && reinterpret_cast<uintptr_t>(mask) % sizeof(uint4) == 0) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint4 bytes = reinterpret_cast<const uint4*>(mask)[half];
      const unsigned low = gather_bits(bytes.x) | gather_bits(bytes.y) << 4;
      set |= (low | gather_bits(bytes.z) << 8 | gather_bits(bytes.w) << 12) << 16 * half;
    }
  } else {
#pragma unroll 1
    for (uint32_t i = 0; i < pixels && i < word_pixels; ++i) set |= static_cast<unsigned>(mask[i]) << i;
  }
  return set;
}

// Reads the mask, once. Every run is its own tree.
__global__ void plant(const bool* mask, const Forest forest, const ImageBlocks launched) {
  const uint32_t image = launched.image(), word = launched.item();
  if (word >= forest.words_each()) return;
  const uint32_t row = forest.by_across.divide(word), x = (word - row * forest.across) * word_pixels;
  const Name first = row * forest.width + x;
  const bool* const pixels = mask + int64_t{image} * forest.pixels() + first;
  const unsigned set = read_word(pixels, forest.width - x);
  forest.words[int64_t{image} * forest.words_each() + word] = set;
  Name* const nodes = forest.image(image) + first;
  for (unsigned begins = set & ~(set << 1); begins != 0; begins &= begins - 1) {
    const int bit = __ffs(static_cast<int>(begins)) - 1;
    nodes[bit] = first + bit;
  }
}

// A word with those beside it in its row, and the name of its first pixel.
struct Neighborhood {
  unsigned before, set, after;
  Name first;

  __device__ Neighborhood(const uint32_t* words, uint32_t x, uint32_t across, Name name)
      : before(x > 0 ? words[-1] : 0), set(words[0]), after(x + 1 < across ? words[1] : 0), first(name) {}

  // Calls work(name) for the runs that touch pixels begin - 1 to end, but for those that hang together anyway.
  template <class Work>
  __device__ void for_touched(int begin, int end, const Work& work) const {
    const unsigned reach = stretch(begin > 0 ? begin - 1 : 0, end < 32 ? end + 1 : 32);
    if (begin == 0 && (before >> 31) != 0 && (set & 1) == 0) work(first - word_pixels + begin_of_run(before, 31));
    for (unsigned left = set & reach; left != 0; left &= left + (left & (0 - left))) {  // that drops its first run
      work(first + begin_of_run(set, __ffs(static_cast<int>(left)) - 1));
    }
    if (end == 32 && (after & 1) != 0 && (set >> 31) == 0) work(first + word_pixels);
  }
};

// Unites every run with the one that it goes on from, and with those of the rows before that it touches: one row in an
// image, four in a volume.
__global__ void join(const Forest forest, const ImageBlocks launched) {
  const uint32_t image = launched.image(), word = launched.item();
  if (word >= forest.words_each()) return;
  const uint32_t* const words = forest.words + int64_t{image} * forest.words_each() + word;
  const unsigned set = words[0];
  if (set == 0) return;
  const uint32_t row = forest.by_across.divide(word), x = word - row * forest.across;
  const Name first = row * forest.width + x * word_pixels;
  Name* const nodes = forest.image(image);
  if ((set & 1) != 0 && x > 0 && (words[-1] >> 31) != 0) {
    unite(nodes, first, first - word_pixels + begin_of_run(words[-1], 31));
  }
  const auto unite_with_row = [&](uint32_t rows_back) {
    const Neighborhood other(words - int64_t{rows_back} * forest.across, x, forest.across,
                             first - rows_back * forest.width);
    for_each_run(set, [&](int begin, int end) {
      other.for_touched(begin, end, [&](Name name) { unite(nodes, first + begin, name); });
    });
  };
  const uint32_t z = forest.depth == 1 ? 0 : forest.by_height.divide(row), y = row - z * forest.height;
  if (y > 0) unite_with_row(1);
  if (z == 0) return;
#pragma unroll 1
  for (int dy = -1; dy <= 1; ++dy) {
    if (y + dy < forest.height) unite_with_row(forest.height - dy);  // what is below 0 is large: y is unsigned
  }
}

// Hangs every node below its root, and marks roots.
__global__ void flatten(const Forest forest, const ImageBlocks launched) {
  const uint32_t image = launched.image(), word = launched.item();
  if (word >= forest.words_each()) return;
  const int64_t place = int64_t{image} * forest.words_each() + word;
  const unsigned set = forest.words[place];
  const Name first = forest.name_of(word);
  Name* const nodes = forest.image(image);
  unsigned roots = 0;
  for (unsigned begins = set & ~(set << 1); begins != 0; begins &= begins - 1) {
    const int bit = __ffs(static_cast<int>(begins)) - 1;
    const Name root = find_root(nodes, first + bit);
    nodes[first + bit] = root | final;
    if (root == first + bit) roots |= 1u << bit;
  }
  forest.roots[place] = roots;
}

// For number_marks: a component's number stands at its first pixel.
struct Roots {
  Forest forest;
  int64_t size;  // words

  __device__ unsigned marks(int64_t image, int64_t word) const { return forest.roots[image * size + word]; }
  __device__ void number(int64_t image, int64_t word, int bit, int32_t id) const {
    forest.image(static_cast<uint32_t>(image))[forest.name_of(static_cast<uint32_t>(word)) + bit] = id;
  }
};

// The number of a run's component. Whoever writes it at the run's first pixel meanwhile, writes the same.
__device__ Name number_of(const Name* nodes, Name name) {
  const Name node = nodes[name];
  return (node & final) == 0 ? node : nodes[node & ~final];
}

__global__ void write_ids(const Forest forest, const ImageBlocks launched) {
  const uint32_t image = launched.image(), item = launched.item();
  const uint32_t row = forest.by_written.divide(item);
  if (row >= forest.rows()) return;
  const uint32_t x = forest.by_written.remainder(item) * written_at_once, bit = x % word_pixels;
  const int64_t word = int64_t{image} * forest.words_each() + row * forest.across + x / word_pixels;
  const unsigned set = forest.words[word];
  Name* const nodes = forest.image(image);
  const Name first = row * forest.width + x;
  Name ids[written_at_once] = {};
  unsigned left = set >> bit & 0xff;
  while (left != 0) {
    const unsigned others = left & (left + (left & (0 - left))), own = left ^ others;
    const int begin = begin_of_run(set, static_cast<int>(bit) + __ffs(static_cast<int>(own)) - 1);
    const Name id = number_of(nodes, first - bit + begin);
#pragma unroll
    for (int i = 0; i < static_cast<int>(written_at_once); ++i) ids[i] = (own >> i & 1) != 0 ? id : ids[i];
    left = others;
  }
  Name* const out = nodes + first;
  if (x + written_at_once <= forest.width && reinterpret_cast<uintptr_t>(out) % sizeof(uint4) == 0) {
    reinterpret_cast<uint4*>(out)[0] = {ids[0], ids[1], ids[2], ids[3]};
    reinterpret_cast<uint4*>(out)[1] = {ids[4], ids[5], ids[6], ids[7]};
  } else {
#pragma unroll
    for (uint32_t i = 0; i < written_at_once; ++i) {
      if (x + i < forest.width) out[i] = ids[i];
    }
  }
}

// mask: bool [B, *spatial]
Tensor connected_components(const Tensor& strided) {
  const Device device(strided);
  check_map(strided, "mask", ScalarType::Bool);
  const Tensor mask = torch::stable::contiguous(strided);
  const Tensor out = device.empty_like(mask, ScalarType::Int);
  const Grid grid = grid_of(mask);
  STD_TORCH_CHECK(grid.pixels() <= std::numeric_limits<int32_t>::max(),
                  "an image of more than 2**31 - 1 pixels cannot be labelled");
  if (mask.numel() == 0) return out;
  const int64_t across = (grid.width + word_pixels - 1) / word_pixels, words = grid.depth * grid.height * across;
  const int64_t written_across = (grid.width + written_at_once - 1) / written_at_once;
  const Tensor bits = device.empty({2, grid.batch, words}, ScalarType::Int);
  const auto size = [](int64_t number) { return static_cast<uint32_t>(number); };
  auto* const first_word = reinterpret_cast<uint32_t*>(data<int32_t>(bits));
  const Forest forest = {size(grid.depth),
                         size(grid.height),
                         size(grid.width),
                         size(across),
                         Divisor(grid.height),
                         Divisor(across),
                         Divisor(written_across),
                         first_word,
                         first_word + grid.batch * words,
                         reinterpret_cast<Name*>(data<int32_t>(out))};
  const ImageBlocks by_words(grid.batch, words, threads);
  const ImageBlocks by_written(grid.batch, grid.depth * grid.height * written_across, threads);
  device.launch(plant, by_words.shape(), data<bool>(mask), forest, by_words);
  device.launch(join, by_words.shape(), forest, by_words);
  device.launch(flatten, by_words.shape(), forest, by_words);
  number_marks(device, grid.batch, Roots{forest, words});
  device.launch(write_ids, by_written.shape(), forest, by_written);
  return out;
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(connected_components)
