#include "cuda/direction_gradient.inl"

namespace embedseg::cuda {

template void write_gradient_as<c10::Half>(const Device& device, const GradientTask& task);

}  // namespace embedseg::cuda
