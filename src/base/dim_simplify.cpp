// Canonical forms of floor division and max.
#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "base/dim_expr.h"
#include "base/error.h"

namespace carnot {

using namespace detail;

namespace {

constexpr size_t kMostMaxArgs = 32;

Dim scaled(const Term& term, int64_t coefficient) { return fromTerm({term.monomial, coefficient}); }

const Term* leadingTerm(const Dim& dim) {
  return termsOf(dim).empty() ? nullptr : &termsOf(dim).front();
}

bool leadsNegative(const Dim& dim) {
  const Term* leading = leadingTerm(dim);
  return leading ? leading->coefficient < 0 : constantTermOf(dim) < 0;
}

// The greatest positive monomial with coefficient that divides every term of both.
Term commonFactor(const Dim& a, const Dim& b) {
  uint64_t content = std::gcd(contentOf(a, true), contentOf(b, true));
  if (content > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) content = 1;
  Term common{{}, static_cast<int64_t>(content)};
  if (constantTermOf(a) != 0 || constantTermOf(b) != 0) return common;
  common.monomial = termsOf(b).front().monomial;
  for (const Dim* dim : {&a, &b}) {
    for (const Term& term : termsOf(*dim)) {
      Monomial kept;
      for (const Factor& factor : common.monomial)
        for (const Factor& other : term.monomial)
          if (compareAtoms(*factor.atom, *other.atom) == 0)
            kept.push_back({factor.atom, std::min(factor.power, other.power)});
      common.monomial = std::move(kept);
    }
  }
  return common;
}

// dim / common where each term is a multiple.
Dim cancel(const Dim& dim, const Term& common) {
  if (common.monomial.empty()) return divideContent(dim, common.coefficient);
  std::vector<Term> terms;
  Dim constant = 0;
  for (const Term& term : termsOf(dim)) {
    Term quotient{{}, term.coefficient / common.coefficient};
    ensure(divideExactly(term.monomial, common.monomial, quotient.monomial), "inexact cancelling");
    if (quotient.monomial.empty())
      constant = quotient.coefficient;
    else
      terms.push_back(std::move(quotient));
  }
  return Dim::Expr::build(constant.constant(), std::move(terms));
}

// Takes whole multiples of a positive one-term divisor out of `a`, which keeps the remainder.
// Coefficients are truncated, so that a sum of positive terms stays one; a constant by a constant
// is floored.
Dim splitMultiples(Dim& a, const Dim& divisor) {
  Term by = termsOf(divisor).empty() ? Term{{}, constantTermOf(divisor)} : termsOf(divisor).front();
  Dim quotient = 0, taken = 0;
  Monomial rest;
  for (const Term& term : termsOf(a)) {
    if (!divideExactly(term.monomial, by.monomial, rest)) continue;
    int64_t whole = term.coefficient / by.coefficient;
    if (whole == 0) continue;
    quotient = quotient + fromTerm({rest, whole});
    taken = taken + scaled(term, multiplyChecked(whole, by.coefficient));
  }
  if (by.monomial.empty()) {
    int64_t whole = floorDivide(constantTermOf(a), by.coefficient);
    quotient = quotient + whole;
    taken = taken + multiplyChecked(whole, by.coefficient);
  }
  a = a - taken;
  return quotient;
}

// a / b when b divides the polynomial a. The order of monomials is graded and admissible, so the
// leading terms decide each step.
std::optional<Dim> exactQuotient(Dim a, const Dim& b) {
  constexpr int kMostSteps = 64;
  const Term& by = termsOf(b).front();
  Dim quotient = 0;
  for (int step = 0; step < kMostSteps; ++step) {
    if (a == Dim(0)) return quotient;
    const Term* leading = leadingTerm(a);
    Monomial rest;
    if (!leading || !divideExactly(leading->monomial, by.monomial, rest)) return std::nullopt;
    if (leading->coefficient % by.coefficient != 0) return std::nullopt;
    Dim part = fromTerm({std::move(rest), leading->coefficient / by.coefficient});
    quotient = quotient + part;
    a = a - part * b;
  }
  return std::nullopt;
}

// The term x of `a` where x is a floor division, alone and once, that can be merged with a division
// by `divisor`: floor((floor(n/d) + k) / c) = floor((n + k*d) / (c*d)) for an integer k and c > 0.
const Term* mergeableDivision(const Dim& a, const Dim& divisor) {
  const Term* found = nullptr;
  for (const Term& term : termsOf(a)) {
    bool division = term.coefficient == 1 && term.monomial.size() == 1 &&
                    term.monomial[0].power == 1 &&
                    term.monomial[0].atom->kind == Dim::Kind::FloorDiv;
    if (!division) continue;
    if (found) return nullptr;
    found = &term;
  }
  if (!found) return nullptr;
  bool alone = termsOf(a).size() == 1 && constantTermOf(a) == 0;
  bool constants = divisor.isConstant() && found->monomial[0].atom->args[1].isConstant();
  return constants || (alone && isNonNegative(divisor)) ? found : nullptr;
}

Dim divideByConstant(Dim a, int64_t divisor) {
  if (Dim quotient = splitMultiples(a, divisor); quotient != Dim(0))
    return quotient + floorDiv(a, divisor);
  // floor(-x / c) = -floor((x + c - 1) / c).
  if (leadsNegative(a)) return -floorDiv(-a + Dim(divisor - 1), divisor);
  uint64_t content = std::gcd(contentOf(a, false), static_cast<uint64_t>(divisor));
  if (content > 1) {
    // floor((g*x + r) / (g*c)) = floor((x + floor(r/g)) / c).
    auto common = static_cast<int64_t>(content);
    int64_t constant = constantTermOf(a);
    Dim reduced = divideContent(a - constant, common) + floorDivide(constant, common);
    return floorDiv(reduced, divisor / common);
  }
  return makeAtom(Dim::Kind::FloorDiv, {}, {std::move(a), divisor});
}

}  // namespace

Dim floorDiv(const Dim& a, const Dim& b) {
  if (b == Dim(0))
    throw Error(ErrorCode::InvalidModel, "division of a dimension by zero",
                "a divisor other than 0");
  if (leadsNegative(b)) return floorDiv(-a, -b);
  if (a.isConstant() && b.isConstant()) return floorDivide(a.constant(), b.constant());
  if (a == Dim(0) || b == Dim(1)) return a;
  if (!b.isConstant()) {
    Term common = commonFactor(a, b);
    if (common.coefficient != 1 || !common.monomial.empty())
      return floorDiv(cancel(a, common), cancel(b, common));
  }
  if (const Term* inner = mergeableDivision(a, b)) {
    const Atom& atom = *inner->monomial[0].atom;
    Dim others = a - scaled(*inner, 1);
    return floorDiv(atom.args[0] + others * atom.args[1], b * atom.args[1]);
  }
  if (b.isConstant()) return divideByConstant(a, b.constant());
  Dim rest = a, quotient = 0;
  if (isSingleTerm(b)) {
    quotient = splitMultiples(rest, b);
    if (rest != a) return quotient + floorDiv(rest, b);
  } else if (auto exact = exactQuotient(a, b)) {
    return *exact;
  }
  return makeAtom(Dim::Kind::FloorDiv, {}, {a, b});
}

namespace {

// The arguments of a max into `out`, nested ones (constant + g * max(...), g > 0) opened.
void flattenMax(const Dim& arg, std::vector<Dim>& out) {
  if (termsOf(arg).size() == 1) {
    const Term& term = termsOf(arg).front();
    const Factor& factor = term.monomial.front();
    if (term.monomial.size() == 1 && factor.power == 1 && term.coefficient > 0 &&
        factor.atom->kind == Dim::Kind::Max) {
      for (const Dim& inner : factor.atom->args)
        out.push_back(inner * Dim(term.coefficient) + constantTermOf(arg));
      return;
    }
  }
  out.push_back(arg);
}

// Drops an argument that another is never less than; of two that both are, one stays.
bool dropDominated(std::vector<Dim>& args) {
  for (size_t i = args.size(); i-- > 0;) {
    for (size_t j = 0; j < args.size(); ++j) {
      if (i == j || !(args[i] == args[j] || neverLess(args[j], args[i]))) continue;
      args.erase(args.begin() + static_cast<ptrdiff_t>(i));
      return true;
    }
  }
  return false;
}

Dim maxOf(std::vector<Dim> args) {
  // max(g*x + c, g*y + c) = g * max(x, y) + c with the least constant and the greatest g. What
  // remains may prove more, and with fewer arguments more can come out.
  Dim factor = 1, offset = 0;
  while (dropDominated(args)) {
  }
  do {
    if (args.size() == 1) return args.front() * factor + offset;
    int64_t least = std::numeric_limits<int64_t>::max();
    for (const Dim& arg : args) least = std::min(least, constantTermOf(arg));
    uint64_t content = 0;
    for (Dim& arg : args) {
      arg = arg - Dim(least);
      content = std::gcd(content, contentOf(arg, true));
    }
    if (content == 0 || content > static_cast<uint64_t>(Dim::kLargest)) content = 1;
    for (Dim& arg : args) arg = divideContent(arg, static_cast<int64_t>(content));
    offset = offset + factor * Dim(least);
    factor = factor * Dim(static_cast<int64_t>(content));
  } while (dropDominated(args));
  if (args.size() > kMostMaxArgs)
    throw Error(ErrorCode::Unsupported, fmt::format("a max of {} dimensions", args.size()),
                fmt::format("at most {}", kMostMaxArgs), "give the model fixed dimensions");
  std::sort(args.begin(), args.end());
  return makeAtom(Dim::Kind::Max, {}, std::move(args)) * factor + offset;
}

}  // namespace

Dim max(const Dim& a, const Dim& b) {
  if (a.isConstant() && b.isConstant()) return std::max(a.constant(), b.constant());
  std::vector<Dim> args;
  flattenMax(a, args);
  flattenMax(b, args);
  return maxOf(std::move(args));
}

}  // namespace carnot
