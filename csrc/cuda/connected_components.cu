// Connected components, by blocks of 2 × 2 (× 2) pixels. docs/method.md, Postprocessing, step 1.
//
// All set pixels of a block touch each other, so a block is one node of a union-find; and two blocks next to each other
// are connected where both have a pixel on the sides that face each other. A node is named by its block's first pixel
// in the image's raster order, and a root is always the smallest name of its tree: the first pixel of its component.
#include "common/checks.h"
#include "cuda/numbering.h"
#include "cuda/warp.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;

// One batch. Of a block, bit 4z + 2y + x tells that its pixel (z, y, x) is set.
struct Forest {
  Grid grid;
  int64_t depth, height, width;  // in blocks
  uint8_t* bits;                 // [batch, blocks]
  int32_t* parents;              // [batch, blocks]: a node's name; its number, in the end, where a root is

  C10_HOST_DEVICE int64_t blocks() const { return depth * height * width; }

  __device__ int64_t block_of(int64_t pixel) const {
    const int64_t x = pixel % grid.width, row = pixel / grid.width;
    return (row / grid.height / 2 * height + row % grid.height / 2) * width + x / 2;
  }
  __device__ int64_t pixel_of(int64_t block, int bit) const {
    const int64_t x = block % width * 2 + bit % 2, row = block / width;
    const int64_t y = row % height * 2 + bit / 2 % 2, z = row / height * 2 + bit / 4;
    return (z * grid.height + y) * grid.width + x;
  }
  __device__ int32_t name_of(int64_t block, unsigned set) const {
    return static_cast<int32_t>(pixel_of(block, __ffs(static_cast<int>(set)) - 1));
  }
};

__device__ int32_t find_root(const Forest& forest, const int32_t* parents, int32_t name) {
  for (int32_t parent; (parent = parents[forest.block_of(name)]) != name;) name = parent;
  return name;
}

__device__ void unite(const Forest& forest, int32_t* parents, int32_t a, int32_t b) {
  for (;;) {
    a = find_root(forest, parents, a);
    b = find_root(forest, parents, b);
    if (a == b) return;
    const int32_t larger = a > b ? a : b, smaller = a > b ? b : a;
    const int32_t before = atomicMin(&parents[forest.block_of(larger)], smaller);
    if (before == larger) return;
    a = before;  // someone else had hung the larger below another: that one and the smaller are to be united
    b = smaller;
  }
}

// Reads the mask, once. Every set block is its own tree.
__global__ void plant(const bool* mask, const Forest forest) {
  const int64_t blocks = forest.blocks();
  for (int64_t i = grid_thread(); i < forest.grid.batch * blocks; i += grid_threads()) {
    const int64_t block = i % blocks, x = block % forest.width * 2, row = block / forest.width;
    const int64_t y = row % forest.height * 2, z = row / forest.height * 2;
    const bool* const image = mask + i / blocks * forest.grid.pixels();
    unsigned set = 0;
    for (int bit = 0; bit < 8; ++bit) {
      const bool inside =
          x + bit % 2 < forest.grid.width && y + bit / 2 % 2 < forest.grid.height && z + bit / 4 < forest.grid.depth;
      if (inside && image[forest.pixel_of(block, bit)]) set |= 1u << bit;
    }
    forest.bits[i] = static_cast<uint8_t>(set);
    if (set != 0) forest.parents[i] = forest.name_of(block, set);
  }
}

// The bits of a block's pixels on the side that a step along an axis of the given bit leads out of.
__device__ unsigned side(int step, int axis) {
  constexpr unsigned low[] = {0x55, 0x33, 0x0f};  // x, y, z
  return step == 0 ? 0xff : step < 0 ? low[axis] : 0xff & ~low[axis];
}
__device__ unsigned facing(int z, int y, int x) { return side(z, 2) & side(y, 1) & side(x, 0); }

// Unites every block with those before it: 4 of its neighbours in an image, 13 in a volume.
__global__ void join(const Forest forest) {
  const int64_t blocks = forest.blocks();
  for (int64_t i = grid_thread(); i < forest.grid.batch * blocks; i += grid_threads()) {
    const unsigned set = forest.bits[i];
    if (set == 0) continue;
    const int64_t block = i % blocks, x = block % forest.width, row = block / forest.width;
    const int64_t y = row % forest.height, z = row / forest.height;
    int32_t* const parents = forest.parents + (i - block);
    for (int direction = 0; direction < 13; ++direction) {
      const int dz = direction / 9 - 1, dy = direction / 3 % 3 - 1, dx = direction % 3 - 1;
      if (z + dz < 0 || y + dy < 0 || y + dy >= forest.height || x + dx < 0 || x + dx >= forest.width) continue;
      const int64_t step = (dz * forest.height + dy) * forest.width + dx;
      const unsigned other = forest.bits[i + step];
      if ((set & facing(dz, dy, dx)) == 0 || (other & facing(-dz, -dy, -dx)) == 0) continue;
      unite(forest, parents, forest.name_of(block, set), forest.name_of(block + step, other));
    }
  }
}

// Hangs every node below its root.
__global__ void flatten(const Forest forest) {
  const int64_t blocks = forest.blocks();
  for (int64_t i = grid_thread(); i < forest.grid.batch * blocks; i += grid_threads()) {
    if (forest.bits[i] != 0)
      forest.parents[i] = find_root(forest, forest.parents + i / blocks * blocks, forest.parents[i]);
  }
}

// For number_marks: the first pixels of the components. Their numbers are negative, so that no name is taken for one.
struct Roots {
  Forest forest;
  int64_t size;  // pixels

  __device__ bool marked(int64_t image, int64_t pixel) const {
    const int64_t block = forest.block_of(pixel), i = image * forest.blocks() + block;
    return forest.bits[i] != 0 && forest.parents[i] == pixel && forest.name_of(block, forest.bits[i]) == pixel;
  }
  __device__ void number(int64_t image, int64_t pixel, int32_t id) const {
    forest.parents[image * forest.blocks() + forest.block_of(pixel)] = -id;
  }
};

__global__ void write_ids(const Forest forest, int32_t* out) {
  const int64_t blocks = forest.blocks(), pixels = forest.grid.pixels();
  for (int64_t i = grid_thread(); i < forest.grid.batch * pixels; i += grid_threads()) {
    const int64_t image = i / pixels, pixel = i % pixels, block = forest.block_of(pixel);
    const int64_t x = pixel % forest.grid.width, row = pixel / forest.grid.width;
    const int64_t bit = row / forest.grid.height % 2 * 4 + row % forest.grid.height % 2 * 2 + x % 2;
    int32_t id = 0;
    if ((forest.bits[image * blocks + block] >> bit & 1) != 0) {
      const int32_t* const parents = forest.parents + image * blocks;
      const int32_t root = parents[block];
      id = root < 0 ? -root : -parents[forest.block_of(root)];
    }
    out[i] = id;
  }
}

// mask: bool [B, *spatial]
Tensor connected_components(const Tensor& strided) {
  const Device device(strided);
  check_map(strided, "mask", ScalarType::Bool);
  const Tensor mask = torch::stable::contiguous(strided);
  const Tensor out = empty_like(mask, ScalarType::Int);
  const Grid grid = grid_of(mask);
  STD_TORCH_CHECK(grid.pixels() <= std::numeric_limits<int32_t>::max(),
                  "an image of more than 2**31 - 1 pixels cannot be labelled");
  if (mask.numel() == 0) return out;
  Forest forest = {grid, (grid.depth + 1) / 2, (grid.height + 1) / 2, (grid.width + 1) / 2, nullptr, nullptr};
  const int64_t blocks = grid.batch * forest.blocks();
  const Tensor bits = device.empty({blocks}, ScalarType::Byte), parents = device.empty({blocks}, ScalarType::Int);
  forest.bits = data<uint8_t>(bits);
  forest.parents = data<int32_t>(parents);
  const LaunchShape a_thread_each_block = {blocks_for(blocks, threads), threads};
  device.launch(plant, a_thread_each_block, data<bool>(mask), forest);
  device.launch(join, a_thread_each_block, forest);
  device.launch(flatten, a_thread_each_block, forest);
  number_marks(device, grid.batch, Roots{forest, grid.pixels()});
  device.launch(write_ids, {blocks_for(mask.numel(), threads), threads}, forest, data<int32_t>(out));
  return out;
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(connected_components)
