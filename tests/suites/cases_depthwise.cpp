#include "kernel_cases.h"

namespace carnot::test {

std::span<const KernelCase> depthwiseCases() {
  static const std::vector<std::string> depthwise{"cpu/conv/depthwise", "cpu/conv/portable"};
  static const std::vector<KernelCase> cases{
      {.name = "depthwise_3x3",
       .region = "(a,b) c=Conv{strides=[1,1], pads=[1,1,1,1], dilations=[1,1], group=40}(a,b) -> c",
       .inputs = {"float32[batch=2, 40, height=9, width=31]", "const float32[40, 1, 3, 3]"},
       .supportedBy = depthwise},
      {.name = "depthwise_upright",
       .region = "(a,b) c=Conv{strides=[2,1], pads=[2,0,1,0], dilations=[1,1], group=20}(a,b) -> c",
       .inputs = {"float32[2, 20, height=33, 1]", "const float32[20, 1, 5, 1]"},
       .supportedBy = depthwise},
      {.name = "depthwise_3x3_narrow",
       .region = "(a,b) c=Conv{strides=[1,1], pads=[1,1,1,1], dilations=[1,1], group=17}(a,b) -> c",
       .inputs = {"float32[3, 17, 7, 7]", "const float32[17, 1, 3, 3]"},
       .supportedBy = depthwise},
      {.name = "depthwise_5x5_stride_2",
       .region = "(a,b) c=Conv{strides=[2,2], pads=[2,2,1,2], dilations=[1,1], group=16}(a,b) -> c",
       .inputs = {"float32[1, 16, 14, 30]", "const float32[16, 1, 5, 5]"},
       .supportedBy = depthwise},
      {.name = "depthwise_one_pixel",
       .region = "(a,b) c=Conv{strides=[1,1], pads=[1,1,1,1], dilations=[1,1], group=8}(a,b) -> c",
       .inputs = {"float32[1, 8, 1, 1]", "const float32[8, 1, 3, 3]"},
       .supportedBy = depthwise},
      {.name = "depthwise_dilated_wide_kernel",
       .region = "(a,b) c=Conv{strides=[1,3], pads=[2,6,2,6], dilations=[2,2], group=20}(a,b) -> c",
       .inputs = {"float32[1, 20, 6, 40]", "const float32[20, 1, 3, 9]"},
       .supportedBy = depthwise},
      {.name = "depthwise_window_all_in_padding",
       .region = "(a,b) c=Conv{strides=[2,2], pads=[5,5,5,5], dilations=[1,1], group=16}(a,b) -> c",
       .inputs = {"float32[1, 16, 3, 2]", "const float32[16, 1, 2, 2]"},
       .supportedBy = depthwise},
      {.name = "depthwise_line",
       .region = "(a,b,s) c=Conv{strides=[1], pads=[0,3], dilations=[1], group=24}(a,b,s) -> c",
       .inputs = {"float32[2, 24, 50]", "const float32[24, 1, 4]", "const float32[24]"},
       .supportedBy = depthwise},
      {.name = "depthwise_bias_clip",
       .region = "(a,b,s,l,h) c=Conv{strides=[1,1], pads=[1,1,1,1], dilations=[1,1], group=20}"
                 "(a,b,s) d=Max(c,l) e=Min(d,h) -> e",
       .inputs = {"float32[1, 20, 16, 16]", "const float32[20, 1, 3, 3]", "const float32[20]",
                  "const float32[] = 0", "const float32[] = 0.5"},
       .supportedBy = depthwise},
      {.name = "depthwise_bias_hard_swish_residual",
       .region = "(a,b,s,r) c=Conv{strides=[1,1], pads=[2,2,2,2], dilations=[1,1], group=20}"
                 "(a,b,s) d=HardSwish(c) e=Add(d,r) -> e",
       .inputs = {"float32[2, 20, 8, 9]", "const float32[20, 1, 5, 5]", "const float32[20]",
                  "float32[2, 20, 8, 9]"},
       .supportedBy = depthwise},
  };
  return cases;
}

}  // namespace carnot::test
