#include <gtest/gtest.h>

#include <carnot/error.h>

#include "ops/onnx_mappings.h"
#include "ops/region.h"

namespace carnot {
namespace {

TEST(OperatorText, EveryOperatorReadsBack) {
  for (const OpDef* row : allOperators()) {
    Operator op = row->make({});
    EXPECT_EQ(op.toString(), row->name);
    EXPECT_EQ(Operator::parse(op.toString()), op);
    EXPECT_EQ(findOperator(row->name), row);
    EXPECT_TRUE(row->infer && row->reference && row->cost) << row->name;
    EXPECT_EQ(row->access == Access::Pointwise, row->expression != nullptr) << row->name;
  }
}

TEST(OperatorText, RefusesOtherText) {
  for (const char* text :
       {"", "Ad", "Add{", "Add}", "Add{x=1}", "Add{} Add", "{}", "Add{,}", "(((((", "\"", "Add{=}"})
    EXPECT_THROW(Operator::parse(text), Error) << text;
  try {
    Operator::parse("Rellu");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.remedy(), "did you mean Relu?");
  }
}

TEST(RegionText, ReadsBack) {
  for (const char* text : {"(a,b) c=Add(a,b) d=Relu(c) -> d", "(a) b=Relu(a) -> b,a", "() -> ",
                           "(a) -> a", "(a,b) c=Add(a,b) d=Add(c,c) -> c,d"}) {
    Region region = Region::parse(text);
    EXPECT_EQ(region.toString(), text);
    EXPECT_EQ(Region::parse(region.toString()), region);
    EXPECT_EQ(Region::parse(region.toString()).hash(), region.hash());
  }
  for (const char* text : {"", "(a", "(a,a) -> a", "(a) b=Relu(b) -> b", "(a) b=Relu(c) -> b",
                           "(a) b=Relu(a) -> c", "(a) b=Relu(a)", "(_) -> _", "(a) a=Relu(a) -> a"})
    EXPECT_THROW(Region::parse(text), Error) << text;
}

TEST(Region, TailOfATensor) {
  Region region = Region::parse("(a,b,c) d=Add(a,b) e=Relu(d) f=Add(e,c) -> f,d");
  std::vector<TensorType> inputs(3, TensorType{DType::F32, {Dim(4)}});
  auto types = inferRegion(region, inputs);
  auto tail = pointwiseTail(region, 3, types);
  ASSERT_TRUE(tail);
  EXPECT_EQ(tail->operands, std::vector<int>{2});
  EXPECT_EQ(tail->program.outputs.size(), 2u);
  EXPECT_EQ(pointwiseProgram(region, types).outputs.size(), 2u);
  EXPECT_EQ(costRegion(region, inputs).flops, 12);
  EXPECT_EQ(costRegion(region, inputs).bytes, 5 * 16);
}

TEST(OnnxMappings, AreFoundByTypeAndOpset) {
  EXPECT_NE(findOnnxMapping("", "Relu", 17), nullptr);
  EXPECT_NE(findOnnxMapping("ai.onnx", "Identity", 1), nullptr);
  EXPECT_EQ(findOnnxMapping("", "Rellu", 17), nullptr);
  EXPECT_EQ(findOnnxMapping("other", "Relu", 17), nullptr);
}

TEST(OnnxMappings, NoTwoRowsClaimOneNode) {
  for (const std::string& type : supportedOnnxTypes("")) {
    for (int opset = 1; opset < 30; ++opset) {
      int rows = 0;
      auto count = [&](std::span<const OnnxMapping> list) {
        for (const OnnxMapping& row : list)
          rows += row.domain.empty() && row.type == type && row.sinceOpset <= opset &&
                  (row.untilOpset == 0 || opset <= row.untilOpset);
      };
      for (const OpDef* row : allOperators()) count(row->onnx);
      count(onnxAliases());
      EXPECT_LE(rows, 1) << type << " of opset " << opset;
    }
  }
}

}  // namespace
}  // namespace carnot
