#include "cuda/direction_sums.inl"

namespace embedseg::cuda {

template void sum_directions_as<c10::BFloat16>(const Device& device, const SumTask& task);

}  // namespace embedseg::cuda
