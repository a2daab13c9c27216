// ScalarEmitter's code against the interpreter: each operation on each type, with whole and partial
// vectors, many registers and few.

#include "codegen/cpu/scalar_emitter.h"

#include <carnot/error.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "guarded_memory.h"
#include "suites/support/vector_function.h"

namespace carnot::test {
namespace {

using enum DType;
using enum ScalarOp;

constexpr DType kTypes[] = {F32, F64, F16, BF16, I8, I16, I32, I64, U8, U16, U32, U64, Bool};
constexpr int kCount = 203;  // several vectors and a partial one at every width

void fill(const TensorView& view, uint32_t seed) {
  std::mt19937 random(seed);
  const double specials[] = {0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5, 1e4, -1e4, 65504, 1e-3};
  for (int64_t i = 0; i < view.count(); ++i) {
    if (view.dtype == Bool) {
      view.storeInt(i, random() & 1);
    } else if (isFloat(view.dtype)) {
      const double uniform = (static_cast<double>(random()) / 4294967296.0 - 0.5) * 40;
      view.storeDouble(i, random() % 8 ? uniform : specials[random() % std::size(specials)]);
    } else {  // small numbers, and bit patterns of every size
      const auto bits = static_cast<int64_t>(uint64_t{random()} << 32 | random());
      view.storeInt(i, random() % 4 ? bits >> (random() % 64) : static_cast<int64_t>(random() % 5));
    }
  }
  if (isFloat(view.dtype) && view.count() > 20) {
    view.storeDouble(3, NAN);
    view.storeDouble(11, INFINITY);
    view.storeDouble(17, -INFINITY);
  }
}

// What the program gives by the interpreter, stored as the outputs' types.
void interpret(const ScalarProgram& program, std::span<const TensorView> inputs,
               std::span<const TensorView> outputs) {
  for (int64_t i = 0; i < outputs[0].count(); ++i) {
    std::vector<ScalarNumber> operands, results(outputs.size());
    for (const TensorView& input : inputs) {
      if (isFloat(input.dtype))
        operands.emplace_back(input.loadDouble(i));
      else
        operands.emplace_back(input.loadInt(i));
    }
    evaluateScalar(program, operands, results);
    for (size_t k = 0; k < outputs.size(); ++k) {
      if (isFloat(outputs[k].dtype))
        outputs[k].storeDouble(i, std::get<double>(results[k]));
      else
        outputs[k].storeInt(i, std::get<int64_t>(results[k]));
    }
  }
}

double toleranceOf(DType type) {
  return type == F16 ? 2e-3 : type == BF16 ? 1e-2 : type == F64 ? 1e-14 : 4e-6;
}

void expectSame(const TensorView& actual, const TensorView& expected, const std::string& what,
                double scale) {
  for (int64_t i = 0; i < expected.count(); ++i) {
    if (!isFloat(expected.dtype)) {
      ASSERT_EQ(actual.loadInt(i), expected.loadInt(i)) << what << ", element " << i;
      continue;
    }
    const double a = actual.loadDouble(i), e = expected.loadDouble(i);
    if (std::isnan(a) && std::isnan(e)) continue;
    if (a == e) continue;
    ASSERT_LE(std::fabs(a - e), toleranceOf(expected.dtype) * (std::fabs(e) + scale))
        << what << ", element " << i << ": " << a << " for " << e;
  }
}

void checkProgram(const ScalarProgram& program, const std::vector<DType>& inputTypes,
                  const std::string& what, double scale = 1e-30) {
  SCOPED_TRACE(what);
  std::vector<Tensor> inputs, expected;
  std::vector<TensorView> inputViews, expectedViews;
  for (size_t i = 0; i < inputTypes.size(); ++i) {
    inputs.emplace_back(inputTypes[i], std::vector<int64_t>{kCount});
    fill(inputs.back().view(), static_cast<uint32_t>(i + 1));
  }
  for (uint16_t output : program.outputs)
    expected.emplace_back(program.nodes[output].dtype, std::vector<int64_t>{kCount});
  for (const Tensor& tensor : inputs) inputViews.push_back(tensor.view());
  for (const Tensor& tensor : expected) expectedViews.push_back(tensor.view());
  interpret(program, inputViews, expectedViews);

  for (const char* level : {"avx2", "avx512"}) {
    const IsaSet isa = parseIsa(level);
    if (!hostIsa().contains(isa)) continue;
    if (auto reason = ScalarEmitter::refusal(program, isa)) {
      EXPECT_FALSE(reason->empty());
      continue;
    }
    for (int registers : {0, ScalarEmitter::kMinVectors}) {
      const VectorFunction function(program, isa, registers);
      std::vector<const void*> in;
      std::vector<void*> out;
      std::vector<std::unique_ptr<GuardedMemory>> memory;
      for (const Tensor& tensor : inputs) {
        memory.push_back(std::make_unique<GuardedMemory>(tensor.bytes(), 1));
        std::memcpy(memory.back()->data(), tensor.data(), tensor.bytes());
        in.push_back(memory.back()->data());
      }
      for (const Tensor& tensor : expected) {
        memory.push_back(std::make_unique<GuardedMemory>(tensor.bytes(), 1));
        out.push_back(memory.back()->data());
      }
      function.run(in, out, kCount);
      const std::string where = what + " at " + level + (registers ? ", few registers" : "");
      for (size_t k = 0; k < expected.size(); ++k) {
        std::vector<int64_t> dims{kCount};
        expectSame({out[k], expected[k].dtype(), dims}, expected[k].view(), where, scale);
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

bool supported(const ScalarProgram& program) {
  return !ScalarEmitter::refusal(program, parseIsa("avx512"));
}

// Every operation that the builder takes for a type; what the emitter refuses is listed.
TEST(ScalarEmitter, EachOperationOnEachType) {
  std::vector<std::string> refused;
  for (int op = static_cast<int>(Add); op <= static_cast<int>(Ldexp); ++op) {
    const auto operation = static_cast<ScalarOp>(op);
    if (operation == Cast || operation == Bitcast || operation == Ldexp) continue;
    for (DType type : kTypes) {
      ScalarBuilder builder;
      std::vector<DType> types;
      std::vector<ScalarValue> in;
      for (int i = 0; i < scalarArity(operation); ++i) {
        types.push_back(operation == Select && i == 0 ? Bool : type);
        in.push_back(builder.input(i, types.back()));
      }
      ScalarValue result;
      try {
        result = operation == Select ? builder.select(in[0], in[1], in[2])
                 : operation == Fma  ? builder.fma(in[0], in[1], in[2])
                 : in.size() == 1    ? builder.unary(operation, in[0])
                                     : builder.binary(operation, in[0], in[1]);
      } catch (const Error&) {
        continue;  // undefined for the type
      }
      const ScalarProgram program = std::move(builder).finish({&result, 1});
      const std::string what =
          std::string(scalarOpName(operation)) + " of " + std::string(dtypeName(type));
      if (!supported(program)) refused.push_back(what);
      checkProgram(program, types, what);
      if (HasFatalFailure()) return;
    }
  }
  const std::vector<std::string> known = {
      "fma of int64",          "fma of uint64",        "floor_mod of float32",
      "floor_mod of float64",  "floor_mod of float16", "floor_mod of bfloat16",
      "trunc_mod of float32",  "trunc_mod of float64", "trunc_mod of float16",
      "trunc_mod of bfloat16", "pow of float64",       "pow of int8",
      "pow of int16",          "pow of int32",         "pow of int64",
      "pow of uint8",          "pow of uint16",        "pow of uint32",
      "pow of uint64",         "exp of float64",       "log of float64",
      "erf of float64",        "tanh of float64",      "sigmoid of float64",
      "sin of float64",        "cos of float64",       "tan of float64",
      "asin of float64",       "acos of float64",      "atan of float64",
      "sinh of float64",       "cosh of float64",      "asinh of float64",
      "acosh of float64",      "atanh of float64"};
  EXPECT_EQ(refused, known);
}

TEST(ScalarEmitter, EachCast) {
  for (DType from : kTypes) {
    for (DType to : kTypes) {
      ScalarBuilder builder;
      ScalarValue x = builder.input(0, from);
      // Numbers that the target holds: what others become is the processor's choice.
      if (isFloat(from) && !isFloat(to) && to != Bool) {
        const double low = isSigned(to) ? -100 : 0;
        x = builder.binary(Min, builder.like(x, 100.7),
                           builder.binary(Max, x, builder.like(x, low)));
      }
      const ScalarValue result = builder.cast(x, to);
      const ScalarProgram program = std::move(builder).finish({&result, 1});
      ASSERT_TRUE(supported(program));
      checkProgram(program, {from},
                   std::string(dtypeName(from)) + " to " + std::string(dtypeName(to)));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(ScalarEmitter, ConstantsInEveryPlace) {
  for (DType type : {F32, F64, I32, I64, U8}) {
    for (ScalarOp op : {Add, Sub, Mul, Min, Max, Less, LessEqual, Equal}) {
      for (bool first : {false, true}) {
        ScalarBuilder builder;
        const ScalarValue x = builder.input(0, type), c = builder.constant(type, 3);
        const ScalarValue result = first ? builder.binary(op, c, x) : builder.binary(op, x, c);
        checkProgram(std::move(builder).finish({&result, 1}), {type},
                     std::string(scalarOpName(op)) + " with a constant");
        if (HasFatalFailure()) return;
      }
    }
  }
  for (int constants = 0; constants < 8; ++constants) {  // each operand of Fma and Select
    ScalarBuilder builder;
    std::vector<ScalarValue> in;
    for (int i = 0; i < 3; ++i)
      in.push_back(constants >> i & 1 ? builder.constant(F32, 1.5 + i) : builder.input(i, F32));
    const ScalarValue sum = builder.fma(in[0], in[1], in[2]);
    const ScalarValue result[] = {sum,
                                  builder.select(builder.binary(Less, in[0], in[1]), in[1], in[2]),
                                  builder.fma(sum, sum, in[0]), builder.fma(in[0], sum, sum)};
    checkProgram(std::move(builder).finish(result), {F32, F32, F32},
                 "constants in fma " + std::to_string(constants));
    if (HasFatalFailure()) return;
  }
}

// More values alive than registers, of several types at once.
TEST(ScalarEmitter, SpillsWhatDoesNotFit) {
  for (DType type : {F32, F64, I32, I64}) {
    ScalarBuilder builder;
    const ScalarValue x = builder.input(0, type), y = builder.input(1, type);
    const ScalarValue flag = builder.input(2, Bool);
    std::vector<ScalarValue> values, flags;
    for (int i = 1; i <= 40; ++i) {
      values.push_back(x * static_cast<double>(i) + y);
      flags.push_back(builder.binary(Less, values.back(), y * static_cast<double>(i)));
    }
    ScalarValue sum = values[0], any = flag;
    for (size_t i = 0; i < values.size(); ++i) {
      sum = sum + builder.select(flags[i], values[values.size() - 1 - i], y);
      any = builder.binary(Xor, any, flags[i]);
    }
    const ScalarValue results[] = {sum, any, values[7], builder.cast(sum, F16)};
    checkProgram(std::move(builder).finish(results), {type, type, Bool},
                 "forty values of " + std::string(dtypeName(type)), 1e3);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace carnot::test
