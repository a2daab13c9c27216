#include "base/dim.h"

#include <carnot/error.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "base/shape.h"

namespace carnot {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

Dim s(const char* name) { return Dim::symbol(name); }
Dim p(const char* text) { return Dim::parse(text); }

struct TextCase {
  Dim dim;
  const char* text;
};

TEST(Dim, CanonicalText) {
  Dim a = s("a"), b = s("b"), batch = s("batch"), seq = s("seq"), h = s("height");
  const TextCase cases[] = {
      {0, "0"},
      {-7, "-7"},
      {kMin, "-9223372036854775808"},
      {a, "a"},
      {-a, "-a"},
      {2 - batch, "-batch + 2"},
      {batch * 3 * seq + 2, "3*batch*seq + 2"},
      {seq * batch * seq, "batch*seq^2"},
      {(a + b) * (a - b), "a^2 - b^2"},
      {a - a, "0"},
      {a * kMin, "-9223372036854775808*a"},
      {b + a * kMin, "-9223372036854775808*a + b"},
      {floorDiv(h + 1, 2), "floordiv(height + 1, 2)"},
      // A convolution of stride 2 has (h + 2 - 3) / 2 + 1 rows; two of them divide by 4.
      {floorDiv(h + 2 - 3, 2) + 1, "floordiv(height + 1, 2)"},
      {floorDiv(floorDiv(h - 1, 2) + 1 - 1, 2) + 1, "floordiv(height + 3, 4)"},
      {floorDiv(batch * seq * 6, seq * 2), "3*batch"},
      {floorDiv(batch * seq * 768, batch * 12 * 64), "seq"},
      {floorDiv(a * 2 + 4, 2), "a + 2"},
      {floorDiv(floorDiv(a, 2), 3), "floordiv(a, 6)"},
      {floorDiv(floorDiv(a, b), seq), "floordiv(a, b*seq)"},
      {floorDiv(a * 4 + b, 4), "a + floordiv(b, 4)"},
      {floorDiv(a * 5, 4), "a + floordiv(a, 4)"},
      {floorDiv(a * 2 + 5, 4), "floordiv(a, 2) + 1"},
      {floorDiv(a * 4 + 3, 4), "a"},
      {floorDiv(batch * (seq + 1), seq + 1), "batch"},
      {floorDiv((batch + 2) * (seq + 1), seq + 1), "batch + 2"},
      {floorDiv(a * a - b * b, a - b), "a + b"},
      {floorDiv(a, -3), "-floordiv(a + 2, 3)"},
      {floorDiv(a * b + 3, b), "a + floordiv(3, b)"},
      {ceilDiv(a, 4), "floordiv(a + 3, 4)"},
      {ceilDiv(a * 4, 4), "a"},
      {floorMod(a * 4 + 3, 4), "3"},
      {floorMod(a, 4), "a - 4*floordiv(a, 4)"},
      {floorDiv(floorMod(a, 4), 4), "0"},
      {max(a, a), "a"},
      {max(a, 0), "a"},
      {max(a + 1, 1), "a + 1"},
      {max(a + 2, a + 5), "a + 5"},
      {max(a, a + b), "a + b"},
      {max(a, b), "max(a, b)"},
      {max(b, a), "max(a, b)"},
      {max(max(a, b), a), "max(a, b)"},
      {max(max(a, 3), 5), "max(a, 5)"},
      {max(a - 3, 0), "max(a, 3) - 3"},
      {max(a * 2, b * 2), "2*max(a, b)"},
      {max(max(a, b) * 2 + 1, 9), "2*max(a, b, 4) + 1"},
      {max(floorDiv(a, 2), 0), "floordiv(a, 2)"},
      {min(a, a + 1), "a"},
      {min(seq, kMax), "seq"},
      {min(seq * 2 + 1, kMax), "2*seq + 1"},
      {max(seq - 5, kMin), "seq - 5"},
      {min(a, 0), "0"},
      // The second half of a tensor, as Slice and Split see it.
      {max(a - floorDiv(a, 2), 0), "a - floordiv(a, 2)"},
      {min(floorDiv(a, 2), a), "floordiv(a, 2)"},
      {s("max"), "'max'"},
      {s("a b"), "'a b'"},
      {s("it's \\"), "'it\\'s \\\\'"},
      {s("x.1") * 2, "2*x.1"},
  };
  for (const auto& [dim, text] : cases) {
    EXPECT_EQ(dim.toString(), text);
    EXPECT_EQ(Dim::parse(text), dim) << text;
  }
}

TEST(Dim, ParseTakesMoreThanItPrints) {
  EXPECT_EQ(p("2 * (a+1)"), s("a") * 2 + 2);
  EXPECT_EQ(p("ceildiv(a, 4)"), ceilDiv(s("a"), 4));
  EXPECT_EQ(p("mod(a, 4)"), floorMod(s("a"), 4));
  EXPECT_EQ(p("min(a, b, 7)"), min(min(s("a"), s("b")), 7));
  EXPECT_EQ(p(" - - a "), s("a"));
  EXPECT_EQ(p("a - -3"), s("a") + 3);
}

TEST(Dim, ParseRefuses) {
  std::string deep(100000, '(');
  std::string nested;
  for (int i = 0; i < 5000; ++i) nested += "max(x,";
  std::string minus(100000, '-');
  std::string long_ = "a";
  for (int i = 0; i < 30000; ++i) long_ += "+a";
  std::string power = "(a + b + c + d + e + f)^60";
  std::string terms = "a";
  for (int i = 0; i < 5000; ++i) terms += "+a" + std::to_string(i);
  const std::string cases[] = {
      "", " ", "+", "a +", "a b", "2 3", "a^0", "a^-1", "a^999", "a^", "2^3", "max(a)", "max()",
      "foo(a, b)", "floordiv(a, b, c)", "floordiv(a)", "floordiv(a, 0)", "max", "'", "''", "'a",
      "(a", "a)", "9223372036854775808", "-9223372036854775809", "9223372036854775807 + 1",
      "4611686018427387904*2*a", "a,b", "\xff\xfe", std::string("a\0b", 3), "1e3", "0x10", "a//2",
      deep, nested, minus, power, terms,
      // Doubles at each level; would be astronomical as a tree.
      "max(" + std::string(3000, 'a') + ",", long_ + "+"};
  for (const std::string& text : cases) EXPECT_THROW(Dim::parse(text), Error) << text.substr(0, 60);
}

TEST(Dim, GrowthIsBounded) {
  // Each step doubles the tree, though not the memory.
  Dim x = s("x"), y = s("y");
  auto grow = [&] {
    for (int i = 0; i < 64; ++i) x = max(x * 3, floorDiv(x, y + i) + i);
  };
  EXPECT_THROW(grow(), Error);
  Dim deep = s("x");
  auto deepen = [&] {
    for (int i = 2; i < 1000; ++i) deep = floorDiv(deep + y, y * i + 1);
  };
  EXPECT_THROW(deepen(), Error);
  EXPECT_LT(deep.toString().size(), 100000u);
}

TEST(Dim, Overflow) {
  EXPECT_THROW(Dim(kMax) + 1, Error);
  EXPECT_THROW(Dim(kMin) - 1, Error);
  EXPECT_THROW(Dim(kMax) * 2, Error);
  EXPECT_THROW(-Dim(kMin), Error);
  EXPECT_THROW(floorDiv(Dim(kMin), -1), Error);
  EXPECT_THROW(floorDiv(s("a"), 0), Error);
  EXPECT_THROW(s("a") * kMax * 2, Error);
  EXPECT_EQ(Dim(-1) - Dim(kMin), Dim(kMax));
  EXPECT_EQ(max(Dim(kMin), kMax), Dim(kMax));
  EXPECT_EQ(compare(Dim(kMax), Dim(kMin)), Equality::No);
  auto lookup = [](const std::string&) { return Dim::kLargest; };
  EXPECT_THROW((s("a") * s("b")).evaluate(lookup), Error);
  EXPECT_THROW(s("a").evaluate([](const std::string&) { return -1; }), Error);
  EXPECT_THROW(floorDiv(s("a"), s("b")).evaluate([](const std::string& n) { return n == "a"; }),
               Error);
}

TEST(Dim, Accessors) {
  EXPECT_EQ(s("a").asSymbol(), "a");
  EXPECT_EQ((s("a") + 1).asSymbol(), std::nullopt);
  EXPECT_EQ((s("a") * 2).asSymbol(), std::nullopt);
  EXPECT_EQ(floorDiv(s("a"), 2).asSymbol(), std::nullopt);
  EXPECT_EQ(Dim(3).tryConstant(), 3);
  EXPECT_EQ(s("a").tryConstant(), std::nullopt);
  EXPECT_THROW(s("a").constant(), Error);
  EXPECT_THROW(Dim::symbol(""), Error);
  std::vector<std::string> names;
  p("b*a + max(c, floordiv(a, d))").collectSymbols(names);
  EXPECT_EQ(names.size(), 4u);
  std::map<std::string, Dim> half{{"a", floorDiv(s("n"), 2)}, {"b", 4}};
  EXPECT_EQ(p("max(a, b) + floordiv(a, b)").substitute(half),
            max(floorDiv(s("n"), 2), 4) + floorDiv(s("n"), 8));
}

struct CompareCase {
  const char *a, *b;
  Equality equality;
};

TEST(Dim, Compare) {
  const CompareCase cases[] = {
      {"a", "a", Equality::Yes},
      {"3", "seq + 4", Equality::No},
      {"seq", "seq + 1", Equality::No},
      {"2*seq", "5", Equality::No},  // parity
      {"seq", "5", Equality::Unknown},
      {"a", "b", Equality::Unknown},
      {"a - 4*floordiv(a, 4)", "4", Equality::No},
      {"a - 4*floordiv(a, 4)", "-1", Equality::No},
      {"a - 4*floordiv(a, 4)", "3", Equality::Unknown},
      {"max(a, 3)", "2", Equality::No},
      {"4*floordiv(a + 3, 4) - a", "4", Equality::No},
      {"9223372036854775807", "seq", Equality::No},
  };
  for (const auto& [a, b, equality] : cases) {
    EXPECT_EQ(compare(p(a), p(b)), equality) << a << " and " << b;
    EXPECT_EQ(compare(p(b), p(a)), equality) << b << " and " << a;
  }
}

TEST(Dim, Range) {
  auto rangeOf = [](const std::string& name) -> Dim::Range {
    if (name == "n") return {1, 8};
    if (name == "low") return {2, std::nullopt};
    return {};
  };
  struct Case {
    const char* text;
    std::optional<int64_t> low, high;
  };
  const Case cases[] = {
      {"5", 5, 5},
      {"n", 1, 8},
      {"3*n - 2", 1, 22},
      {"-n", -8, -1},
      {"free", 0, std::nullopt},
      {"-free", std::nullopt, 0},
      {"n*free", 0, std::nullopt},
      {"low*n", 2, std::nullopt},
      {"floordiv(n, 3)", 0, 2},
      {"floordiv(100, n)", 12, 100},
      {"floordiv(100, free)", 0, 100},
      {"max(n, 5)", 5, 8},
      {"n - 4*floordiv(n, 4)", 0, 3},
      {"free - 4*floordiv(free, 4)", 0, 3},
      {"free - floordiv(free, 2)", 0, std::nullopt},
  };
  for (const auto& [text, low, high] : cases) {
    Dim::Range range = p(text).range(rangeOf);
    EXPECT_EQ(range.low, low) << text;
    EXPECT_EQ(range.high, high) << text;
  }
}

// An expression beside its plain value; nullopt after a division by zero.
struct Sample {
  Dim dim;
  std::optional<int64_t> value;
};

class RandomExpressions : public testing::TestWithParam<int> {
 protected:
  static constexpr int kSymbols = 4;
  static const char* symbolName(int i) {
    constexpr const char* kNames[] = {"a", "b", "c", "d"};
    return kNames[i];
  }

  int below(int count) { return std::uniform_int_distribution<int>(0, count - 1)(random_); }

  static int64_t floorOf(int64_t x, int64_t y) {
    int64_t quotient = x / y;
    return quotient * y != x && (x < 0) != (y < 0) ? quotient - 1 : quotient;
  }

  Sample generate(int depth) {
    if (depth == 0 || below(6) == 0) {
      if (below(3) == 0) {
        int64_t constant = below(13) - 4;
        return {constant, constant};
      }
      int i = below(kSymbols);
      return {s(symbolName(i)), values_[i]};
    }
    Sample x = generate(depth - 1), y = generate(depth - 1);
    if (below(3) == 0) y = {Dim(below(8) + 1), 0}, y.value = y.dim.constant();
    bool known = x.value && y.value;
    auto of = [&](auto function) {
      return known ? std::optional<int64_t>(function(*x.value, *y.value)) : std::nullopt;
    };
    switch (below(8)) {
      case 0:
        return {x.dim + y.dim, of([](int64_t p, int64_t q) { return p + q; })};
      case 1:
        return {x.dim - y.dim, of([](int64_t p, int64_t q) { return p - q; })};
      case 2:
        return {x.dim * y.dim, of([](int64_t p, int64_t q) { return p * q; })};
      case 3:
        return {max(x.dim, y.dim), of([](int64_t p, int64_t q) { return std::max(p, q); })};
      case 4:
        return {min(x.dim, y.dim), of([](int64_t p, int64_t q) { return std::min(p, q); })};
      default:
        break;
    }
    if (y.dim == Dim(0)) return x;
    if (known && *y.value == 0) known = false;
    switch (below(3)) {
      case 0:
        return {floorDiv(x.dim, y.dim), of(floorOf)};
      case 1:
        return {ceilDiv(x.dim, y.dim), of([](int64_t p, int64_t q) { return -floorOf(-p, q); })};
      default:
        return {floorMod(x.dim, y.dim),
                of([](int64_t p, int64_t q) { return p - q * floorOf(p, q); })};
    }
  }

  void newValues() {
    for (auto& value : values_) value = below(2) ? below(6) : below(100);
  }
  int64_t valueOf(const std::string& name) const { return values_[name[0] - 'a']; }

  std::mt19937 random_{static_cast<unsigned>(GetParam())};
  int64_t values_[kSymbols] = {};
};

struct PostfixMachine : Dim::Visitor {
  std::function<int64_t(const std::string&)> valueOf;
  std::vector<int64_t> stack;
  void constant(int64_t value) override { stack.push_back(value); }
  void symbol(const std::string& name) override { stack.push_back(valueOf(name)); }
  void apply(Dim::Kind kind) override {
    ASSERT_GE(stack.size(), 2u);
    int64_t y = stack.back();
    stack.pop_back();
    int64_t& x = stack.back();
    switch (kind) {
      case Dim::Kind::Add:
        x += y;
        break;
      case Dim::Kind::Mul:
        x *= y;
        break;
      case Dim::Kind::FloorDiv:
        x = x / y - (x % y != 0 && (x < 0) != (y < 0));
        break;
      case Dim::Kind::Max:
        x = std::max(x, y);
        break;
      default:
        FAIL();
    }
  }
};

TEST_P(RandomExpressions, AgreeWithPlainArithmetic) {
  for (int i = 0; i < 1500; ++i) {
    newValues();
    Sample sample;
    try {
      sample = generate(1 + below(4));
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::Unsupported) << error.what();  // grew too large
      continue;
    }
    const Dim& dim = sample.dim;
    std::string text = dim.toString();
    Dim again = Dim::parse(text);
    ASSERT_EQ(again, dim) << text << " reads back as " << again.toString();
    ASSERT_EQ(again.hash(), dim.hash()) << text;
    ASSERT_FALSE(dim < again || again < dim) << text;
    if (!sample.value) continue;
    auto lookup = [this](const std::string& name) { return valueOf(name); };
    ASSERT_EQ(dim.evaluate(lookup), *sample.value) << text;

    PostfixMachine machine;
    machine.valueOf = lookup;
    dim.visitPostfix(machine);
    ASSERT_EQ(machine.stack.size(), 1u) << text;
    ASSERT_EQ(machine.stack[0], *sample.value) << text;

    std::map<std::string, Dim> numbers;
    for (int symbol = 0; symbol < kSymbols; ++symbol) numbers[symbolName(symbol)] = values_[symbol];
    ASSERT_EQ(dim.substitute(numbers), Dim(*sample.value)) << text;

    auto rangeOf = [&](const std::string& name) {
      return Dim::Range{std::max<int64_t>(0, valueOf(name) - 2), valueOf(name) + 3};
    };
    Dim::Range range = dim.range(rangeOf);
    ASSERT_LE(range.low.value_or(kMin), *sample.value) << text;
    ASSERT_GE(range.high.value_or(kMax), *sample.value) << text;
  }
}

TEST_P(RandomExpressions, CompareIsSound) {
  for (int i = 0; i < 1500; ++i) {
    newValues();
    try {
      Sample x = generate(1 + below(3)), y = generate(1 + below(3));
      if (!x.value || !y.value) continue;
      Equality equality = compare(x.dim, y.dim);
      ASSERT_EQ(compare(y.dim, x.dim), equality) << x.dim.toString() << " and " << y.dim.toString();
      if (*x.value == *y.value) {
        ASSERT_NE(equality, Equality::No) << x.dim.toString() << " and " << y.dim.toString();
      } else {
        ASSERT_NE(equality, Equality::Yes) << x.dim.toString() << " and " << y.dim.toString();
      }
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::Unsupported) << error.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomExpressions, testing::Range(1, 7));

TEST(Shape, Basics) {
  Shape shape{s("batch"), 3, 224, s("w")};
  EXPECT_EQ(shape.toString(), "[batch, 3, 224, w]");
  EXPECT_EQ(Shape().toString(), "[]");
  EXPECT_FALSE(shape.isStatic());
  EXPECT_THROW(shape.concrete(), Error);
  EXPECT_EQ(shape.elementCount().toString(), "672*batch*w");
  EXPECT_EQ(shape.elementCount(1, 3), Dim(672));
  EXPECT_EQ(shape.evaluate([](const std::string& n) { return n == "w" ? 5 : 2; }),
            (std::vector<int64_t>{2, 3, 224, 5}));
  EXPECT_EQ(shape.substitute({{"batch", 1}, {"w", 7}}).concrete(),
            (std::vector<int64_t>{1, 3, 224, 7}));
  EXPECT_EQ(normalizeAxis(-1, 4), 3u);
  EXPECT_EQ(normalizeAxis(0, 4), 0u);
  EXPECT_THROW(normalizeAxis(4, 4), Error);
  EXPECT_THROW(normalizeAxis(-5, 4), Error);
  EXPECT_THROW(normalizeAxis(0, 0), Error);
  int64_t huge[] = {int64_t{1} << 40, int64_t{1} << 40};
  EXPECT_THROW(elementCount(huge), Error);
  int64_t none[] = {int64_t{1} << 40, 0, int64_t{1} << 40};
  EXPECT_EQ(elementCount(none), 0);
  int64_t negative[] = {2, -1};
  EXPECT_THROW(elementCount(negative), Error);
  EXPECT_EQ(elementCount({}), 1);
}

}  // namespace
}  // namespace carnot
