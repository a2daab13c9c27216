#include "kernel_cases.h"

namespace carnot::test {

// Problems that pin the harness itself down: each kind of input text, several outputs.
std::span<const KernelCase> referenceCases() {
  static const std::vector<KernelCase> cases{
      {.name = "add_relu",
       .region = "(a,b) c=Add(a,b) d=Relu(c) -> d",
       .inputs = {"float32[batch=3, 5]", "const float32[5]"},
       .supportedBy = {"reference"}},
      {.name = "two_outputs",
       .region = "(a) b=Neg(a) c=Abs(b) -> b, c",
       .inputs = {"float32[7] in -3 .. 3"},
       .supportedBy = {"reference"}},
      {.name = "given_contents",
       .region = "(a,b) c=Mul(a,b) -> c",
       .inputs = {"int64[2, 3]", "const int64[3] = 2 -1 0"},
       .supportedBy = {"reference"}},
  };
  return cases;
}

}  // namespace carnot::test
