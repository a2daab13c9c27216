#include "passes/passes.h"
#include "passes/rules/text_rules.h"

namespace carnot {

Proposal recognizeActivations(const Graph& graph, Node* node, const PassOptions&) {
  static const TextRules kRules(R"(
    relu by max
    - %y = Max(%x:float, 0)
    + %y = Relu(%x)

    sigmoid by exp
    - %n = Neg(%x)
    - %e = Exp(%n)
    - %s = Add(%e, 1)
    - %y = Reciprocal(%s)
    + %y = Sigmoid(%x)

    softplus
    - %e = Exp(%x)
    - %s = Add(%e, 1)
    - %y = Log(%s)
    + %y = Softplus(%x)

    silu
    - %s = Sigmoid(%x)
    - %y = Mul(%x, %s)
    + %y = Silu(%x)

    mish
    - %s = Softplus(%x)
    - %t = Tanh(%s)
    - %y = Mul(%x, %t)
    + %y = Mish(%x)

    gelu by erf
    - %t = Mul(%x, 0.70710678118)
    - %e = Erf(%t)
    - %s = Add(%e, 1)
    - %y = Mul(%x, %s, 0.5)
    + %y = Gelu(%x)

    gelu by tanh of x + c x^3
    - %c = Mul(%x, %x, %x, 0.044715)
    - %i = Add(%x, %c)
    - %a = Mul(%i, 0.79788456)
    - %t = Tanh(%a)
    - %s = Add(%t, 1)
    - %y = Mul(%x, %s, 0.5)
    + %y = Gelu{approximate="tanh"}(%x)

    gelu by tanh of x (1 + c x^2)
    - %c = Mul(%x, %x, 0.044715)
    - %i = Add(%c, 1)
    - %a = Mul(%x, %i, 0.79788456)
    - %t = Tanh(%a)
    - %s = Add(%t, 1)
    - %y = Mul(%x, %s, 0.5)
    + %y = Gelu{approximate="tanh"}(%x)

    hard swish by clip
    - %a = Add(%x, 3)
    - %b = Relu(%a)
    - %c = Min(%b, 6)
    - %y = Mul(%x, %c, 0.166666667)
    + %y = HardSwish(%x)

    hard sigmoid by clip to 6
    - %a = Add(%x:float, 3)
    - %b = Relu(%a)
    - %c = Min(%b, 6)
    - %y = Mul(%c, 0.166666667)
    + %y = HardSigmoid{alpha=0.16666666666666666, beta=0.5}(%x)

    hard sigmoid of a sixth by clip to 1
    - %a = Mul(%x:float, 0.166666667)
    - %b = Add(%a, 0.5)
    - %c = Relu(%b)
    - %y = Min(%c, 1)
    + %y = HardSigmoid{alpha=0.16666666666666666, beta=0.5}(%x)

    hard sigmoid of a fifth by clip to 1
    - %a = Mul(%x:float, 0.2)
    - %b = Add(%a, 0.5)
    - %c = Relu(%b)
    - %y = Min(%c, 1)
    + %y = HardSigmoid{alpha=0.2, beta=0.5}(%x)

    hard swish
    - %s = HardSigmoid{alpha=0.166666667, beta=0.5}(%x)
    - %y = Mul(%x, %s)
    + %y = HardSwish(%x)
  )");
  return kRules.match(graph, node);
}

}  // namespace carnot
