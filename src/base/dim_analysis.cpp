// What a Dim's value can be: evaluation, substitution, bounds, comparison.
#include <algorithm>

#include "base/dim_expr.h"
#include "base/error.h"

namespace carnot {

using namespace detail;

namespace {

[[noreturn]] void throwEvaluation(const Dim& dim, const char* what) {
  throw Error(ErrorCode::InvalidArgument, fmt::format("{} in {}", what, dim.toString()),
              "other shapes");
}

int64_t evaluateAtom(const Atom& atom, const Dim::Lookup& valueOf) {
  if (atom.kind == Dim::Kind::Symbol) {
    int64_t value = valueOf(atom.name);
    if (value < 0 || value > Dim::kLargest)
      throw Error(ErrorCode::InvalidArgument, fmt::format("{} is {}", atom.name, value),
                  fmt::format("a dimension from 0 to {}", Dim::kLargest));
    return value;
  }
  int64_t first = atom.args[0].evaluate(valueOf);
  if (atom.kind == Dim::Kind::FloorDiv) {
    int64_t divisor = atom.args[1].evaluate(valueOf);
    if (divisor == 0) throwEvaluation(atom.args[1], "division by zero");
    return floorDivide(first, divisor);
  }
  for (size_t i = 1; i < atom.args.size(); ++i)
    first = std::max(first, atom.args[i].evaluate(valueOf));
  return first;
}

}  // namespace

int64_t Dim::evaluate(const Lookup& valueOf) const {
  int64_t sum = constant_;
  for (const Term& term : termsOf(*this)) {
    int64_t product = term.coefficient;
    for (const Factor& factor : term.monomial) {
      int64_t value = evaluateAtom(*factor.atom, valueOf);
      for (int i = 0; i < factor.power; ++i)
        if (__builtin_mul_overflow(product, value, &product)) throwEvaluation(*this, "overflow");
    }
    if (__builtin_add_overflow(sum, product, &sum)) throwEvaluation(*this, "overflow");
  }
  return sum;
}

Dim Dim::substitute(const std::map<std::string, Dim>& bySymbol) const {
  Dim sum = constant_;
  for (const Term& term : termsOf(*this)) {
    Dim product = term.coefficient;
    for (const Factor& factor : term.monomial) {
      const Atom& atom = *factor.atom;
      Dim value = fromTerm({{{factor.atom, 1}}, 1});
      if (atom.kind == Kind::Symbol) {
        if (auto found = bySymbol.find(atom.name); found != bySymbol.end()) value = found->second;
      } else {
        value = atom.args[0].substitute(bySymbol);
        for (size_t i = 1; i < atom.args.size(); ++i) {
          Dim next = atom.args[i].substitute(bySymbol);
          value = atom.kind == Kind::FloorDiv ? floorDiv(value, next) : max(value, next);
        }
      }
      for (int i = 0; i < factor.power; ++i) product = product * value;
    }
    sum = sum + product;
  }
  return sum;
}

void Dim::collectSymbols(std::vector<std::string>& out) const {
  for (const Term& term : termsOf(*this)) {
    for (const Factor& factor : term.monomial) {
      const Atom& atom = *factor.atom;
      if (atom.kind != Kind::Symbol) {
        for (const Dim& arg : atom.args) arg.collectSymbols(out);
      } else if (std::find(out.begin(), out.end(), atom.name) == out.end()) {
        out.push_back(atom.name);
      }
    }
  }
}

void Dim::visitPostfix(Visitor& visitor) const {
  bool first = true;
  auto add = [&] {
    if (!first) visitor.apply(Kind::Add);
    first = false;
  };
  for (const Term& term : termsOf(*this)) {
    bool single = true;
    auto multiply = [&] {
      if (!single) visitor.apply(Kind::Mul);
      single = false;
    };
    if (term.coefficient != 1) {
      visitor.constant(term.coefficient);
      multiply();
    }
    for (const Factor& factor : term.monomial) {
      const Atom& atom = *factor.atom;
      for (int i = 0; i < factor.power; ++i) {
        if (atom.kind == Kind::Symbol) {
          visitor.symbol(atom.name);
        } else {
          atom.args[0].visitPostfix(visitor);
          for (size_t arg = 1; arg < atom.args.size(); ++arg) {
            atom.args[arg].visitPostfix(visitor);
            visitor.apply(atom.kind);
          }
        }
        multiply();
      }
    }
    add();
  }
  if (constant_ != 0 || first) {
    visitor.constant(constant_);
    add();
  }
}

namespace {

// Interval arithmetic on bounds wider than the values, with kInfinite for none.
using Wide = __int128;
constexpr Wide kInfinite = Wide{1} << 100;
constexpr Wide kMost = Wide{1} << 63;

struct Interval {
  Wide low = -kInfinite, high = kInfinite;
};

// Loosens bounds beyond 64 bits; never claims an infinite value.
Interval loosened(Interval x) {
  if (x.low < -kMost) x.low = -kInfinite;
  if (x.high > kMost) x.high = kInfinite;
  return {std::min(x.low, kMost), std::max(x.high, -kMost)};
}

bool finite(Wide bound) { return bound > -kInfinite && bound < kInfinite; }

Wide multiplyBounds(Wide x, Wide y) {
  if (x == 0 || y == 0) return 0;
  if (finite(x) && finite(y)) return x * y;  // both within 2^63
  return (x < 0) != (y < 0) ? -kInfinite : kInfinite;
}

Interval operator+(Interval x, Interval y) {
  Wide low = finite(x.low) && finite(y.low) ? x.low + y.low : -kInfinite;
  Wide high = finite(x.high) && finite(y.high) ? x.high + y.high : kInfinite;
  return loosened({low, high});
}

Interval operator*(Interval x, Interval y) {
  Wide corners[] = {multiplyBounds(x.low, y.low), multiplyBounds(x.low, y.high),
                    multiplyBounds(x.high, y.low), multiplyBounds(x.high, y.high)};
  auto [low, high] = std::minmax_element(std::begin(corners), std::end(corners));
  return loosened({*low, *high});
}

Wide divideBounds(Wide x, Wide y) {  // y > 0
  if (!finite(x)) return x;
  if (!finite(y)) return x < 0 ? -1 : 0;
  return x / y - (x % y != 0 && x < 0);
}

Interval divideByPositive(Interval x, Interval y) {
  return {divideBounds(x.low, x.low >= 0 ? y.high : y.low),
          divideBounds(x.high, x.high >= 0 ? y.low : y.high)};
}

Interval floorDivide(Interval x, Interval y) {
  Interval result{kInfinite, -kInfinite};
  auto include = [&](Interval part) {
    result = {std::min(result.low, part.low), std::max(result.high, part.high)};
  };
  if (y.high >= 1) include(divideByPositive(x, {std::max<Wide>(y.low, 1), y.high}));
  if (y.low <= -1)
    include(divideByPositive({-x.high, -x.low}, {std::max<Wide>(-y.high, 1), -y.low}));
  return result.low > result.high ? Interval{} : result;
}

template <typename RangeOf>  // Interval(const std::string&)
Interval boundsOf(const Dim& dim, const RangeOf& rangeOf) {
  Interval sum{constantTermOf(dim), constantTermOf(dim)};
  for (const Term& term : termsOf(dim)) {
    Interval product{term.coefficient, term.coefficient};
    for (const Factor& factor : term.monomial) {
      const Atom& atom = *factor.atom;
      Interval value;
      if (atom.kind == Dim::Kind::Symbol) {
        value = rangeOf(atom.name);
      } else {
        value = boundsOf(atom.args[0], rangeOf);
        for (size_t i = 1; i < atom.args.size(); ++i) {
          Interval next = boundsOf(atom.args[i], rangeOf);
          value = atom.kind == Dim::Kind::FloorDiv
                      ? floorDivide(value, next)
                      : Interval{std::max(value.low, next.low), std::max(value.high, next.high)};
        }
      }
      for (int i = 0; i < factor.power; ++i) product = product * value;
    }
    sum = sum + product;
  }
  return sum;
}

// The first term that is a multiple of floor(n / c) for a constant c.
const Term* findDivision(const Dim& dim) {
  for (const Term& term : termsOf(dim)) {
    const Factor& factor = term.monomial.front();
    if (term.monomial.size() == 1 && factor.power == 1 &&
        factor.atom->kind == Dim::Kind::FloorDiv && factor.atom->args[1].isConstant())
      return &term;
  }
  return nullptr;
}

// A lower bound that knows how a division relates to the terms beside it (x - 4*floordiv(x, 4) >=
// 0): n - (c - 1) <= c * floor(n / c) <= n replaces each division in c * dim.
template <typename RangeOf>
Wide relatedLow(Dim dim, const RangeOf& rangeOf) {
  constexpr int kMostDivisions = 8;
  int64_t scale = 1;
  try {
    for (int i = 0; i < kMostDivisions; ++i) {
      const Term* term = findDivision(dim);
      if (!term) break;
      const Atom& atom = *term->monomial.front().atom;
      int64_t factor = term->coefficient, divisor = atom.args[1].constant();
      Dim bound = factor < 0 ? atom.args[0] : atom.args[0] - Dim(divisor - 1);
      dim = (dim - fromTerm(*term)) * Dim(divisor) + bound * Dim(factor);
      scale = multiplyChecked(scale, divisor);
    }
  } catch (const Error&) {  // too large for this bound; the plain one stands
    return -kInfinite;
  }
  if (scale == 1) return -kInfinite;
  Wide low = boundsOf(dim, rangeOf).low;
  return finite(low) ? -divideBounds(-low, scale) : low;
}

template <typename RangeOf>
Interval bestBounds(const Dim& dim, const RangeOf& rangeOf) {
  Interval bounds = boundsOf(dim, rangeOf);
  if (!findDivision(dim)) return bounds;
  bounds.low = std::max(bounds.low, relatedLow(dim, rangeOf));
  bounds.high = std::min(bounds.high, -relatedLow(Dim(0) - dim, rangeOf));
  return bounds;
}

Interval anySymbol(const std::string&) { return {0, Dim::kLargest}; }

// a - b; nullopt where that overflows.
std::optional<Dim> difference(const Dim& a, const Dim& b) {
  try {
    return a - b;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

namespace detail {

bool isNonNegative(const Dim& dim) {
  return boundsOf(dim, anySymbol).low >= 0 || relatedLow(dim, anySymbol) >= 0;
}

bool neverLess(const Dim& a, const Dim& b) {
  auto symbolic = difference(a - Dim(constantTermOf(a)), b - Dim(constantTermOf(b)));
  if (!symbolic) return false;
  Wide constant = Wide{constantTermOf(a)} - constantTermOf(b);
  Wide low = std::max(boundsOf(*symbolic, anySymbol).low, relatedLow(*symbolic, anySymbol));
  if (low + constant >= 0) return true;
  // The constants may matter within a division's bound.
  auto whole = difference(a, b);
  return whole && isNonNegative(*whole);
}

}  // namespace detail

Dim::Range Dim::range(const std::function<Range(const std::string& symbol)>& rangeOf) const {
  auto asInterval = [&](const std::string& symbol) {
    Range given = rangeOf(symbol);
    return Interval{std::max<Wide>(0, given.low.value_or(0)),
                    given.high ? Wide{*given.high} : kInfinite};
  };
  Interval bounds = bestBounds(*this, asInterval);
  auto narrow = [](Wide bound) -> std::optional<int64_t> {
    if (bound < -kMost || bound >= kMost) return std::nullopt;
    return static_cast<int64_t>(bound);
  };
  return {narrow(bounds.low), narrow(bounds.high)};
}

Equality compare(const Dim& a, const Dim& b) {
  if (a == b) return Equality::Yes;
  if (a.isConstant() && b.isConstant()) return Equality::No;
  auto gap = difference(a, b);
  if (!gap) return Equality::Unknown;
  Interval bounds = bestBounds(*gap, anySymbol);
  if (bounds.low > 0 || bounds.high < 0) return Equality::No;
  // 2*a + 4*b is never 3.
  uint64_t content = contentOf(*gap, false);
  int64_t constant = constantTermOf(*gap);
  uint64_t magnitude = constant < 0 ? uint64_t{0} - static_cast<uint64_t>(constant)
                                    : static_cast<uint64_t>(constant);
  return content > 1 && magnitude % content != 0 ? Equality::No : Equality::Unknown;
}

}  // namespace carnot
