#include "base/dim.h"

#include <algorithm>
#include <numeric>

#include "base/dim_expr.h"
#include "base/error.h"
#include "base/hash.h"

namespace carnot {

using detail::Atom;
using detail::Factor;
using detail::Monomial;
using detail::Term;

namespace detail {
namespace {

// Bounds on one expression, so that hostile text costs neither the stack nor time without end.
constexpr uint32_t kMostNodes = 2048;
constexpr uint32_t kMostDepth = 64;
constexpr int kMostPower = 64;

[[noreturn]] void throwTooLarge() {
  throw Error(ErrorCode::Unsupported, "a shape expression grew too large",
              fmt::format("at most {} nodes, {} levels and powers of {}", kMostNodes, kMostDepth,
                          kMostPower),
              "give the model fixed dimensions");
}

}  // namespace

void throwOverflow() {
  throw Error(ErrorCode::InvalidModel, "a shape expression overflows 64 bits",
              "smaller dimensions");
}

int64_t addChecked(int64_t a, int64_t b) {
  int64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) throwOverflow();
  return sum;
}

int64_t multiplyChecked(int64_t a, int64_t b) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) throwOverflow();
  return product;
}

int64_t negateChecked(int64_t a) { return multiplyChecked(a, -1); }

int64_t floorDivide(int64_t a, int64_t b) {
  if (b == -1) return negateChecked(a);
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

int compareAtoms(const Atom& a, const Atom& b) {
  if (&a == &b) return 0;
  if (a.kind != b.kind) return a.kind < b.kind ? -1 : 1;
  if (int order = a.name.compare(b.name)) return order;
  for (size_t i = 0; i < std::min(a.args.size(), b.args.size()); ++i)
    if (int order = compareDims(a.args[i], b.args[i])) return order;
  return static_cast<int>(a.args.size()) - static_cast<int>(b.args.size());
}

namespace {

int degree(const Monomial& monomial) {
  return std::accumulate(monomial.begin(), monomial.end(), 0,
                         [](int sum, const Factor& factor) { return sum + factor.power; });
}

bool sameAtom(const Atom& a, const Atom& b) {
  return &a == &b || (a.hash == b.hash && compareAtoms(a, b) == 0);
}

}  // namespace

int compareMonomials(const Monomial& a, const Monomial& b) {
  if (int order = degree(b) - degree(a)) return order;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (int order = compareAtoms(*a[i].atom, *b[i].atom)) return order;
    if (int order = b[i].power - a[i].power) return order;
  }
  return 0;  // of one degree and equal so far: equal
}

int compareDims(const Dim& a, const Dim& b) {
  const auto &left = termsOf(a), &right = termsOf(b);
  if (&left != &right) {
    for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
      if (int order = compareMonomials(left[i].monomial, right[i].monomial)) return order;
      if (left[i].coefficient != right[i].coefficient)
        return left[i].coefficient < right[i].coefficient ? -1 : 1;
    }
    if (left.size() != right.size()) return left.size() > right.size() ? -1 : 1;
  }
  int64_t x = constantTermOf(a), y = constantTermOf(b);
  return x == y ? 0 : x < y ? -1 : 1;
}

Monomial multiply(const Monomial& a, const Monomial& b) {
  Monomial product;
  product.reserve(a.size() + b.size());
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    int order = i == a.size() ? 1 : j == b.size() ? -1 : compareAtoms(*a[i].atom, *b[j].atom);
    if (order < 0) {
      product.push_back(a[i++]);
    } else if (order > 0) {
      product.push_back(b[j++]);
    } else {
      product.push_back({a[i].atom, a[i].power + b[j].power});
      if (product.back().power > kMostPower) throwTooLarge();
      ++i, ++j;
    }
  }
  return product;
}

bool divideExactly(const Monomial& a, const Monomial& b, Monomial& quotient) {
  quotient.clear();
  size_t j = 0;
  for (const Factor& factor : a) {
    int power = factor.power;
    if (j < b.size() && sameAtom(*factor.atom, *b[j].atom)) power -= b[j++].power;
    if (power < 0) return false;
    if (power > 0) quotient.push_back({factor.atom, power});
  }
  return j == b.size();
}

Dim makeAtom(Dim::Kind kind, std::string name, std::vector<Dim> args) {
  uint64_t hash = hash64(name, static_cast<uint64_t>(kind));
  uint32_t weight = 1, depth = 0;
  for (const Dim& arg : args) {
    hash = hashCombine(hash, arg.hash());
    const auto* expr = Dim::Expr::of(arg);
    weight += expr ? expr->weight : 1;
    depth = std::max(depth, expr ? expr->depth : 0);
    if (weight > kMostNodes) throwTooLarge();
  }
  if (++depth > kMostDepth) throwTooLarge();
  auto atom = std::make_shared<const Atom>(
      Atom{kind, std::move(name), std::move(args), hash, weight, depth});
  return fromTerm({{{std::move(atom), 1}}, 1});
}

Dim fromTerm(Term term) {
  if (term.monomial.empty()) return term.coefficient;
  return Dim::Expr::build(0, {std::move(term)});
}

const std::vector<Term>& termsOf(const Dim& dim) {
  static const std::vector<Term> kNone;
  const auto* expr = Dim::Expr::of(dim);
  return expr ? expr->terms : kNone;
}

int64_t constantTermOf(const Dim& dim) { return Dim::Expr::constantTerm(dim); }

uint64_t contentOf(const Dim& dim, bool withConstant) {
  auto magnitude = [](int64_t value) {
    return value < 0 ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  };
  uint64_t content = withConstant ? magnitude(constantTermOf(dim)) : 0;
  for (const Term& term : termsOf(dim)) content = std::gcd(content, magnitude(term.coefficient));
  return content;
}

Dim divideContent(const Dim& dim, int64_t divisor) {
  if (divisor == 1) return dim;
  std::vector<Term> terms = termsOf(dim);
  for (Term& term : terms) term.coefficient /= divisor;
  return Dim::Expr::build(constantTermOf(dim) / divisor, std::move(terms));
}

bool isSingleTerm(const Dim& dim) {
  return termsOf(dim).empty() || (termsOf(dim).size() == 1 && constantTermOf(dim) == 0);
}

}  // namespace detail

using namespace detail;

Dim Dim::Expr::build(int64_t constant, std::vector<Term> terms) {
  std::sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) {
    return compareMonomials(a.monomial, b.monomial) < 0;
  });
  size_t kept = 0;
  for (size_t i = 0; i < terms.size();) {
    Term merged = std::move(terms[i++]);
    while (i < terms.size() && compareMonomials(merged.monomial, terms[i].monomial) == 0)
      merged.coefficient = addChecked(merged.coefficient, terms[i++].coefficient);
    if (merged.coefficient != 0) terms[kept++] = std::move(merged);
  }
  terms.resize(kept);
  if (terms.empty()) return constant;

  uint64_t hash = 0;
  uint32_t weight = 1, depth = 0;
  for (const Term& term : terms) {
    hash = hashCombine(hash, static_cast<uint64_t>(term.coefficient));
    for (const Factor& factor : term.monomial) {
      hash = hashCombine(hash, factor.atom->hash + static_cast<uint64_t>(factor.power));
      weight += factor.atom->weight;
      depth = std::max(depth, factor.atom->depth);
    }
    if (++weight > kMostNodes) throwTooLarge();
  }
  Dim result(constant);
  result.expr_ = std::make_shared<const Expr>(Expr{std::move(terms), hash, weight, depth});
  return result;
}

Dim Dim::symbol(std::string name) {
  if (name.empty()) throw Error(ErrorCode::InvalidArgument, "a symbol without a name");
  return makeAtom(Kind::Symbol, std::move(name), {});
}

int64_t Dim::constant() const {
  if (expr_) throwInternal("dimension " + toString() + " taken for a number");
  return constant_;
}

std::optional<int64_t> Dim::tryConstant() const {
  if (expr_) return std::nullopt;
  return constant_;
}

std::optional<std::string> Dim::asSymbol() const {
  if (constant_ != 0 || termsOf(*this).size() != 1) return std::nullopt;
  const Term& term = termsOf(*this)[0];
  if (term.coefficient != 1 || term.monomial.size() != 1 || term.monomial[0].power != 1)
    return std::nullopt;
  const Atom& atom = *term.monomial[0].atom;
  return atom.kind == Kind::Symbol ? std::optional(atom.name) : std::nullopt;
}

Dim operator+(const Dim& a, const Dim& b) {
  int64_t constant = addChecked(a.constant_, b.constant_);
  if (!b.expr_) return Dim::Expr::withConstantTerm(a, constant);
  if (!a.expr_) return Dim::Expr::withConstantTerm(b, constant);
  std::vector<Term> terms = termsOf(a);
  terms.insert(terms.end(), termsOf(b).begin(), termsOf(b).end());
  return Dim::Expr::build(constant, std::move(terms));
}

Dim operator*(const Dim& a, const Dim& b) {
  if (!a.expr_ && b.expr_) return b * a;
  if (!b.expr_ && b.constant_ == 1) return a;
  int64_t constant = multiplyChecked(a.constant_, b.constant_);
  if (!a.expr_) return constant;
  size_t products = (termsOf(a).size() + 1) * (termsOf(b).size() + 1);
  if (products > size_t{2} * kMostNodes) throwTooLarge();
  std::vector<Term> terms;
  terms.reserve(products);
  for (const Term& x : termsOf(a)) {
    if (b.constant_ != 0)
      terms.push_back({x.monomial, multiplyChecked(x.coefficient, b.constant_)});
    for (const Term& y : termsOf(b))
      terms.push_back(
          {multiply(x.monomial, y.monomial), multiplyChecked(x.coefficient, y.coefficient)});
  }
  if (a.constant_ != 0)
    for (const Term& y : termsOf(b))
      terms.push_back({y.monomial, multiplyChecked(y.coefficient, a.constant_)});
  return Dim::Expr::build(constant, std::move(terms));
}

Dim operator-(const Dim& a, const Dim& b) {
  if (!b.expr_ && !a.expr_) {
    int64_t difference;
    if (__builtin_sub_overflow(a.constant_, b.constant_, &difference)) throwOverflow();
    return difference;
  }
  return a + b * Dim(-1);
}

Dim ceilDiv(const Dim& a, const Dim& b) { return -floorDiv(-a, b); }
Dim floorMod(const Dim& a, const Dim& b) { return a - b * floorDiv(a, b); }
Dim min(const Dim& a, const Dim& b) { return -max(-a, -b); }

bool operator==(const Dim& a, const Dim& b) {
  if (a.constant_ != b.constant_) return false;
  if (a.expr_ == b.expr_) return true;
  return a.expr_ && b.expr_ && a.expr_->hash == b.expr_->hash && compareDims(a, b) == 0;
}

bool operator<(const Dim& a, const Dim& b) { return compareDims(a, b) < 0; }

size_t Dim::hash() const {
  return hashCombine(static_cast<uint64_t>(constant_), expr_ ? expr_->hash : 0);
}

}  // namespace carnot
