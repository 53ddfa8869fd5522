// Objects as rows of tables: a label map whose ids are not much larger than need be.
#pragma once

#include "cuda/torch_calls.h"
#include "cuda/warp.h"

namespace embedseg::cuda {

namespace objects {

constexpr int threads = 256;

static __global__ void find_largest_label(const int32_t* labels, int64_t count, int32_t* largest) {
  int32_t mine = 0;
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) mine = labels[i] > mine ? labels[i] : mine;
  for (int bits = warp_size / 2; bits > 0; bits /= 2) {
    const int32_t other = __shfl_xor_sync(whole_warp, mine, bits);
    mine = other > mine ? other : mine;
  }
  if (lane_index() == 0 && mine > 0) atomicMax(largest, mine);
}

// Objects get the places of their ids among all ids; what is no object keeps its label.
static __global__ void write_places(const int32_t* labels, const int64_t* places, int64_t count, const int32_t* ids,
                                    int64_t id_count, int32_t* out) {
  int32_t others = 0;
  while (others < id_count && ids[others] <= 0) ++others;
  for (int64_t i = grid_thread(); i < count; i += grid_threads()) {
    out[i] = labels[i] > 0 ? static_cast<int32_t>(places[i]) - others + 1 : labels[i];
  }
}

// A warp's pixels of one object are counted at once. counts: [batch, size]
static __global__ void count_pixels(const int32_t* labels, int64_t pixels, int64_t all, int64_t size, int32_t* counts) {
  for (int64_t first = grid_thread() - lane_index(); first < all; first += grid_threads()) {
    const int64_t i = first + lane_index();
    const int32_t id = i < all && labels[i] > 0 ? labels[i] : 0;
    const int64_t row = id > 0 ? i / pixels * size + id : -1;
    const unsigned same = __match_any_sync(whole_warp, row);
    if (row >= 0 && lane_index() == __ffs(static_cast<int>(same)) - 1) atomicAdd(&counts[row], __popc(same));
  }
}

}  // namespace objects

// Waits for the device.
inline int32_t largest_label(const Device& device, const Tensor& labels) {
  const int64_t count = labels.numel();
  if (count == 0) return 0;
  const Tensor largest = device.zeros({1}, ScalarType::Int);
  device.launch(objects::find_largest_label,
                {std::min<int64_t>(blocks_for(count, objects::threads), 1024), objects::threads}, data<int32_t>(labels),
                count, data<int32_t>(largest));
  return device.read(data<int32_t>(largest));
}

struct CompactLabels {
  Tensor labels;     // int32
  int64_t row_size;  // above every label
  Grid grid;
};

// The labels as they are, unless a table for all ids would dwarf the image; then in the same order without gaps.
// Waits for the device unless the largest label is known.
inline CompactLabels compact(const Device& device, const Tensor& labels, std::optional<int64_t> largest = {}) {
  if (largest) return {labels, *largest + 1, grid_of(labels)};
  constexpr int64_t always_affordable = 1 << 16;
  const int64_t row_size = int64_t{largest_label(device, labels)} + 1, count = labels.numel();
  if (row_size <= std::max(grid_of(labels).pixels(), always_affordable)) return {labels, row_size, grid_of(labels)};
  const auto [ids, places] = unique(labels);
  const Tensor out = device.empty({count}, ScalarType::Int);
  device.launch(objects::write_places, {blocks_for(count, objects::threads), objects::threads}, data<int32_t>(labels),
                data<int64_t>(places), count, data<int32_t>(ids), ids.numel(), data<int32_t>(out));
  return {out, ids.numel() + 1, grid_of(labels)};
}

// The pixels of every object of every image: int32 [batch, row_size].
inline Tensor count_pixels(const Device& device, const CompactLabels& labels) {
  const Tensor counts = device.zeros({labels.grid.batch, labels.row_size}, ScalarType::Int);
  const int64_t all = labels.labels.numel();
  device.launch(objects::count_pixels, {blocks_for(all, objects::threads), objects::threads},
                data<int32_t>(labels.labels), labels.grid.pixels(), all, labels.row_size, data<int32_t>(counts));
  return counts;
}

}  // namespace embedseg::cuda
