#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/patch.h"

namespace carnot {

// Rewrites written as IR text, before and after, like a diff:
//
//   gelu by erf
//   - %t = Mul(%x, 0.70710678)
//   - %e = Erf(%t)
//   - %s = Add(%e, 1)
//   - %y = Mul(%x, %s, 0.5)
//   + %y = Gelu(%x)
//
// A name that no line before defines stands for any tensor, the same one wherever it occurs;
// `%x:float` and `%x:constant` ask for more. A number stands for a constant of one element, near
// enough (isNear). Attributes that a line names must agree, numbers nearly. Operands of commutative
// operators may come in any order. Mul and Add are matched as the product or the sum of all their
// terms, however nested, with the numbers (and, of floats, what it divides by) taken together.
// What lies inside the pattern may have no other use, and the result must have the type of what it
// replaces, else the rule does not apply. `+ %y = %x` replaces by a tensor that is there.
class TextRules {
 public:
  // Throws Error (Internal) naming the rule and the line that cannot be read.
  explicit TextRules(std::string_view text);
  ~TextRules();

  // The first rule whose last line matches at `node`.
  std::optional<Patch> match(const Graph& graph, Node* node) const;

  struct Rule;

 private:
  std::vector<std::unique_ptr<const Rule>> rules_;
};

}  // namespace carnot
