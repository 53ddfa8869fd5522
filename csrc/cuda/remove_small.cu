// Removal of small objects from a label map: serves min_seed_size and min_object_size of postprocess.
#include "common/checks.h"
#include "cuda/numbering.h"
#include "cuda/objects.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;

// Of every id of every image, the pixels; and for those that stay, the new id. For number_marks.
struct Table {
  int64_t size;
  int32_t* counts;  // [batch, size]
  int32_t* new_ids;
  int64_t min_size;

  __device__ unsigned marks(int64_t image, int64_t id) const {
    const int32_t count = counts[image * size + id];
    return id > 0 && count > 0 && count >= min_size;
  }
  __device__ void number(int64_t image, int64_t id, int /*bit*/, int32_t new_id) const {
    new_ids[image * size + id] = new_id;
  }
};

__global__ void write_new_ids(const int32_t* labels, int64_t pixels, int64_t all, const Table table, int32_t* out) {
  for (int64_t i = grid_thread(); i < all; i += grid_threads()) {
    const int32_t id = labels[i];
    out[i] = id > 0 ? table.new_ids[i / pixels * table.size + id] : id;
  }
}

// labels: int32 [B, *spatial]
Tensor remove_small(const Tensor& strided, int64_t min_size, std::optional<int64_t> largest) {
  const Device device(strided);
  check_map(strided, "labels", ScalarType::Int);
  const Tensor labels = torch::stable::contiguous(strided);
  const Tensor out = device.empty_like(labels, ScalarType::Int);
  const Grid grid = grid_of(labels);
  const int64_t all = labels.numel();
  if (all == 0) return out;
  const CompactLabels compacted = compact(device, labels, largest);
  const int64_t size = compacted.row_size;
  const Tensor counts = count_pixels(device, compacted);
  const Tensor new_ids = device.zeros({grid.batch, size}, ScalarType::Int);
  const Table table = {size, data<int32_t>(counts), data<int32_t>(new_ids), min_size};
  const int32_t* const ids = data<int32_t>(compacted.labels);
  const LaunchShape a_thread_each_pixel = {blocks_for(all, threads), threads};
  number_marks(device, grid.batch, table);
  device.launch(write_new_ids, a_thread_each_pixel, ids, grid.pixels(), all, table, data<int32_t>(out));
  return out;
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(remove_small)
