#include "cuda/direction_sums.inl"

namespace embedseg::cuda {

template void sum_directions_as<double>(const Device& device, const SumTask& task);

}  // namespace embedseg::cuda
