#pragma once

#include "ops/operator.h"

namespace carnot {

struct Relu {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<Relu>();

// alpha x below zero.
struct LeakyRelu {
  double alpha = 0.01;

  void visit(auto& fields) { fields("alpha", alpha); }
};
template <>
const OpDef& definitionOf<LeakyRelu>();

// slope x below zero; the slope is the second input.
struct PRelu {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<PRelu>();

// x above alpha, else 0.
struct ThresholdedRelu {
  double alpha = 1;

  void visit(auto& fields) { fields("alpha", alpha); }
};
template <>
const OpDef& definitionOf<ThresholdedRelu>();

// alpha (exp(x) - 1) below zero.
struct Elu {
  double alpha = 1;

  void visit(auto& fields) { fields("alpha", alpha); }
};
template <>
const OpDef& definitionOf<Elu>();

// gamma x above zero, gamma alpha (exp(x) - 1) elsewhere.
struct Selu {
  double alpha = 1.67326319217681884765625;
  double gamma = 1.05070102214813232421875;

  void visit(auto& fields) {
    fields("alpha", alpha);
    fields("gamma", gamma);
  }
};
template <>
const OpDef& definitionOf<Selu>();

// alpha (exp(x / alpha) - 1) below zero.
struct Celu {
  double alpha = 1;

  void visit(auto& fields) { fields("alpha", alpha); }
};
template <>
const OpDef& definitionOf<Celu>();

// alpha x + beta within [0, 1].
struct HardSigmoid {
  double alpha = 0.2;
  double beta = 0.5;

  void visit(auto& fields) {
    fields("alpha", alpha);
    fields("beta", beta);
  }
};
template <>
const OpDef& definitionOf<HardSigmoid>();

// x times x/6 + 1/2 within [0, 1].
struct HardSwish {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<HardSwish>();

// x times the normal distribution function of x: exact ("none") or by a tanh ("tanh").
struct Gelu {
  std::string approximate = "none";

  void visit(auto& fields) { fields("approximate", approximate); }
};
template <>
const OpDef& definitionOf<Gelu>();

// x sigmoid(x).
struct Silu {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<Silu>();

// log(1 + exp(x)).
struct Softplus {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<Softplus>();

// x / (1 + |x|).
struct Softsign {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<Softsign>();

// x tanh(softplus(x)).
struct Mish {
  void visit(auto&) {}
};
template <>
const OpDef& definitionOf<Mish>();

}  // namespace carnot
