// All levels of the growth in one launch: the whole grid works on a list of candidates, waits, and goes on to the next.
//
// A pixel's state is one word, its object above, a level below, so that one atomic maximum can list a pixel:
//
//   0x00000007'00000003   joined object 7 at level 3: it offers 7 to its neighbours at level 4, not before
//   0x00000000'00000004   free, and listed as a candidate of level 4
//   0x00000000'00000000   free, and never listed
//   0xffffffff'ffffffff   out of bounds
//
// atomicMax(state, 4), the stamp of level 4, returns less than 4 for the first of the threads that list a free pixel
// for that level, and for no other; and it leaves the pixels of objects, and those out of bounds, as they are. Only
// neighbours that joined in the level before matter: the others were refused when they had joined.
#include "cuda/growth.h"
#include "cuda/judgement.h"
#include "cuda/warp.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;

using State = unsigned long long;
using Size = unsigned long long;

struct Growth {
  GrowthTask task;
  State* states;      // [batch, pixels]
  int64_t* lists[2];  // candidates of this level and of the next
  Size* sizes;        // [3]: of this level's list, of the next one's; the third is cleared meanwhile
};

__device__ State joined(int32_t object, uint32_t level) { return static_cast<State>(object) << 32 | level; }
__device__ State listed_for(uint32_t level) { return level; }
__device__ int32_t object_of(State state) { return static_cast<int32_t>(state >> 32); }
__device__ bool joined_at(State state, uint32_t level) {
  return object_of(state) > 0 && static_cast<uint32_t>(state) == level;
}

// Calls visit(neighbour) for the pixels around one that are in the image. Every lane of the warp makes as many calls;
// -1 stands for a neighbour that is not there.
template <class Visit>
__device__ void visit_neighbors(const Grid& grid, int64_t i, bool active, const Visit& visit) {
  const int64_t place = active ? i % grid.pixels() : 0, width = grid.width, height = grid.height;
  const int64_t x = place % width, y = place / width % height, z = place / width / height;
  const int reach = grid.depth > 1 ? 1 : 0;
#pragma unroll 1  // a judgement is long
  for (int dz = -reach; dz <= reach; ++dz) {
#pragma unroll 1
    for (int dy = -1; dy <= 1; ++dy) {
#pragma unroll 1
      for (int dx = -1; dx <= 1; ++dx) {
        const bool there = active && (dz != 0 || dy != 0 || dx != 0) && z + dz >= 0 && z + dz < grid.depth &&
                           y + dy >= 0 && y + dy < height && x + dx >= 0 && x + dx < width;
        visit(there ? i + (dz * height + dy) * width + dx : int64_t{-1});
      }
    }
  }
}

__global__ void plant_seeds(const Growth growth) {
  const int64_t all = growth.task.grid.batch * growth.task.grid.pixels();
  for (int64_t i = grid_thread(); i < all; i += grid_threads()) {
    const int32_t seed = growth.task.seeds[i];
    growth.states[i] = seed < 0 ? ~State{0} : joined(seed, 0);
  }
}

// The candidates of the first level: pixels next to a seed.
__global__ void list_first(const Growth growth) {
  const int64_t all = growth.task.grid.batch * growth.task.grid.pixels();
  for (int64_t first = grid_thread() - lane_index(); first < all; first += grid_threads()) {
    const int64_t i = first + lane_index();
    const bool open = i < all && growth.task.seeds[i] == 0;
    bool listed = false;
    visit_neighbors(growth.task.grid, i, open,
                    [&](int64_t neighbor) { listed = listed || (neighbor >= 0 && growth.task.seeds[neighbor] > 0); });
    const Size place = reserve_place(&growth.sizes[1], listed);
    if (listed) growth.lists[1][place] = i;
  }
}

// The object that takes a pixel in this level: the closest of those that accept it, of two as close the smaller label;
// 0 for none.
template <class T>
__device__ int32_t choose(const Growth& growth, int64_t i, bool active, uint32_t level) {
  const int64_t pixels = growth.task.grid.pixels();
  int32_t best = 0, refused = 0;
  visit_neighbors(growth.task.grid, i, active, [&](int64_t neighbor) {
    if (neighbor < 0) return;
    const State state = growth.states[neighbor];
    const int32_t object = object_of(state);
    if (!joined_at(state, level - 1) || object == best || object == refused) return;
    const Judgement<T> judgement(growth.task, i / pixels, i % pixels);
    if (!judgement.accepts(object)) {
      refused = object;
    } else if (best == 0) {
      best = object;
    } else {
      const double held = judgement.distance(best), offered = judgement.distance(object);
      if (offered < held || (offered == held && object < best)) best = object;
    }
  });
  return best;
}

// A warp's candidates at a time: each joins if it may, and then lists those around it for the next level.
template <class T>
__device__ void grow_level(const Growth& growth, uint32_t level, int64_t size) {
  const int64_t* const list = growth.lists[level % 2];
  int64_t* const next_list = growth.lists[(level + 1) % 2];
  Size* const next_size = &growth.sizes[(level + 1) % 3];
  for (int64_t first = grid_thread() - lane_index(); first < size; first += grid_threads()) {
    const bool active = first + lane_index() < size;
    const int64_t i = active ? list[first + lane_index()] : 0;
    const int32_t object = choose<T>(growth, i, active && object_of(growth.states[i]) == 0, level);
    if (object > 0) growth.states[i] = joined(object, level);
    visit_neighbors(growth.task.grid, i, object > 0, [&](int64_t neighbor) {
      const State stamp = listed_for(level + 1);
      bool listed = neighbor >= 0 && growth.states[neighbor] < stamp;
      if (listed) listed = atomicMax(&growth.states[neighbor], stamp) < stamp;
      const Size place = reserve_place(next_size, listed);
      if (listed) next_list[place] = neighbor;
    });
  }
}

template <class T>
__global__ void __launch_bounds__(threads, 1) grow_all(const Growth growth) {
  for (uint32_t level = 1; level <= growth.task.max_levels; ++level) {
    const auto size = static_cast<int64_t>(growth.sizes[level % 3]);
    if (size == 0) return;
    if (grid_thread() == 0) growth.sizes[(level + 2) % 3] = 0;
    grow_level<T>(growth, level, size);
    grid_barrier();
  }
}

__global__ void write_labels(const Growth growth) {
  const int64_t all = growth.task.grid.batch * growth.task.grid.pixels();
  for (int64_t i = grid_thread(); i < all; i += grid_threads()) growth.task.out[i] = object_of(growth.states[i]);
}

__global__ void write_active(const Growth growth) {
  const int64_t all = growth.task.grid.batch * growth.task.grid.pixels();
  for (int64_t i = grid_thread(); i < all; i += grid_threads()) {
    growth.task.active[i] = joined_at(growth.states[i], growth.task.max_levels);
  }
}

}  // namespace

void grow(const Device& device, const GrowthTask& task) {
  const int64_t all = task.grid.batch * task.grid.pixels();
  const Tensor states = device.empty({all}, ScalarType::Long), sizes = device.zeros({3}, ScalarType::Long);
  const Tensor lists = device.empty({2, all}, ScalarType::Long);
  const Growth growth = {task,
                         reinterpret_cast<State*>(data<int64_t>(states)),
                         {data<int64_t>(lists), data<int64_t>(lists) + all},
                         reinterpret_cast<Size*>(data<int64_t>(sizes))};
  const LaunchShape a_thread_each_pixel = {blocks_for(all, threads), threads};
  device.launch(plant_seeds, a_thread_each_pixel, growth);
  device.launch(list_first, a_thread_each_pixel, growth);
  with_storage(task.view.dtype, [&]<class T>() { device.launch_together(grow_all<T>, a_thread_each_pixel, growth); });
  device.launch(write_labels, a_thread_each_pixel, growth);
  if (task.active != nullptr) device.launch(write_active, a_thread_each_pixel, growth);
}

}  // namespace embedseg::cuda
