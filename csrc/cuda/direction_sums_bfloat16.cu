#include "cuda/direction_sums.inl"

namespace embedseg {

template void sum_directions_as<c10::BFloat16>(const Device& device, const SumTask& task);

}  // namespace embedseg
