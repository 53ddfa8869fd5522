#include "cuda/direction_sums.inl"

namespace embedseg {

template void sum_directions_as<double>(const Device& device, const SumTask& task);

}  // namespace embedseg
