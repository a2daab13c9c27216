#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/dim.h"

// The inside of a Dim, for the dim_*.cpp files alone.
namespace carnot::detail {

// What cannot be written as a sum of products of simpler things.
struct Atom {
  Dim::Kind kind;         // Symbol, FloorDiv or Max
  std::string name;       // of a Symbol
  std::vector<Dim> args;  // FloorDiv: numerator, divisor. Max: two or more, in order of operator<
  uint64_t hash;
  uint32_t weight;  // nodes of the whole tree below
  uint32_t depth;
};
using AtomPtr = std::shared_ptr<const Atom>;

struct Factor {
  AtomPtr atom;
  int power;
};
using Monomial = std::vector<Factor>;  // in order of atoms, each once

struct Term {
  Monomial monomial;  // not empty
  int64_t coefficient;
};

// Total orders of canonical forms: negative, zero or positive.
int compareAtoms(const Atom& a, const Atom& b);
int compareMonomials(const Monomial& a, const Monomial& b);  // higher degree first, then by atoms
int compareDims(const Dim& a, const Dim& b);

Monomial multiply(const Monomial& a, const Monomial& b);
// a / b where it has no negative power.
bool divideExactly(const Monomial& a, const Monomial& b, Monomial& quotient);

Dim makeAtom(Dim::Kind kind, std::string name, std::vector<Dim> args);
Dim fromTerm(Term term);

// The terms above the constant one.
const std::vector<Term>& termsOf(const Dim& dim);
int64_t constantTermOf(const Dim& dim);
// The greatest divisor of all coefficients; 0 for the constant 0. The constant term is left out
// where `withConstant` is false.
uint64_t contentOf(const Dim& dim, bool withConstant);
Dim divideContent(const Dim& dim, int64_t divisor);  // every coefficient and constant is a multiple

// The one term of a Dim that has no other: a monomial, or a constant.
bool isSingleTerm(const Dim& dim);

int64_t addChecked(int64_t a, int64_t b);
int64_t multiplyChecked(int64_t a, int64_t b);
int64_t negateChecked(int64_t a);
int64_t floorDivide(int64_t a, int64_t b);  // b != 0
[[noreturn]] void throwOverflow();

// Proven for every value of the symbols; false where it is not known.
bool isNonNegative(const Dim& dim);
bool neverLess(const Dim& a, const Dim& b);  // a >= b

}  // namespace carnot::detail

namespace carnot {

struct Dim::Expr {
  std::vector<detail::Term> terms;  // in order, coefficients not 0
  uint64_t hash;
  uint32_t weight;
  uint32_t depth;

  // Sorts, merges and drops what cancels.
  static Dim build(int64_t constant, std::vector<detail::Term> terms);
  static const Expr* of(const Dim& dim) { return dim.expr_.get(); }
  static int64_t constantTerm(const Dim& dim) { return dim.constant_; }
  static Dim withConstantTerm(Dim dim, int64_t constant) {
    dim.constant_ = constant;
    return dim;
  }
};

}  // namespace carnot
