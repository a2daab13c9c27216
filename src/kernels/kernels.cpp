#include <algorithm>
#include <array>

#include "kernels/kernel.h"

namespace carnot {

#define CARNOT_KERNEL(name) const Kernel& name();
#include "kernels/kernels.inc"
#undef CARNOT_KERNEL

std::span<const Kernel* const> cpuKernels() {
#define CARNOT_KERNEL(name) &name(),
  static const std::array kernels{
#include "kernels/kernels.inc"
  };
#undef CARNOT_KERNEL
  return kernels;
}

const Kernel* findKernel(std::string_view name) {
  auto all = cpuKernels();
  auto found = std::ranges::find(all, name, &Kernel::name);
  return found == all.end() ? nullptr : *found;
}

}  // namespace carnot
