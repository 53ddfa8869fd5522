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
#include "cuda/places.h"

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
  Divisor by_width, by_height;
  int32_t steps[27];  // to the pixels around one

  __device__ int64_t image_of(int64_t i) const { return task.grid.batch == 1 ? 0 : i / task.grid.pixels(); }
};

__device__ State joined(int32_t object, uint32_t level) { return static_cast<State>(object) << 32 | level; }
__device__ State listed_for(uint32_t level) { return level; }
__device__ int32_t object_of(State state) { return static_cast<int32_t>(state >> 32); }
__device__ bool joined_at(State state, uint32_t level) {
  return object_of(state) > 0 && static_cast<uint32_t>(state) == level;
}

// The pixels around one, a bit each: bit 9 (dz + 1) + 3 (dy + 1) + dx + 1 where there is one.
class Around {
 public:
  // i: in the batch, or -1 for no pixel
  __device__ Around(const Growth& growth, int64_t i) : i_(i) {
    const Grid& grid = growth.task.grid;
    if (i < 0) return;
    const auto place = static_cast<uint32_t>(i - growth.image_of(i) * grid.pixels());
    const uint32_t row = growth.by_width.divide(place), x = place - row * static_cast<uint32_t>(grid.width);
    const uint32_t z = grid.depth == 1 ? 0 : growth.by_height.divide(row);
    const uint32_t y = row - z * static_cast<uint32_t>(grid.height);
    constexpr unsigned plane = 0x1ff, left = 0x1249249, top = 0x1c0e07;  // where dz, dx and dy are -1
    there_ = 0x7ffffff;
    if (x == 0) there_ &= ~left;
    if (x + 1 == grid.width) there_ &= ~(left << 2);
    if (y == 0) there_ &= ~top;
    if (y + 1 == grid.height) there_ &= ~(top << 6);
    if (z == 0) there_ &= ~plane;
    if (z + 1 == grid.depth) there_ &= ~(plane << 18);
    there_ &= ~(1u << 13);  // itself
  }

  // Calls visit(bit, neighbour) for those that are there, of the bits in `mask`.
  template <class Visit>
  __device__ void visit(const Growth& growth, unsigned mask, const Visit& visit) const {
#pragma unroll 1
    for (unsigned left = there_ & mask; left != 0; left &= left - 1) {
      const int bit = __ffs(static_cast<int>(left)) - 1;
      visit(1u << bit, i_ + growth.steps[bit]);
    }
  }

 private:
  int64_t i_;
  unsigned there_ = 0;
};

constexpr unsigned all_around = 0xffffffff;

struct Reserved {
  int32_t warps[threads / warp_size];
  Size start;
};

// Gives every thread of the block as many places at the end of a list as it wants: one atomic for the block. All its
// threads must take part.
__device__ Size reserve_places(Size* list_size, int wanted) {
  Reserved& shared = shared_object<Reserved>();
  int sum = wanted;  // up to this lane
  for (int distance = 1; distance < warp_size; distance *= 2) {
    const int other = __shfl_up_sync(whole_warp, sum, distance);
    if (lane_index() >= distance) sum += other;
  }
  if (lane_index() == warp_size - 1) shared.warps[threadIdx.x / warp_size] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    int all = 0;
    for (int32_t& warp : shared.warps) {
      const int own = warp;
      warp = all;  // those of the warps before
      all += own;
    }
    shared.start = all == 0 ? 0 : atomicAdd(list_size, static_cast<Size>(all));
  }
  __syncthreads();
  const Size place = shared.start + static_cast<Size>(shared.warps[threadIdx.x / warp_size] + sum - wanted);
  __syncthreads();  // read, before the next call writes
  return place;
}

// The first items of this block and of the next one that is its own, in a loop of the whole grid.
__device__ int64_t first_of_block() { return static_cast<int64_t>(blockIdx.x) * blockDim.x; }

__global__ void plant_seeds(const Growth growth) {
  const int64_t all = growth.task.grid.batch * growth.task.grid.pixels();
#pragma unroll 1  // else the trips are counted, by a division
  for (int64_t i = grid_thread(); i < all; i += grid_threads()) {
    const int32_t seed = growth.task.seeds[i];
    growth.states[i] = seed < 0 ? ~State{0} : joined(seed, 0);
  }
}

// The candidates of the first level: pixels next to a seed.
__global__ void list_first(const Growth growth) {
  const int64_t all = growth.task.grid.batch * growth.task.grid.pixels();
  for (int64_t first = first_of_block(); first < all; first += grid_threads()) {
    const int64_t i = first + threadIdx.x;
    const bool open = i < all && growth.task.seeds[i] == 0;
    bool listed = false;
    Around(growth, open ? i : -1).visit(growth, all_around, [&](unsigned, int64_t neighbor) {
      listed = listed || growth.task.seeds[neighbor] > 0;
    });
    const Size place = reserve_places(&growth.sizes[1], listed);
    if (listed) growth.lists[1][place] = i;
  }
}

// The object that takes a pixel in this level: the closest of those that accept it, of two as close the smaller label;
// 0 for none. Objects are judged one after another, the smallest label first: a warp's lanes judge at the same time.
template <class T>
__device__ int32_t choose(const Growth& growth, int64_t i, const Around& around, uint32_t level) {
  constexpr int32_t none = std::numeric_limits<int32_t>::max();
  unsigned fresh = 0;  // neighbours that have joined in the level before, and are not judged yet
  int32_t object = none, best = 0;
  around.visit(growth, all_around, [&](unsigned bit, int64_t neighbor) {
    const State state = growth.states[neighbor];
    if (!joined_at(state, level - 1)) return;
    fresh |= bit;
    object = object_of(state) < object ? object_of(state) : object;
  });
  while (fresh != 0) {
    const int64_t image = growth.image_of(i);
    const Judgement<T> judgement(growth.task, image, i - image * growth.task.grid.pixels());
    if (judgement.accepts(object)) {
      if (best == 0 || judgement.distance(object) < judgement.distance(best)) best = object;
    }
    const int32_t judged = object;
    object = none;
    around.visit(growth, fresh, [&](unsigned bit, int64_t neighbor) {
      const int32_t other = object_of(growth.states[neighbor]);
      if (other == judged) fresh &= ~bit;
      if (other != judged && other < object) object = other;
    });
  }
  return best;
}

// A block's candidates at a time: each joins if it may, and then lists those around it for the next level.
template <class T>
__device__ void grow_level(const Growth& growth, uint32_t level, int64_t size) {
  const int64_t* const list = growth.lists[level % 2];
  int64_t* const next_list = growth.lists[(level + 1) % 2];
  for (int64_t first = first_of_block(); first < size; first += grid_threads()) {
    const bool active = first + threadIdx.x < size;
    const int64_t i = active ? list[first + threadIdx.x] : -1;
    const Around around(growth, active && object_of(growth.states[i]) == 0 ? i : -1);
    const int32_t object = choose<T>(growth, i, around, level);
    unsigned listed = 0;
    if (object > 0) {
      growth.states[i] = joined(object, level);
      around.visit(growth, all_around, [&](unsigned bit, int64_t neighbor) {
        const State stamp = listed_for(level + 1);
        if (growth.states[neighbor] < stamp && atomicMax(&growth.states[neighbor], stamp) < stamp) listed |= bit;
      });
    }
    Size place = reserve_places(&growth.sizes[(level + 1) % 3], __popc(listed));
    around.visit(growth, listed, [&](unsigned, int64_t neighbor) { next_list[place++] = neighbor; });
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
#pragma unroll 1  // else the trips are counted, by a division
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
  STD_TORCH_CHECK(task.grid.pixels() <= std::numeric_limits<int32_t>::max(),
                  "an image of more than 2**31 - 1 pixels cannot grow on a GPU at once");
  const int64_t all = task.grid.batch * task.grid.pixels();
  const Tensor states = device.empty({all}, ScalarType::Long), sizes = device.zeros({3}, ScalarType::Long);
  const Tensor lists = device.empty({2, all}, ScalarType::Long);
  Growth growth = {task,
                   reinterpret_cast<State*>(data<int64_t>(states)),
                   {data<int64_t>(lists), data<int64_t>(lists) + all},
                   reinterpret_cast<Size*>(data<int64_t>(sizes)),
                   Divisor(task.grid.width),
                   Divisor(task.grid.height),
                   {}};
  for (int bit = 0; bit < 27; ++bit) {
    const int64_t rows = (bit / 9 - 1) * task.grid.height + bit / 3 % 3 - 1;
    growth.steps[bit] = static_cast<int32_t>(rows * task.grid.width + bit % 3 - 1);
  }
  const LaunchShape a_thread_each_pixel = {blocks_for(all, threads), threads};
  device.launch(plant_seeds, a_thread_each_pixel, growth);
  device.launch(list_first, a_thread_each_pixel, growth);
  with_storage(task.view.dtype, [&]<class T>() { device.launch_together(grow_all<T>, a_thread_each_pixel, growth); });
  device.launch(write_labels, a_thread_each_pixel, growth);
  if (task.active != nullptr) device.launch(write_active, a_thread_each_pixel, growth);
}

}  // namespace embedseg::cuda
