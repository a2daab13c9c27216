#include "kernel_cases.h"

namespace carnot::test {

std::span<const KernelCase> poolCases() {
  static const std::vector<std::string> window{"cpu/pool/window@portable"};
  static const std::vector<KernelCase> cases{
      {.name = "max_pool",
       .region =
           "(a) b=MaxPool{kernel=[3,3], strides=[2,2], pads=[1,1,1,1], dilations=[1,1]}(a) -> b",
       .inputs = {"float32[batch=2, 21, height=11, 14]"},
       .supportedBy = window},
      {.name = "max_pool_dilated_ceil",
       .region = "(a) b=MaxPool{kernel=[2,3], strides=[3,2], pads=[0,2,1,1], dilations=[2,2], "
                 "ceilMode=true}(a) -> b",
       .inputs = {"float32[1, 16, 10, 13]"},
       .supportedBy = window},
      {.name = "max_pool_line",
       .region = "(a) b=MaxPool{kernel=[4], strides=[3], pads=[1,2], dilations=[1]}(a) -> b",
       .inputs = {"float32[2, 5, 40]"},
       .supportedBy = window},
      {.name = "average_pool",
       .region =
           "(a) b=AveragePool{kernel=[3,2], strides=[2,1], pads=[1,1,0,1], dilations=[1,1]}(a)"
           " -> b",
       .inputs = {"float32[2, 18, 9, 8]"},
       .supportedBy = window},
      {.name = "average_pool_counts_pads",
       .region = "(a) b=AveragePool{kernel=[3,3], strides=[2,2], pads=[1,1,1,1], dilations=[1,1], "
                 "ceilMode=true, countIncludePad=true}(a) -> b",
       .inputs = {"float32[1, 7, 8, 9]"},
       .supportedBy = window},
      {.name = "mean_of_image",
       .region = "(a) b=Reduce{kind=1, axes=[2,3], keepDims=true}(a) -> b",
       .inputs = {"float32[batch=2, 37, 5, 7]"},
       .supportedBy = window},
      {.name = "mean_of_image_flat",
       .region = "(a) b=Reduce{kind=1, axes=[2,3], keepDims=false}(a) -> b",
       .inputs = {"float32[batch=2, 37, 5, 7]"},
       .supportedBy = window},
      {.name = "maximum_of_line",
       .region = "(a) b=Reduce{kind=2, axes=[2], keepDims=true}(a) -> b",
       .inputs = {"float32[3, 20, 9]"},
       .supportedBy = window},
  };
  return cases;
}

}  // namespace carnot::test
