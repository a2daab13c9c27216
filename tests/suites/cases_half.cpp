#include "kernel_cases.h"

namespace carnot::test {

// Convolutions and pools as networks in half precision have them.
std::span<const KernelCase> halfCases() {
  static const std::string same = "Conv{strides=[1,1], pads=[1,1,1,1], dilations=[1,1], group=1}";
  static const std::string point = "Conv{strides=[1,1], pads=[0,0,0,0], dilations=[1,1], group=1}";
  static const std::vector<KernelCase> cases{
      {.name = "half_conv_1x1",
       .region = "(a,b) c=" + point + "(a,b) -> c",
       .inputs = {"float16[2, 64, 7, 9]", "const float16[32, 64, 1, 1]"}},
      {.name = "half_conv_stem",
       .region = "(a,b,s) c=Conv{strides=[2,2], pads=[3,3,3,3], dilations=[1,1], group=1}(a,b,s) "
                 "d=Relu(c) -> d",
       .inputs = {"float16[2, 3, 33, 31]", "const float16[64, 3, 7, 7]", "const float16[64]"}},
      {.name = "half_conv_3x3_bias_relu",
       .region = "(a,b,s) c=" + same + "(a,b,s) d=Relu(c) -> d",
       .inputs = {"float16[batch=3, 64, 14, 13]", "const float16[64, 64, 3, 3]",
                  "const float16[64]"}},
      {.name = "half_conv_bias_residual_relu",
       .region = "(a,b,s,r) c=" + point + "(a,b,s) d=Add(c,r) e=Relu(d) -> e",
       .inputs = {"float16[2, 64, 7, 7]", "const float16[256, 64, 1, 1]", "const float16[256]",
                  "float16[2, 256, 7, 7]"}},
      {.name = "half_conv_residual_first",
       .region = "(a,b,s,r) c=" + same + "(a,b,s) d=Add(r,c) -> d",
       .inputs = {"float16[1, 32, 6, 7]", "const float16[32, 32, 3, 3]", "const float16[32]",
                  "float16[1, 32, 6, 7]"}},
      {.name = "half_conv_silu",
       .region = "(a,b,s) c=" + point + "(a,b,s) d=Silu(c) -> d",
       .inputs = {"float16[1, 16, 8, 8]", "const float16[96, 16, 1, 1]", "const float16[96]"}},
      {.name = "half_conv_hard_swish",
       .region = "(a,b,s) c=" + point + "(a,b,s) d=HardSwish(c) -> d",
       .inputs = {"float16[1, 16, 8, 8]", "const float16[72, 16, 1, 1]", "const float16[72]"}},
      {.name = "half_conv_leaky",
       .region = "(a,b,s) c=" + same + "(a,b,s) d=LeakyRelu{alpha=0.1}(c) -> d",
       .inputs = {"float16[1, 32, 8, 8]", "const float16[64, 32, 3, 3]", "const float16[64]"}},
      {.name = "half_conv_uneven_pads",
       .region = "(a,b) c=Conv{strides=[2,2], pads=[0,0,1,1], dilations=[1,1], group=1}(a,b) -> c",
       .inputs = {"float16[1, 32, 12, 12]", "const float16[64, 32, 3, 3]"}},
      {.name = "half_conv_odd_channels",
       .region = "(a,b,s) c=" + same + "(a,b,s) d=Relu(c) -> d",
       .inputs = {"float16[1, 13, 9, 8]", "const float16[21, 13, 3, 3]", "const float16[21]"}},
      {.name = "half_conv_dilated_grouped",
       .region = "(a,b) c=Conv{strides=[1,1], pads=[2,2,2,2], dilations=[2,2], group=4}(a,b) -> c",
       .inputs = {"float16[1, 64, 9, 8]", "const float16[64, 16, 3, 3]"}},
      {.name = "half_conv_depthwise",
       .region = "(a,b,s) c=Conv{strides=[1,1], pads=[1,1,1,1], dilations=[1,1], group=40}(a,b,s) "
                 "d=Relu(c) -> d",
       .inputs = {"float16[2, 40, 15, 17]", "const float16[40, 1, 3, 3]", "const float16[40]"}},
      {.name = "half_conv_depthwise_5x5_silu",
       .region = "(a,b,s) c=Conv{strides=[2,2], pads=[2,2,2,2], dilations=[1,1], group=24}(a,b,s) "
                 "d=Silu(c) -> d",
       .inputs = {"float16[1, 24, 14, 14]", "const float16[24, 1, 5, 5]", "const float16[24]"}},
      {.name = "brain_conv_bias_relu",
       .region = "(a,b,s) c=" + same + "(a,b,s) d=Relu(c) -> d",
       .inputs = {"bfloat16[2, 32, 9, 9]", "const bfloat16[64, 32, 3, 3]", "const bfloat16[64]"}},
      // Full products: nothing may round to TF32.
      {.name = "full_conv_first_layer",
       .region = "(a,b,s) c=" + same + "(a,b,s) d=Relu(c) -> d",
       .inputs = {"float32[2, 3, 33, 8]", "const float32[16, 3, 3, 3]", "const float32[16]"}},
      {.name = "full_conv_1x1_bias",
       .region = "(a,b,s) c=" + point + "(a,b,s) -> c",
       .inputs = {"float32[1, 16, 16, 16]", "const float32[32, 16, 1, 1]", "const float32[32]"}},
      {.name = "full_conv_residual_relu",
       .region = "(a,b,r) c=" + same + "(a,b) d=Add(c,r) e=Relu(d) -> e",
       .inputs = {"float32[1, 32, 16, 16]", "const float32[32, 32, 3, 3]",
                  "float32[1, 32, 16, 16]"}},
      {.name = "full_conv_residual_is_input",
       .region = "(a,b) c=" + same + "(a,b) d=Add(c,a) e=Relu(d) -> e",
       .inputs = {"float32[batch=3, 32, height=9, width=21]", "const float32[32, 32, 3, 3]"}},
      {.name = "full_conv_depthwise_hard_swish",
       .region = "(a,b) c=Conv{strides=[1,1], pads=[1,1,1,1], dilations=[1,1], group=16}(a,b) "
                 "d=HardSwish(c) -> d",
       .inputs = {"float32[batch=3, 16, height=9, width=21]", "const float32[16, 1, 3, 3]"}},
      {.name = "half_conv_line",
       .region = "(a,b) c=Conv{strides=[2], pads=[2,1], dilations=[1], group=1}(a,b) -> c",
       .inputs = {"float16[2, 16, length=29]", "const float16[32, 16, 5]"}},
      {.name = "half_conv_empty_batch",
       .region = "(a,b) c=" + same + "(a,b) -> c",
       .inputs = {"float16[batch=0, 16, 4, 4]", "const float16[16, 16, 3, 3]"}},
      {.name = "half_transposed",
       .region = "(a,b,s) c=ConvTranspose{strides=[2,2], pads=[0,0,0,0], dilations=[1,1], "
                 "outputPadding=[0,0], group=1}(a,b,s) d=Relu(c) -> d",
       .inputs = {"float16[1, 24, 5, 19]", "const float16[24, 40, 2, 2]", "const float16[40]"}},
      {.name = "half_max_pool",
       .region =
           "(a) b=MaxPool{kernel=[3,3], strides=[2,2], pads=[1,1,1,1], dilations=[1,1]}(a) -> b",
       .inputs = {"float16[2, 64, 15, 14]"}},
      {.name = "max_pool_of_bytes",
       .region =
           "(a) b=MaxPool{kernel=[2,2], strides=[1,2], pads=[0,1,1,0], dilations=[1,1]}(a) -> b",
       .inputs = {"int8[2, 5, 6, 9]"}},
      {.name = "half_average_pool_counts_pads",
       .region = "(a) b=AveragePool{kernel=[3,3], strides=[2,2], pads=[1,1,1,1], dilations=[1,1], "
                 "ceilMode=true, countIncludePad=true}(a) -> b",
       .inputs = {"float16[1, 16, 8, 9]"}},
      {.name = "half_mean_of_image",
       .region = "(a) b=Reduce{kind=1, axes=[2,3], keepDims=true}(a) -> b",
       .inputs = {"float16[batch=2, 136, 7, 7]"}},
      {.name = "half_scale_by_channel",
       .region = "(a,b,c) d=Mul(a,b) e=Add(d,c) f=Relu(e) -> f",
       .inputs = {"float16[2, 24, 5, 7]", "float16[2, 24, 1, 1]", "const float16[24, 1, 1]"}},
  };
  return cases;
}

}  // namespace carnot::test
