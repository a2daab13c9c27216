#include "kernel_cases.h"

namespace carnot::test {

// Products of 8-bit integers, exact in int32.
std::span<const KernelCase> int8Cases() {
  static const std::vector<std::string> supported{
      "cpu/matmul/int8@avx512_vnni", "cpu/matmul/int8@avx_vnni", "cpu/matmul/int8/portable"};
  static const std::vector<KernelCase> cases = [] {
    std::vector<KernelCase> made{
        {.name = "int8_whole_tiles",
         .region = "(a,b) c=MatMulInteger(a,b,_,_) -> c",
         .inputs = {"uint8[56, 64] in 0 .. 255", "const int8[64, 64] in -128 .. 127"}},
        {.name = "int8_all_tails",
         .region = "(a,b,z) c=MatMulInteger(a,b,z,_) -> c",
         .inputs = {"uint8[37, 53] in 0 .. 255", "const int8[53, 77] in -128 .. 127",
                    "uint8[] in 90 .. 140"}},
        {.name = "int8_one_row",
         .region = "(a,b,z) c=MatMulInteger(a,b,z,_) -> c",
         .inputs = {"int8[1, 301] in -128 .. 127", "const int8[301, 257] in -128 .. 127",
                    "int8[1] in -9 .. 9"}},
        {.name = "int8_vector",
         .region = "(a,b) c=MatMulInteger(a,b,_,_) -> c",
         .inputs = {"int8[40] in -128 .. 127", "const uint8[40, 24] in 0 .. 255"}},
        {.name = "int8_one_column",
         .region = "(a,b,z,y) c=MatMulInteger(a,b,z,y) -> c",
         .inputs = {"uint8[19, 70] in 0 .. 255", "const uint8[70, 1] in 0 .. 255",
                    "uint8[] in 3 .. 7", "const uint8[] in 120 .. 130"}},
        {.name = "int8_one_product",
         .region = "(a,b) c=MatMulInteger(a,b,_,_) -> c",
         .inputs = {"uint8[9, 1] in 0 .. 255", "const int8[1, 33] in -128 .. 127"}},
        {.name = "int8_zeros_of_columns_batch",
         .region = "(a,b,z,y) c=MatMulInteger(a,b,z,y) -> c",
         .inputs = {"uint8[batch=3, 49, 96] in 0 .. 255", "const uint8[96, 45] in 0 .. 255",
                    "uint8[] in 100 .. 150", "const uint8[45] in 0 .. 255"}},
        {.name = "int8_zeros_of_signed_columns",
         .region = "(a,b,z,y) c=MatMulInteger(a,b,z,y) -> c",
         .inputs = {"int8[rows=331, 160] in -128 .. 127", "const int8[160, 100] in -128 .. 127",
                    "int8[] in -50 .. 50", "const int8[1, 100] in -128 .. 127"}},
        {.name = "int8_long_rows_share_sets",
         .region = "(a,b) c=MatMulInteger(a,b,_,_) -> c",
         .inputs = {"uint8[70, 4096] in 0 .. 255", "const int8[4096, 100] in -128 .. 127"}},
        {.name = "int8_scale_bias_residual_gelu",
         .region = "(a,b,z,f,s,r) c=MatMulInteger(a,b,z,_) d=Cast{to=float32}(c) e=Mul(d,f) "
                   "g=Add(e,s) h=Gelu(g) i=Add(h,r) -> i",
         .inputs = {"uint8[2, 50, 64] in 0 .. 255", "const int8[64, 72] in -128 .. 127",
                    "uint8[] in 120 .. 130", "float32[] in 0.0001 .. 0.0002", "const float32[72]",
                    "float32[2, 50, 72]"}},
        {.name = "int8_row_scales_and_two_results",
         .region = "(a,b,s) c=MatMulInteger(a,b,_,_) d=Cast{to=float32}(c) e=Mul(d,s) "
                   "f=Relu(e) -> e, f",
         .inputs = {"uint8[33, 64] in 0 .. 255", "const int8[64, 40] in -128 .. 127",
                    "float32[33, 1]"}},
        {.name = "int8_no_rows",
         .region = "(a,b) c=MatMulInteger(a,b,_,_) -> c",
         .inputs = {"uint8[rows=0, 16]", "const int8[16, 20]"}},
    };
    for (KernelCase& one : made) one.supportedBy = supported;
    const std::vector<std::string> portable{"cpu/matmul/int8/portable"};
    made.push_back({.name = "int8_zeros_of_rows",
                    .region = "(a,b,z,y) c=MatMulInteger(a,b,z,y) -> c",
                    .inputs = {"uint8[2, 9, 17] in 0 .. 255", "int8[17, 21] in -128 .. 127",
                               "uint8[9, 1] in 0 .. 255", "int8[] in -5 .. 5"},
                    .supportedBy = portable});
    made.push_back({.name = "int8_batch_of_both",
                    .region = "(a,b) c=MatMulInteger(a,b,_,_) d=Cast{to=float32}(c) -> d",
                    .inputs = {"uint8[2, 1, 5, 12] in 0 .. 255", "int8[3, 12, 7] in -128 .. 127"},
                    .supportedBy = portable});
    return made;
  }();
  return cases;
}

}  // namespace carnot::test
