#include <algorithm>
#include <array>

#include "base/error.h"
#include "devices/plugin.h"
#include "kernels/kernel.h"

namespace carnot {

#define CARNOT_KERNEL(name) const Kernel& name();
#include "kernels/kernels.inc"
#undef CARNOT_KERNEL

std::span<const Kernel* const> kernelsOf(std::string_view deviceKind) {
#define CARNOT_KERNEL(name) &name(),
  static const std::array cpu{
#include "kernels/kernels.inc"
  };
#undef CARNOT_KERNEL
  if (deviceKind == "cpu") return cpu;
  auto list = reinterpret_cast<KernelPluginFunction>(pluginSymbol(deviceKind, kKernelPluginSymbol));
  ensure(list != nullptr, "a plugin gives its kernels");
  std::span<const Kernel* const> kernels;
  list(kernels);
  return kernels;
}

const Kernel* findKernel(std::string_view name, std::string_view deviceKind) {
  auto all = kernelsOf(deviceKind);
  auto found = std::ranges::find(all, name, &Kernel::name);
  return found == all.end() ? nullptr : *found;
}

}  // namespace carnot
