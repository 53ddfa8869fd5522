// Connected components, by blocks of 2 × 2 (× 2) pixels. docs/method.md, Postprocessing, step 1.
//
// All set pixels of a block touch each other, so a block is one node of a union-find; and two blocks next to each other
// are connected where both have a pixel on the sides that face each other. A node is named by its block's first pixel
// in the image's raster order, and a root is always the smallest name of its tree: the first pixel of its component.
#include "common/checks.h"
#include "cuda/numbering.h"
#include "cuda/places.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;

// A pixel's: its row, counted through all planes, and behind it, in bits enough for the width, its place in the row. So
// names are in raster order, and going from a name to its block takes no division in 2D.
using Name = uint32_t;

// One batch. Of a block, bit 4z + 2y + x tells that its pixel (z, y, x) is set.
struct Forest {
  uint32_t depth, height, width;  // of an image, in pixels
  uint32_t deep, down, across;    // in blocks
  Divisor by_height, by_down, by_across;
  int shift;        // of a name's row
  uint8_t* bits;    // [batch, blocks]
  Name* parents;    // [batch, blocks]
  uint32_t* roots;  // [batch, words]: a bit a pixel, set where a component begins
  int32_t* out;     // [batch, pixels]

  C10_HOST_DEVICE uint32_t blocks() const { return deep * down * across; }
  C10_HOST_DEVICE uint32_t pixels() const { return depth * height * width; }
  C10_HOST_DEVICE uint32_t words() const { return (pixels() + 31) / 32; }

  __device__ Name step(int z, int y, int x) const { return ((z * height + y) << shift) + x; }
  __device__ uint32_t pixel_of(Name name) const { return (name >> shift) * width + (name & ((1u << shift) - 1)); }
  __device__ uint32_t block_of(Name name) const {
    const uint32_t row = name >> shift, x = name & ((1u << shift) - 1);
    if (depth == 1) return row / 2 * across + x / 2;
    const uint32_t z = by_height.divide(row), y = row - z * height;
    return (z / 2 * down + y / 2) * across + x / 2;
  }
};

// A thread's block, and where it lies.
struct Place {
  uint32_t image, block, z, y, x;

  __device__ Place(const Forest& forest, const ImageBlocks& launched)
      : image(launched.image()), block(launched.item()) {
    const uint32_t row = forest.by_across.divide(block);
    x = block - row * forest.across;
    z = forest.deep == 1 ? 0 : forest.by_down.divide(row);
    y = row - z * forest.down;
  }
  __device__ bool exists(const Forest& forest) const { return block < forest.blocks(); }
  __device__ Name corner(const Forest& forest) const { return forest.step(2 * z, 2 * y, 2 * x); }
  // Whether there is a pixel at a bit.
  __device__ bool has(const Forest& forest, int bit) const {
    return 2 * x + bit % 2 < forest.width && 2 * y + bit / 2 % 2 < forest.height && 2 * z + bit / 4 < forest.depth;
  }
};

__device__ Name name_at(const Forest& forest, Name corner, int bit) {
  return corner + forest.step(bit / 4, bit / 2 % 2, bit % 2);
}
__device__ Name name_of(const Forest& forest, Name corner, unsigned set) {
  return name_at(forest, corner, __ffs(static_cast<int>(set)) - 1);
}

__device__ Name find_root(const Forest& forest, const Name* parents, Name name) {
  for (Name parent; (parent = parents[forest.block_of(name)]) != name;) name = parent;
  return name;
}

__device__ void unite(const Forest& forest, Name* parents, Name a, Name b) {
  for (;;) {
    a = find_root(forest, parents, a);
    b = find_root(forest, parents, b);
    if (a == b) return;
    const Name larger = a > b ? a : b, smaller = a > b ? b : a;
    const Name before = atomicMin(&parents[forest.block_of(larger)], smaller);
    if (before == larger) return;
    a = before;  // someone else had hung the larger below another: that one and the smaller are to be united
    b = smaller;
  }
}

// Reads the mask, once. Every set block is its own tree.
__global__ void plant(const bool* mask, const Forest forest, const ImageBlocks launched) {
  const Place place(forest, launched);
  if (!place.exists(forest)) return;
  const Name corner = place.corner(forest);
  const bool* const pixels = mask + int64_t{place.image} * forest.pixels() + forest.pixel_of(corner);
  unsigned set = 0;
  for (int bit = 0; bit < (forest.depth == 1 ? 4 : 8); ++bit) {
    const uint32_t there = (bit / 4 * forest.height + bit / 2 % 2) * forest.width + bit % 2;
    if (place.has(forest, bit) && pixels[there]) set |= 1u << bit;
  }
  const int64_t i = int64_t{place.image} * forest.blocks() + place.block;
  forest.bits[i] = static_cast<uint8_t>(set);
  if (set != 0) forest.parents[i] = name_of(forest, corner, set);
}

// The bits of a block's pixels on the side that a step along an axis of the given bit leads out of.
__device__ unsigned side(int step, int axis) {
  constexpr unsigned low[] = {0x55, 0x33, 0x0f};  // x, y, z
  return step == 0 ? 0xff : step < 0 ? low[axis] : 0xff & ~low[axis];
}
__device__ unsigned facing(int z, int y, int x) { return side(z, 2) & side(y, 1) & side(x, 0); }

// Unites every block with those before it: 4 of its neighbours in an image, 13 in a volume.
__global__ void join(const Forest forest, const ImageBlocks launched) {
  const Place place(forest, launched);
  if (!place.exists(forest)) return;
  const uint8_t* const bits = forest.bits + int64_t{place.image} * forest.blocks() + place.block;
  const unsigned set = bits[0];
  if (set == 0) return;
  Name* const parents = forest.parents + int64_t{place.image} * forest.blocks();
  const Name corner = place.corner(forest), name = name_of(forest, corner, set);
  const auto unite_with = [&](int dz, int dy, int dx) {
    const bool there = place.z + dz < forest.deep && place.y + dy < forest.down && place.x + dx < forest.across;
    if (!there || (set & facing(dz, dy, dx)) == 0) return;  // what is below 0 is large: places are unsigned
    const unsigned other = bits[(dz * int64_t{forest.down} + dy) * forest.across + dx];
    if ((other & facing(-dz, -dy, -dx)) == 0) return;
    unite(forest, parents, name, name_of(forest, corner + forest.step(2 * dz, 2 * dy, 2 * dx), other));
  };
  if (forest.deep > 1) {
#pragma unroll 1
    for (int direction = 0; direction < 9; ++direction) unite_with(-1, direction / 3 - 1, direction % 3 - 1);
  }
#pragma unroll 1
  for (int dx = -1; dx <= 1; ++dx) unite_with(0, -1, dx);
  unite_with(0, 0, -1);
}

// Hangs every node below its root, and marks roots.
__global__ void flatten(const Forest forest, const ImageBlocks launched) {
  const Place place(forest, launched);
  if (!place.exists(forest)) return;
  const int64_t first = int64_t{place.image} * forest.blocks(), i = first + place.block;
  if (forest.bits[i] == 0) return;
  const Name root = find_root(forest, forest.parents + first, forest.parents[i]);
  forest.parents[i] = root;
  if (root != name_of(forest, place.corner(forest), forest.bits[i])) return;
  const uint32_t pixel = forest.pixel_of(root);
  atomicOr(&forest.roots[int64_t{place.image} * forest.words() + pixel / 32], 1u << pixel % 32);
}

// For number_marks: a component's number stands at its first pixel.
struct Roots {
  Forest forest;
  int64_t size;  // words

  __device__ unsigned marks(int64_t image, int64_t word) const { return forest.roots[image * size + word]; }
  __device__ void number(int64_t image, int64_t word, int bit, int32_t id) const {
    forest.out[image * forest.pixels() + word * 32 + bit] = id;
  }
};

// A component's first pixel, that others read, is given the number that it has.
__global__ void write_ids(const Forest forest, const ImageBlocks launched) {
  const Place place(forest, launched);
  if (!place.exists(forest)) return;
  const int64_t i = int64_t{place.image} * forest.blocks() + place.block;
  int32_t* const out = forest.out + int64_t{place.image} * forest.pixels();
  const unsigned set = forest.bits[i];
  const int32_t id = set == 0 ? 0 : out[forest.pixel_of(forest.parents[i])];
  int32_t* const own = out + forest.pixel_of(place.corner(forest));
  for (int bit = 0; bit < (forest.depth == 1 ? 4 : 8); ++bit) {
    const uint32_t there = (bit / 4 * forest.height + bit / 2 % 2) * forest.width + bit % 2;
    if (place.has(forest, bit)) own[there] = (set >> bit & 1) != 0 ? id : 0;
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
  const int64_t deep = (grid.depth + 1) / 2, down = (grid.height + 1) / 2, across = (grid.width + 1) / 2;
  const int64_t blocks = grid.batch * deep * down * across, words = (grid.pixels() + 31) / 32;
  const Tensor bits = device.empty({blocks}, ScalarType::Byte), parents = device.empty({blocks}, ScalarType::Int);
  const Tensor roots = device.zeros({grid.batch * words}, ScalarType::Int);
  const auto size = [](int64_t number) { return static_cast<uint32_t>(number); };
  const Forest forest = {size(grid.depth),
                         size(grid.height),
                         size(grid.width),
                         size(deep),
                         size(down),
                         size(across),
                         Divisor(grid.height),
                         Divisor(down),
                         Divisor(across),
                         static_cast<int>(std::bit_width(size(grid.width - 1))),
                         data<uint8_t>(bits),
                         reinterpret_cast<Name*>(data<int32_t>(parents)),
                         reinterpret_cast<uint32_t*>(data<int32_t>(roots)),
                         data<int32_t>(out)};
  const ImageBlocks launched(grid.batch, deep * down * across, threads);
  device.launch(plant, launched.shape(), data<bool>(mask), forest, launched);
  device.launch(join, launched.shape(), forest, launched);
  device.launch(flatten, launched.shape(), forest, launched);
  number_marks(device, grid.batch, Roots{forest, words});
  device.launch(write_ids, launched.shape(), forest, launched);
  return out;
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(connected_components)
