#include <array>

#include "kernels/kernel.h"

namespace carnot {

#define CARNOT_KERNEL(name) const Kernel& name();
#include "kernels/cuda/kernels.inc"
#undef CARNOT_KERNEL

}  // namespace carnot

extern "C" void carnotKernels(std::span<const carnot::Kernel* const>& kernels) {
#define CARNOT_KERNEL(name) &carnot::name(),
  static const std::array all{
#include "kernels/cuda/kernels.inc"
  };
#undef CARNOT_KERNEL
  kernels = all;
}
