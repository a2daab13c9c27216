#pragma once

#include <cstdint>
#include <ostream>
#include <span>
#include <string>
#include <vector>

namespace carnot::test {

// A problem that every kernel which supports it must solve as the reference does.
//
// `region` is a Region's text. `inputs` has one text an input of the region:
//   "float32[2, 3]"               random in [-1, 1]; integers in [0, 9]; Bool in [0, 1]
//   "const float32[2, 3]"         a constant of the graph
//   "float32[batch=2, 3]"         a symbolic dim, run at 2
//   "float32[4] in 0.5 .. 3"      random in a range (both ends included)
//   "const int64[2] = 1 -1"       given contents, row-major
//   "absent"                      an optional input left out
struct KernelCase {
  std::string name;  // letters, digits and underscores; unique
  std::string region;
  std::vector<std::string> inputs;
  // Kernels that must not refuse: at every instruction set if "/portable" ends the name, else from
  // AVX2 on; "name@avx512" asks where the processor has that.
  std::vector<std::string> supportedBy = {};
  // Of the relative L2 distance for float32; coarser output types have their own.
  double tolerance = 1e-5;
  bool tf32 = false;  // on a GPU products of float32 may round what they read to TF32
  bool bf16 = false;  // on a CPU, to bfloat16, where it has instructions for that

  friend std::ostream& operator<<(std::ostream& out, const KernelCase& kernelCase) {
    return out << kernelCase.region;
  }
};

// One function a table of cases: tests/suites/cases_*.cpp. A row in kernel_cases.inc lists it.
#define CARNOT_CASES(name) std::span<const KernelCase> name();
#include "kernel_cases.inc"
#undef CARNOT_CASES

// Sizes, strides, pads and epilogues by chance: the same for the same seed.
std::vector<KernelCase> randomCases(uint32_t seed, int ofEachKind);

}  // namespace carnot::test
