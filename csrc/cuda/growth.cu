// Growth in one launch: the whole grid grows all tiles for a round of levels, waits, and goes on to the next.
#include "cuda/growth.h"
#include "cuda/growth_round.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = growth_threads;

// Whether there is anything to do for a tile: some that touch it still grow, or its bits are to be written once more.
__device__ bool has_work(const Growth& growth, const uint8_t* states, uint32_t tile) {
  uint32_t other = 0;
  const bool there = growth.tiling.neighbor(tile, lane_index(), other);
  const uint8_t state = there ? states[other] : at_rest;
  return __any_sync(whole_warp, state == still_grows || (other == tile && there && state != at_rest));
}

template <class T>
__global__ void __launch_bounds__(threads, 3) grow_all(const Growth growth) {
  Tile& shared = shared_object<Tile>();
  const auto tiles = static_cast<uint32_t>(growth.tiling.tiles());
  const uint32_t most = growth.task.max_levels, each = static_cast<uint32_t>(growth.tiling.levels);
  if (threadIdx.x == 0) shared.open = shared.changed = shared.growing = 0;
  uint32_t turn = 0;
  for (uint32_t round = 0;; ++round) {
    const uint32_t left = most - round * each, levels = left < each ? left : each;
    const Bits &before = growth.bits[round % 2], &after = growth.bits[(round + 1) % 2];
    bool grows = false;
    for (uint32_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      uint8_t state = at_rest;
      if (round == 0 || has_work(growth, before.states, tile)) {
        __syncthreads();  // the tile before has been stored
        TileGrowth<T> work(growth, tile);
        if (round == 0) {
          work.load_seeds();
        } else {
          work.load(before);
        }
        work.grow(static_cast<int>(levels), turn);
        state = work.store(after, round == 0, ++turn);
        const bool had_fresh = round == 0 || before.states[tile] == still_grows;
        if (state == at_rest && had_fresh) state = has_changed;
      }
      grows = grows || state == still_grows;
      if (threadIdx.x == 0) after.states[tile] = state;
    }
    if (grid_thread() == 0) {
      growth.growing[(round + 1) % 3] = 0;
      *growth.rounds = round + 1;
    }
    if (levels == left) return;
    if (threadIdx.x == 0 && grows) atomicOr(&growth.growing[round % 3], 1u);
    grid_barrier();
    if (growth.growing[round % 3] == 0) return;
  }
}

__global__ void write_active(const Growth growth) {
  const Grid& grid = growth.tiling.grid;
  const uint16_t* const fresh = growth.bits[*growth.rounds % 2].fresh;
  const int64_t all = grid.batch * grid.pixels();
  for (int64_t i = grid_thread(); i < all; i += grid_threads()) {
    const int64_t row = i / grid.width, column = i - row * grid.width;
    growth.task.active[i] = fresh[row * growth.tiling.halfwords_in_row() + 1 + column / 16] >> column % 16 & 1;
  }
}

}  // namespace

void grow(const Device& device, const GrowthTask& task) {
  STD_TORCH_CHECK(task.grid.pixels() <= std::numeric_limits<int32_t>::max(),
                  "an image of more than 2**31 - 1 pixels cannot grow on a GPU at once");
  const Tiling tiling(task.grid);
  const int64_t tiles = tiling.tiles(), halfwords = tiling.halfwords();
  const Tensor bits = device.zeros({4, halfwords}, ScalarType::Short),
               states = device.empty({2, tiles}, ScalarType::Byte);
  const Tensor counters = device.zeros({4}, ScalarType::Int);
  auto* const first = static_cast<uint16_t*>(bits.data_ptr());
  auto* const first_state = static_cast<uint8_t*>(states.data_ptr());
  auto* const counter = static_cast<uint32_t*>(counters.data_ptr());
  const Growth growth = {
      task,
      tiling,
      {{first, first + halfwords, first_state}, {first + 2 * halfwords, first + 3 * halfwords, first_state + tiles}},
      counter,
      counter + 3};
  with_storage(task.view.dtype, [&]<class T>() { device.launch_together(grow_all<T>, {tiles, threads}, growth); });
  const int64_t all = task.grid.batch * task.grid.pixels();
  if (task.active != nullptr) device.launch(write_active, {blocks_for(all, threads), threads}, growth);
}

}  // namespace embedseg::cuda
