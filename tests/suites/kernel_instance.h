#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "guarded_memory.h"
#include "kernel_cases.h"
#include "kernels/kernel.h"

namespace carnot::test {

struct CaseTensor {
  TensorDesc desc;
  Tensor data;  // logical, row-major
};

// A case with data, and what the references make of them.
struct Instance {
  Region region;
  std::vector<CaseTensor> inputs;
  std::vector<TensorType> outputs;  // of the problem, perhaps symbolic
  std::vector<Tensor> expected;
  std::map<std::string, int64_t> symbols;

  Problem problem(const DeviceTraits& device) const;
  // The output that a kernel writes into an input's memory, and the other way; -1: none.
  int outputOver(int input) const;
  int inputUnder(size_t output) const;
};

Instance makeInstance(const KernelCase& kernelCase);

// Memory for a tensor in a layout. It starts at any address that suits the type, as an application
// may pass plain tensors. All others are aligned to 64 bytes in an engine, but no kernel may depend
// on it, lest the end miss the page.
std::unique_ptr<GuardedMemory> guardedTensor(DType dtype, const std::vector<int64_t>& dims,
                                             Layout layout, GuardedMemory::Touching touching);

// Between row-major and a layout. Lanes beyond the channels become NaN.
void toLayout(const Tensor& tensor, Layout layout, GuardedMemory& out);
Tensor fromLayout(DType dtype, const std::vector<int64_t>& dims, Layout layout,
                  const GuardedMemory& memory);

}  // namespace carnot::test
