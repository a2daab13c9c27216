#include "kernel_cases.h"

namespace carnot::test {

std::span<const KernelCase> transposedCases() {
  static const std::vector<std::string> transposed{"cpu/conv/transposed"};
  static const std::vector<KernelCase> cases{
      {.name = "transposed_2x2_stride_2",
       .region = "(a,b,s) c=ConvTranspose{strides=[2,2], pads=[0,0,0,0], dilations=[1,1], "
                 "outputPadding=[0,0], group=1}(a,b,s) d=Relu(c) -> d",
       .inputs = {"float32[batch=2, 24, height=5, width=19]", "const float32[24, 40, 2, 2]",
                  "const float32[40]"},
       .supportedBy = transposed},
      {.name = "transposed_2x2_to_one_channel",
       .region = "(a,b,s) c=ConvTranspose{strides=[2,2], pads=[0,0,0,0], dilations=[1,1], "
                 "outputPadding=[0,0], group=1}(a,b,s) d=Sigmoid(c) -> d",
       .inputs = {"float32[1, 24, 6, 30]", "const float32[24, 1, 2, 2]", "const float32[1]"},
       .supportedBy = transposed},
      {.name = "transposed_3x3_output_padding",
       .region = "(a,b) c=ConvTranspose{strides=[2,2], pads=[1,1,1,1], dilations=[1,1], "
                 "outputPadding=[1,1], group=1}(a,b) -> c",
       .inputs = {"float32[1, 16, 7, 9]", "const float32[16, 70, 3, 3]"},
       .supportedBy = transposed},
      {.name = "transposed_4x4_uneven",
       .region = "(a,b) c=ConvTranspose{strides=[3,2], pads=[1,0,2,1], dilations=[1,1], "
                 "outputPadding=[0,1], group=1}(a,b) -> c",
       .inputs = {"float32[2, 18, 5, 8]", "const float32[18, 33, 4, 5]"},
       .supportedBy = transposed},
      {.name = "transposed_stride_beyond_kernel",
       .region = "(a,b,s) c=ConvTranspose{strides=[3,3], pads=[0,0,0,0], dilations=[1,1], "
                 "outputPadding=[1,2], group=1}(a,b,s) -> c",
       .inputs = {"float32[1, 8, 4, 5]", "const float32[8, 16, 2, 1]", "const float32[16]"},
       .supportedBy = transposed},
      {.name = "transposed_dilated",
       .region = "(a,b) c=ConvTranspose{strides=[1,2], pads=[1,1,1,1], dilations=[2,3], "
                 "outputPadding=[0,0], group=1}(a,b) -> c",
       .inputs = {"float32[1, 8, 6, 7]", "const float32[8, 16, 3, 3]"},
       .supportedBy = transposed},
      {.name = "transposed_grouped",
       .region = "(a,b) c=ConvTranspose{strides=[2,2], pads=[1,1,0,0], dilations=[1,1], "
                 "outputPadding=[0,0], group=2}(a,b) -> c",
       .inputs = {"float32[1, 32, 4, 6]", "const float32[32, 16, 3, 3]"},
       .supportedBy = transposed},
      {.name = "transposed_line_residual",
       .region = "(a,b,r) c=ConvTranspose{strides=[2], pads=[1,0], dilations=[1], "
                 "outputPadding=[0], group=1}(a,b) d=Add(c,r) -> d",
       .inputs = {"float32[2, 20, 11]", "const float32[20, 12, 4]", "float32[2, 12, 23]"},
       .supportedBy = transposed},
      {.name = "transposed_bands",
       .region = "(a,b) c=ConvTranspose{strides=[2,2], pads=[1,1,1,1], dilations=[1,1], "
                 "outputPadding=[0,0], group=1}(a,b) -> c",
       .inputs = {"float32[1, 130, 40, 60]", "const float32[130, 3, 3, 3]"},
       .supportedBy = transposed},
  };
  return cases;
}

}  // namespace carnot::test
