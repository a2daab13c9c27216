#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "engine/engine.h"

namespace carnot {
namespace {

const std::vector<std::string> kSymbols = {"batch", "seq", "width"};

TEST(DimProgram, AgreesWithDim) {
  const char* texts[] = {"7",
                         "-3",
                         "seq",
                         "3*batch*seq + 2",
                         "floordiv(width + 1, 2)",
                         "max(batch, floordiv(seq - 9, 4))*width",
                         "floordiv(floordiv(width - 1, 2), 2) + 1 - seq",
                         "batch*batch*seq - width"};
  for (const char* text : texts) {
    Dim dim = Dim::parse(text);
    DimProgram program = DimProgram::compile(dim, kSymbols);
    EXPECT_EQ(program.toDim(kSymbols), dim) << text;
    for (int64_t seed = 0; seed < 50; ++seed) {
      std::vector<int64_t> values = {seed % 5, seed * 7 % 131, seed * 13 % 37};
      auto valueOf = [&](const std::string& name) {
        return values[static_cast<size_t>(std::ranges::find(kSymbols, name) - kSymbols.begin())];
      };
      EXPECT_EQ(program.evaluate(values), dim.evaluate(valueOf)) << text;
    }
  }
}

TEST(DimProgram, RefusesBadCode) {
  using Code = std::vector<int64_t>;
  constexpr int64_t constant = static_cast<int64_t>(DimOp::Constant);
  constexpr int64_t symbol = static_cast<int64_t>(DimOp::Symbol);
  constexpr int64_t add = static_cast<int64_t>(DimOp::Add);
  Code deep;
  for (int i = 0; i < 65; ++i) deep.insert(deep.end(), {constant, 1});
  for (int i = 0; i < 64; ++i) deep.insert(deep.end(), {add, 0});
  const Code cases[] = {{},
                        {constant},
                        {constant, 1, add},
                        {add, 0},
                        {constant, 1, add, 0},
                        {constant, 1, constant, 2},
                        {symbol, 3},
                        {symbol, -1},
                        {6, 0},
                        {-1, 0},
                        deep,
                        Code(20000, 0)};
  for (const Code& code : cases) EXPECT_THROW(DimProgram{code}.validate(3), Error);
}

TEST(DimProgram, RefusesValuesThatDoNotFit) {
  constexpr int64_t most = std::numeric_limits<int64_t>::max();
  struct Case {
    const char* text;
    std::vector<int64_t> values;
  };
  const Case cases[] = {{"batch*seq", {most, 2, 0}},
                        {"batch + seq", {most, 1, 0}},
                        {"floordiv(batch, seq)", {4, 0, 0}}};
  for (const Case& c : cases) {
    DimProgram program = DimProgram::compile(Dim::parse(c.text), kSymbols);
    EXPECT_THROW(program.evaluate(c.values), Error) << c.text;
  }
}

TEST(DimProgram, NamesASymbolThatNoInputGives) {
  try {
    DimProgram::compile(Dim::symbol("count") + 1, kSymbols);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_NE(error.has().find("'count'"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace carnot
