#pragma once

#include "ops/operator.h"

namespace carnot {

// A NaN in either operand is the result.
struct Min {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<Min>();

struct Max {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<Max>();

// The remainder has the sign of the dividend (as C's fmod) or else of the divisor (as Python's %).
struct Mod {
  bool fmod = false;

  void visit(auto& fields) { fields("fmod", fmod); }
};
template <>
const OpDef& definitionOf<Mod>();

// Base and exponent may differ in type; the result has the base's.
struct Pow {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<Pow>();

struct BitShift {
  bool left = true;

  void visit(auto& fields) { fields("left", left); }
};
template <>
const OpDef& definitionOf<BitShift>();

#define CARNOT_BINARY(T, primitive, commutative, opset) \
  struct T {                                            \
    void visit(auto&) {}                                \
  };                                                    \
  template <>                                           \
  const OpDef& definitionOf<T>();
#include "ops/pointwise_binary.inc"
#undef CARNOT_BINARY

}  // namespace carnot
