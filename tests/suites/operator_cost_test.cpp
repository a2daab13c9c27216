#include <gtest/gtest.h>

#include "suites/support/operator_run.h"

namespace carnot::test {
namespace {

struct CostCase {
  const char* op;
  std::vector<const char*> inputs;  // float32 shapes
  double flops, bytes;
};
void PrintTo(const CostCase& row, std::ostream* out) { *out << row.op; }

class Costs : public testing::TestWithParam<CostCase> {};

TEST_P(Costs, CountAMultiplyAddAsTwoAndEachTensorOnce) {
  const CostCase& row = GetParam();
  const Operator op = Operator::parse(row.op);
  std::vector<Operand> operands;
  for (const char* shape : row.inputs) operands.emplace_back(DType::F32, shape);
  const Inferred inferred = inferOperator(row.op, operands);
  std::vector<TensorType> inputs, outputs;
  for (const Operand& operand : operands) inputs.push_back(operand.type);
  for (const auto& output : inferred.outputs) outputs.push_back(output.type);
  const Cost cost = op.definition().cost(op, {.inputs = inputs, .outputs = outputs});
  EXPECT_EQ(cost.flops, row.flops);
  EXPECT_EQ(cost.bytes, row.bytes);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Costs,
    testing::Values(
        CostCase{"MatMul", {"[5, 3]", "[3, 7]"}, 2 * 5 * 3 * 7, 4 * (15 + 21 + 35)},
        CostCase{
            "MatMul{transposeA=true}", {"[3, 5]", "[3, 7]"}, 2 * 5 * 3 * 7, 4 * (15 + 21 + 35)},
        CostCase{"Conv{strides=[1,1], pads=[1,1,1,1], dilations=[1,1]}",
                 {"[1, 8, 4, 4]", "[16, 8, 3, 3]"},
                 2.0 * 16 * 16 * 8 * 9,
                 4 * (128 + 1152 + 256)},
        CostCase{"Conv{strides=[1,1], pads=[1,1,1,1], dilations=[1,1], group=8}",
                 {"[1, 8, 4, 4]", "[8, 1, 3, 3]"},
                 2.0 * 128 * 9,
                 4 * (128 + 72 + 128)},
        CostCase{"ConvTranspose{strides=[2], pads=[0,0], dilations=[1], outputPadding=[0]}",
                 {"[1, 8, 5]", "[8, 3, 2]"},
                 2 * 40 * 6,
                 4 * (40 + 48 + 30)},
        CostCase{"LinearAttention{queryHeads=4, kvHeads=2}",
                 {"[1, 3, 32]", "[1, 3, 16]", "[1, 3, 6]"},
                 3 * 24 * (5 * 2 + 2 * 4),
                 4 * (96 + 48 + 18 + 36)},
        CostCase{"Attention{scale=1}",
                 {"[1, 2, 4, 8]", "[1, 2, 4, 8]", "[1, 2, 4, 8]"},
                 2.0 * 16 * (2 * 8 + 2 * 8 + 5),
                 4 * 4 * 64},
        CostCase{"Reduce{axes=[1]}", {"[3, 5]"}, 15, 4 * 18},
        CostCase{"Reshape{shape=[15]}", {"[3, 5]"}, 0, 0},
        CostCase{"Transpose{perm=[1,0]}", {"[3, 5]"}, 0, 4 * 30}));

}  // namespace
}  // namespace carnot::test
