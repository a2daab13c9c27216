// The functions that lower_math makes, on dense samples of every sign and magnitude, against libm
// in double.

#include "codegen/lower_math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "suites/support/vector_function.h"

namespace carnot::test {
namespace {

struct FunctionCase {
  ScalarOp op;
  double (*exact)(double);
  double maxUlp;
};

void PrintTo(const FunctionCase& row, std::ostream* out) { *out << scalarOpName(row.op); }

double exactSigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// The distance between neighbouring floats at this value; subnormal spacing at least.
double ulpAt(double value) {
  int exponent = 0;
  std::frexp(value, &exponent);
  return std::ldexp(1, std::max(exponent - 24, -149));
}

double ulpError(float actual, double exact) {
  if (std::isnan(exact) || std::isnan(actual))
    return std::isnan(exact) && std::isnan(actual) ? 0 : std::numeric_limits<double>::infinity();
  const float nearest = static_cast<float>(exact);
  if (std::isinf(nearest) || std::isinf(actual)) {
    if (nearest == actual) return 0;
    // One step beyond the largest number may round either way.
    const double largest = std::numeric_limits<float>::max();
    if (std::isinf(nearest) && std::fabs(exact) < largest * (1 + 0x1p-23))
      return (std::fabs(exact) - std::fabs(actual)) / ulpAt(largest);
    return std::numeric_limits<double>::infinity();
  }
  if (actual == 0 && exact == 0 && std::signbit(actual) != std::signbit(exact))
    return std::numeric_limits<double>::infinity();
  return std::fabs(actual - exact) / ulpAt(exact);
}

// Floats of every sign and exponent with mantissas spread evenly, and what is special.
std::vector<float> samples(uint32_t step) {
  std::vector<float> values = {0.0f,
                               -0.0f,
                               1.0f,
                               -1.0f,
                               INFINITY,
                               -INFINITY,
                               NAN,
                               std::numeric_limits<float>::denorm_min(),
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::lowest(),
                               88.72283f,
                               88.72284f,
                               -87.33655f,
                               -103.97207f,
                               -103.97208f,
                               -104.0f,
                               0.5f,
                               0.65f};
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += step)
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  for (int i = -200000; i <= 200000; ++i) values.push_back(static_cast<float>(i) * 5.3e-4f);
  return values;
}

class LowerMath : public testing::TestWithParam<FunctionCase> {};

TEST_P(LowerMath, IsAccurate) {
  const FunctionCase& row = GetParam();
  ScalarBuilder builder;
  const ScalarValue result = builder.unary(row.op, builder.input(0, DType::F32));
  const ScalarProgram program = std::move(builder).finish({&result, 1});
  const std::vector<float> x = samples(7919);
  for (const char* level : {"avx2", "avx512"}) {
    if (!hostIsa().contains(parseIsa(level))) continue;
    std::vector<float> y(x.size());
    const void* in = x.data();
    void* out = y.data();
    VectorFunction(program, parseIsa(level)).run({&in, 1}, {&out, 1}, x.size());
    double worst = 0;
    float where = 0, got = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double error = ulpError(y[i], row.exact(x[i]));
      if (error > worst) {
        worst = error;
        where = x[i];
        got = y[i];
      }
    }
    EXPECT_LE(worst, row.maxUlp) << level << " at " << where << ": " << got << ", exactly "
                                 << row.exact(where);
    RecordProperty(level, std::to_string(worst));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Functions, LowerMath,
    testing::Values(
        FunctionCase{ScalarOp::Exp, std::exp, 1.0}, FunctionCase{ScalarOp::Log, std::log, 1.0},
        FunctionCase{ScalarOp::Erf, std::erf, 1.5}, FunctionCase{ScalarOp::Tanh, std::tanh, 1.5},
        FunctionCase{ScalarOp::Sigmoid, exactSigmoid, 2.5},
        FunctionCase{ScalarOp::Sin, std::sin, 0.6}, FunctionCase{ScalarOp::Cos, std::cos, 0.6},
        FunctionCase{ScalarOp::Tan, std::tan, 0.6}, FunctionCase{ScalarOp::Asin, std::asin, 0.6},
        FunctionCase{ScalarOp::Acos, std::acos, 0.6}, FunctionCase{ScalarOp::Atan, std::atan, 0.6},
        FunctionCase{ScalarOp::Sinh, std::sinh, 0.6}, FunctionCase{ScalarOp::Cosh, std::cosh, 0.6},
        FunctionCase{ScalarOp::Asinh, std::asinh, 0.6},
        FunctionCase{ScalarOp::Acosh, std::acosh, 0.6},
        FunctionCase{ScalarOp::Atanh, std::atanh, 0.6}),
    [](const auto& info) { return std::string(scalarOpName(info.param.op)); });

TEST(LowerMathPow, IsAccurate) {
  ScalarBuilder builder;
  const ScalarValue result =
      builder.binary(ScalarOp::Pow, builder.input(0, DType::F32), builder.input(1, DType::F32));
  const ScalarProgram program = std::move(builder).finish({&result, 1});
  std::vector<float> x, y;
  const float special[] = {0.0f,  -0.0f, 1.0f,   -1.0f, 2.0f, -2.0f, 0.5f,     -0.5f,     3.0f,
                           -3.0f, 1e30f, 1e-40f, -7.0f, 1e9f, -1e9f, INFINITY, -INFINITY, NAN};
  for (float base : special)
    for (float exponent : special) {
      x.push_back(base);
      y.push_back(exponent);
    }
  for (uint32_t i = 0; i < 200000; ++i) {
    x.push_back(std::bit_cast<float>(i * 2654435761u));
    y.push_back(static_cast<float>(i % 1999) * 0.037f - 37);
  }
  for (const char* level : {"avx2", "avx512"}) {
    if (!hostIsa().contains(parseIsa(level))) continue;
    std::vector<float> z(x.size());
    const void* in[] = {x.data(), y.data()};
    void* out = z.data();
    VectorFunction(program, parseIsa(level)).run(in, {&out, 1}, x.size());
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_LE(ulpError(z[i], std::pow(static_cast<double>(x[i]), y[i])), 0.6)
          << level << ": " << x[i] << " to the " << y[i] << " gives " << z[i];
  }
}

// What one exponent gives, by products.
TEST(LowerMathPow, OfAConstantExponentNeedsNoLogarithm) {
  for (double exponent : {0.0, 1.0, 2.0, 3.0, 4.0, -1.0, -2.0, -3.0, 0.5, -0.5}) {
    ScalarBuilder builder;
    const ScalarValue x = builder.input(0, DType::F32);
    const ScalarValue result = builder.binary(ScalarOp::Pow, x, builder.like(x, exponent));
    const ScalarProgram program = std::move(builder).finish({&result, 1});
    for (const ScalarNode& node : lowerMath(program, {}).nodes)
      EXPECT_EQ(node.dtype == DType::F64, false) << exponent;
    if (!hostIsa().has(Isa::Avx2)) continue;
    const float in[] = {0.0f, -0.0f, 1.5f, -1.5f, INFINITY, -INFINITY, NAN, 1e-30f};
    float out[8];
    const void* from = in;
    void* to = out;
    VectorFunction(program, hostIsa()).run({&from, 1}, {&to, 1}, 8);
    for (int i = 0; i < 8; ++i)
      EXPECT_LE(ulpError(out[i], std::pow(static_cast<double>(in[i]), exponent)), 2.5)
          << in[i] << " to the " << exponent;
  }
}

}  // namespace
}  // namespace carnot::test
