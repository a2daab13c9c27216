#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "passes/rules/text_rules.h"

namespace carnot {

// One rule as data. Tensors are numbered: by name, in order of appearance.
struct TextRules::Rule {
  enum class Kind : uint8_t { Any, Float, Constant };
  using Operand = std::variant<int, double>;  // a tensor, or a number

  struct Line {
    Operator op;                      // empty: the line says `%y = %x`
    std::vector<std::string> fields;  // that the line names
    std::vector<Operand> operands;
    int result = 0;
  };

  std::string name;
  std::vector<Line> before, after;
  std::vector<Kind> kinds;  // one a tensor

  int root() const { return before.back().result; }
  // The line before that gives the tensor; null for tensors of the graph around.
  const Line* definitionOf(int tensor) const;
};

}  // namespace carnot
