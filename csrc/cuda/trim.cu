// Objects cut back to where the distance map has their boundaries: serves boundary_distance of postprocess.
#include "common/checks.h"
#include "common/radius.h"
#include "cuda/objects.h"

namespace embedseg::cuda {
namespace {

constexpr int threads = 256;

struct Trim {
  const int32_t* ids;     // without large gaps
  const int32_t* counts;  // [batch, size], by these ids
  int64_t size, pixels;
  bool volume;
  double depth;

  __device__ bool keeps(int64_t i, float distance) const {
    if (ids[i] <= 0) return true;
    return distance > depth / radius(counts[i / pixels * size + ids[i]], volume);
  }
};

__global__ void trim_labels(const int32_t* labels, const float* distance, int64_t all, const Trim trim, int32_t* out) {
  for (int64_t i = grid_thread(); i < all; i += grid_threads()) out[i] = trim.keeps(i, distance[i]) ? labels[i] : 0;
}

// labels: int32 [B, *spatial]; distance: float32, likewise
Tensor trim(const Tensor& strided_labels, const Tensor& strided_distance, double depth,
            std::optional<int64_t> largest) {
  const Device device(strided_labels);
  check_map(strided_labels, "labels", ScalarType::Int);
  const Tensor labels = torch::stable::contiguous(strided_labels);
  const Tensor distance = torch::stable::contiguous(strided_distance);
  check_flat(distance, "distance", ScalarType::Float, size_of(labels), labels);
  const Tensor out = device.empty_like(labels, ScalarType::Int);
  const int64_t all = labels.numel();
  if (all == 0) return out;
  const CompactLabels compacted = compact(device, labels, largest);
  const Tensor counts = count_pixels(device, compacted);
  const Trim task = {data<int32_t>(compacted.labels), data<int32_t>(counts), compacted.row_size,
                     compacted.grid.pixels(),         labels.dim() == 4,     depth};
  device.launch(trim_labels, {blocks_for(all, threads), threads}, data<int32_t>(labels), data<float>(distance), all,
                task, data<int32_t>(out));
  return out;
}

}  // namespace
}  // namespace embedseg::cuda

EMBEDSEG_CUDA_OPERATOR(trim)
