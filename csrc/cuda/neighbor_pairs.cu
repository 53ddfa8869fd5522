// Neighbouring objects. docs/method.md, Neighbours.
//
// Only pixels that touch another label can realise the shortest distance between two objects (cpu/neighbors/pieces.h
// says why). They are listed; each then looks at all pixels behind it in raster order that are near enough, and enters
// the pairs that it finds in a hash table: what is new there is appended to a list, which torch sorts.
#include <bit>

#include "common/ball.h"
#include "common/checks.h"
#include "cuda/objects.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;

struct Found {
  int64_t pairs, overflow;
};

struct SearchTask {
  const int32_t* labels;
  Grid grid;
  int64_t first_image;
  bool background;
  const int32_t* widths;  // [z, y]: how many offsets in x are near enough
  int32_t reach_z, reach_y;
  int32_t* with_background;  // [batch]: whether label 0 occurs
  int64_t* boundary;         // [pixels]
  int64_t* boundary_size;
  Found* found;
  int64_t row_size;           // above every label
  unsigned long long* table;  // a power of two of entries, 0 where empty
  int64_t table_size;
  int64_t* pairs;  // [table_size]
};

__global__ void find_backgrounds(const SearchTask task) {
  const int64_t pixels = task.grid.pixels(), all = task.grid.batch * pixels;
  for (int64_t i = grid_thread(); i < all; i += grid_threads()) {
    int32_t* const found = task.with_background + i / pixels;
    if (task.labels[i] == 0 && *found == 0) *found = 1;  // all write the same
  }
}

__device__ bool touches_another(const SearchTask& task, int64_t i) {
  const int32_t label = task.labels[i];
  const int64_t place = i % task.grid.pixels(), width = task.grid.width, height = task.grid.height;
  const int64_t x = place % width, y = place / width % height, z = place / width / height;
  const int32_t* const here = task.labels + i;
  return (x > 0 && here[-1] != label) || (x + 1 < width && here[1] != label) || (y > 0 && here[-width] != label) ||
         (y + 1 < height && here[width] != label) || (z > 0 && here[-width * height] != label) ||
         (z + 1 < task.grid.depth && here[width * height] != label);
}

__global__ void list_boundary(const SearchTask task) {
  const int64_t all = task.grid.batch * task.grid.pixels();
  for (int64_t first = grid_thread() - lane_index(); first < all; first += grid_threads()) {
    const int64_t i = first + lane_index();
    const bool listed = i < all && task.labels[i] > 0 && touches_another(task, i);
    auto* const count = reinterpret_cast<unsigned long long*>(task.boundary_size);
    const unsigned long long place = reserve_place(count, listed);
    if (listed) task.boundary[place] = i;
  }
}

__device__ uint64_t hash(uint64_t key) {
  key = (key ^ (key >> 31)) * 0x9e3779b97f4a7c15;
  key = (key ^ (key >> 29)) * 0xbf58476d1ce4e5b9;
  return key ^ (key >> 32);
}

// A table that gets too full gives up, and says so: there is another try with a larger one.
__device__ void enter(const SearchTask& task, int64_t image, int64_t object, int64_t partner) {
  constexpr int most_probes = 64;
  const int64_t key = (image * task.row_size + object) * task.row_size + partner;
  const auto mask = static_cast<uint64_t>(task.table_size - 1);
  uint64_t place = hash(static_cast<uint64_t>(key)) & mask;
  for (int probe = 0; probe < most_probes; ++probe, place = (place + 1) & mask) {
    const auto entry = static_cast<unsigned long long>(key);
    unsigned long long found = task.table[place];
    if (found == 0) found = atomicCAS(&task.table[place], 0ull, entry);
    if (found == 0) {
      auto* const count = reinterpret_cast<unsigned long long*>(&task.found->pairs);
      task.pairs[atomicAdd(count, 1ull)] = key;
      return;
    }
    if (found == entry) return;
  }
  task.found->overflow = 1;
}

__device__ void enter_both(const SearchTask& task, int64_t image, int64_t one, int64_t other) {
  enter(task, image, one, other);
  enter(task, image, other, one);
}

// A thread for each boundary pixel.
__global__ void search_around(const SearchTask task) {
  const int64_t pixels = task.grid.pixels(), width = task.grid.width, height = task.grid.height;
  for (int64_t i = grid_thread(); i < *task.boundary_size; i += grid_threads()) {
    const int64_t pixel = task.boundary[i], image = pixel / pixels, place = pixel % pixels;
    const int64_t x = place % width, y = place / width % height, z = place / width / height;
    const int32_t object = task.labels[pixel];
    if (task.background && task.with_background[image] != 0) enter_both(task, image, object, 0);
    int32_t last = object;  // neighbours come in runs
    for (int64_t dz = 0; dz < task.reach_z && z + dz < task.grid.depth; ++dz) {
      for (int64_t dy = dz == 0 ? 0 : 1 - task.reach_y; dy < task.reach_y; ++dy) {
        if (y + dy < 0 || y + dy >= height) continue;
        const int64_t reach = task.widths[dz * task.reach_y + (dy < 0 ? -dy : dy)];
        const int64_t begin = dz == 0 && dy == 0 ? x + 1 : std::max<int64_t>(x - reach + 1, 0);
        const int64_t end = std::min(x + reach, width);
        const int32_t* const row = task.labels + image * pixels + ((z + dz) * height + y + dy) * width;
        for (int64_t at = begin; at < end; ++at) {
          const int32_t label = row[at];
          if (label == last) continue;
          last = label;
          if (label > 0 && label != object) enter_both(task, image, object, label);
        }
      }
    }
  }
}

__global__ void write_rows(const int64_t* keys, int64_t count, int64_t row_size, int64_t first_image, int64_t* out) {
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const int64_t row = keys[i] / row_size;
    out[3 * i] = first_image + row / row_size;
    out[3 * i + 1] = row % row_size;
    out[3 * i + 2] = keys[i] % row_size;
  }
}

// The sorted keys of the pairs of some images.
Tensor find_keys(const Device& device, SearchTask task) {
  const Tensor flags = device.zeros({task.grid.batch}, ScalarType::Int);
  const Tensor boundary = device.empty({task.grid.batch * task.grid.pixels()}, ScalarType::Long);
  const Tensor boundary_size = device.zeros({1}, ScalarType::Long);
  task.with_background = data<int32_t>(flags);
  task.boundary = data<int64_t>(boundary);
  task.boundary_size = data<int64_t>(boundary_size);
  const LaunchShape a_thread_each_pixel = {blocks_for(boundary.numel(), threads), threads};
  if (task.background) device.launch(find_backgrounds, a_thread_each_pixel, task);
  device.launch(list_boundary, a_thread_each_pixel, task);
  const LaunchShape a_thread_each_boundary_pixel = {blocks_for(device.read(task.boundary_size), threads), threads};
  const auto expected = static_cast<uint64_t>(std::clamp<int64_t>(task.grid.batch * task.row_size * 32, 4096, 1 << 24));
  for (task.table_size = static_cast<int64_t>(std::bit_ceil(expected));; task.table_size *= 16) {
    const Tensor table = device.zeros({task.table_size}, ScalarType::Long);
    const Tensor found = device.zeros({2}, ScalarType::Long);
    Tensor pairs = device.empty({task.table_size}, ScalarType::Long);
    task.table = reinterpret_cast<unsigned long long*>(data<int64_t>(table));
    task.found = reinterpret_cast<Found*>(data<int64_t>(found));
    task.pairs = data<int64_t>(pairs);
    device.launch(search_around, a_thread_each_boundary_pixel, task);
    const Found result = device.read(task.found);
    if (result.overflow == 0) return sort(torch::stable::narrow(pairs, 0, 0, result.pairs));
  }
}

Tensor keys_to_rows(const Device& device, const Tensor& keys, int64_t row_size, int64_t first_image) {
  const Tensor rows = device.empty({keys.numel(), 3}, ScalarType::Long);
  device.launch(write_rows, {blocks_for(keys.numel(), threads), threads}, data<int64_t>(keys), keys.numel(), row_size,
                first_image, data<int64_t>(rows));
  return rows;
}

// labels: int32 [B, *spatial]; returns int64 [P, 3]
Tensor neighbor_pairs(const Tensor& strided, double distance, bool background, std::vector<double> spacing) {
  const Device device(strided);
  check_map(strided, "labels", ScalarType::Int);
  const Tensor labels = torch::stable::contiguous(strided);
  const Grid grid = grid_of(labels);
  if (labels.numel() == 0) return device.empty({0, 3}, ScalarType::Long);
  const Ball ball(distance, spacing_3d(spacing), grid);
  const Tensor widths = device.upload(ball.widths());
  const int64_t row_size = int64_t{largest_label(device, labels)} + 1;
  SearchTask task = {};
  task.labels = data<int32_t>(labels);
  task.grid = grid;
  task.background = background;
  task.widths = data<int32_t>(widths);
  task.reach_z = ball.extent()[0];
  task.reach_y = ball.extent()[1];
  task.row_size = row_size;
  // All images at once, unless image, object and partner do not fit one number: then one by one.
  const bool at_once = static_cast<double>(grid.batch) * row_size * row_size < 0x1p62;
  if (at_once) return keys_to_rows(device, find_keys(device, task), row_size, 0);
  std::vector<Tensor> parts;
  int64_t rows = 0;
  task.grid.batch = 1;
  for (int64_t image = 0; image < grid.batch; ++image, task.labels += grid.pixels()) {
    parts.push_back(keys_to_rows(device, find_keys(device, task), row_size, image));
    rows += parts.back().sizes()[0];
  }
  Tensor out = device.empty({rows, 3}, ScalarType::Long);
  rows = 0;
  for (const Tensor& part : parts) {
    const int64_t size = part.sizes()[0];
    Tensor place = torch::stable::narrow(out, 0, rows, size);
    torch::stable::copy_(place, part);
    rows += size;
  }
  return out;
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(neighbor_pairs)
