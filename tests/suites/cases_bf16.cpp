#include "kernel_cases.h"

namespace carnot::test {

// Products whose operands may be rounded to bfloat16: 1.7e-3 away with random numbers.
std::span<const KernelCase> bf16Cases() {
  static const std::vector<std::string> supported{"cpu/matmul/bf16@avx512_bf16",
                                                  "cpu/matmul/bf16@amx_bf16", "cpu/matmul/packed"};
  static const std::vector<KernelCase> cases = [] {
    std::vector<KernelCase> made{
        {.name = "bf16_whole_tiles",
         .region = "(a,b) c=MatMul(a,b) -> c",
         .inputs = {"float32[64, 64]", "const float32[64, 64]"}},
        {.name = "bf16_all_tails",
         .region = "(a,b) c=MatMul(a,b) -> c",
         .inputs = {"float32[37, 53]", "const float32[53, 77]"}},
        {.name = "bf16_one_row",
         .region = "(a,b) c=MatMul(a,b) -> c",
         .inputs = {"float32[1, 301]", "const float32[301, 257]"}},
        {.name = "bf16_vector",
         .region = "(a,b) c=MatMul(a,b) -> c",
         .inputs = {"float32[40]", "const float32[40, 24]"}},
        {.name = "bf16_one_column",
         .region = "(a,b) c=MatMul(a,b) -> c",
         .inputs = {"float32[19, 70]", "const float32[70, 1]"}},
        {.name = "bf16_one_product",
         .region = "(a,b) c=MatMul(a,b) -> c",
         .inputs = {"float32[9, 1]", "const float32[1, 33]"}},
        {.name = "bf16_transposed_weights_batch",
         .region = "(a,b) c=MatMul{transposeB=true}(a,b) -> c",
         .inputs = {"float32[batch=3, 49, 96]", "const float32[45, 96]"}},
        {.name = "bf16_many_rows",
         .region = "(a,b) c=MatMul(a,b) -> c",
         .inputs = {"float32[rows=331, 160]", "const float32[160, 100]"}},
        {.name = "bf16_long_rows_share_sets",
         .region = "(a,b) c=MatMul(a,b) -> c",
         .inputs = {"float32[70, 4096]", "const float32[4096, 48]"}},
        {.name = "bf16_bias_residual_gelu",
         .region = "(a,b,s,r) c=MatMul(a,b) d=Add(c,s) e=Gelu(d) f=Add(e,r) -> f",
         .inputs = {"float32[2, 50, 64]", "const float32[64, 72]", "const float32[72]",
                    "float32[2, 50, 72]"}},
        {.name = "bf16_row_operand_and_two_results",
         .region = "(a,b,s) c=MatMul(a,b) d=Mul(c,s) e=Relu(d) -> d, e",
         .inputs = {"float32[33, 64]", "const float32[64, 40]", "float32[33, 1]"}},
        {.name = "bf16_no_rows",
         .region = "(a,b) c=MatMul(a,b) -> c",
         .inputs = {"float32[rows=0, 16]", "const float32[16, 20]"}},
    };
    for (KernelCase& one : made) {
      one.supportedBy = supported;
      one.tolerance = 4e-3;
      one.bf16 = true;
    }
    return made;
  }();
  return cases;
}

}  // namespace carnot::test
