#include "kernels/cuda/launch.h"

namespace carnot::cuda {

void launch(CUfunction function, uint32_t blocks, uint32_t threads, void* structure,
            Stream& stream) {
  void* parameters[] = {structure};
  check(driver().cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, 0,
                                static_cast<CUstream>(stream.native()), parameters, nullptr),
        "starting a kernel");
}

}  // namespace carnot::cuda
