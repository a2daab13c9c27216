#pragma once

namespace carnot::cuda {

// Device code of a kernel that may start while the one before it still runs
// (LaunchShape::overlapped): it calls waitForInputs before it touches memory that another kernel
// writes or reads. The kernel behind may start from then on.
inline constexpr const char* kOverlapPrelude = R"(
__device__ inline void waitForInputs() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
)";

}  // namespace carnot::cuda
