#include "passes/passes.h"
#include "passes/rules/text_rules.h"

namespace carnot {

Proposal rewritePowers(const Graph& graph, Node* node, const PassOptions&) {
  static const TextRules kRules(R"(
    square
    - %y = Pow(%x, 2)
    + %y = Mul(%x, %x)

    cube
    - %y = Pow(%x, 3)
    + %q = Mul(%x, %x)
    + %y = Mul(%q, %x)

    square root
    - %y = Pow(%x:float, 0.5)
    + %y = Sqrt(%x)

    reciprocal by power
    - %y = Pow(%x:float, -1)
    + %y = Reciprocal(%x)

    reciprocal by division
    - %y = Div(1, %x:float)
    + %y = Reciprocal(%x)

    reciprocal square root
    - %y = Pow(%x:float, -0.5)
    + %r = Sqrt(%x)
    + %y = Reciprocal(%r)
  )");
  return kRules.match(graph, node);
}

}  // namespace carnot
