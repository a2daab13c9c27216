#include <algorithm>
#include <set>

#include "ops/pointwise_binary.h"
#include "passes/match.h"
#include "passes/rules/rule.h"

namespace carnot {

namespace {

using Rule = TextRules::Rule;

bool fieldAgrees(const FieldValue& has, const FieldValue& wanted) {
  const double* a = std::get_if<double>(&has);
  const double* b = std::get_if<double>(&wanted);
  return a && b ? isNear(*a, *b) : has == wanted;
}

// A product or a sum taken apart: its terms that are no numbers, and all its numbers as one.
struct Terms {
  bool product = true;
  std::vector<Value*> tensors;
  double number = 1;
  std::vector<const Node*> nodes;  // that make it up

  // Takes `node` apart one level; false when it is no such operation.
  bool expand(const Node* node) {
    const bool division = product && node->as<Div>() && isFloat(node->outputs[0]->type.dtype);
    if (!(product ? node->op.is<Mul>() : node->op.is<Add>()) && !division) return false;
    for (size_t i = 0; i < 2; ++i) {
      std::optional<double> scalar = scalarOf(node->inputs[i]);
      if (division && i == 1 && !scalar) return false;
      if (!scalar)
        tensors.push_back(node->inputs[i]);
      else if (division && i == 1)
        number /= *scalar;
      else
        number = product ? number * *scalar : number + *scalar;
    }
    nodes.push_back(node);
    return true;
  }
};

class Matcher {
 public:
  Matcher(const Graph& graph, const Rule& rule)
      : graph_(graph), rule_(rule), values_(rule.kinds.size(), nullptr) {}

  bool match(Node* root) {
    return matchAll({{rule_.root(), root->outputs[0]}}) && nothingElseReads(root);
  }
  Value* value(int tensor) const { return values_[tensor]; }

 private:
  struct Goal {
    Rule::Operand pattern;
    Value* value;
  };
  using Goals = std::vector<Goal>;

  // Every goal, taken from the back; undoes its bindings when it fails.
  bool matchAll(Goals goals) {
    if (goals.empty()) return true;
    auto [pattern, value] = goals.back();
    goals.pop_back();
    if (const double* number = std::get_if<double>(&pattern)) {
      std::optional<double> scalar = scalarOf(value);
      return scalar && isNear(*scalar, *number) && matchAll(std::move(goals));
    }
    const int tensor = std::get<int>(pattern);
    if (values_[tensor]) return values_[tensor] == value && matchAll(std::move(goals));
    if (!isKind(rule_.kinds[tensor], value)) return false;
    values_[tensor] = value;
    const Rule::Line* line = rule_.definitionOf(tensor);
    const size_t known = nodes_.size();
    if (line ? matchLine(*line, value, goals) : matchAll(std::move(goals))) return true;
    nodes_.resize(known);
    values_[tensor] = nullptr;
    return false;
  }

  static bool isKind(Rule::Kind kind, const Value* value) {
    if (!value) return false;
    if (kind == Rule::Kind::Float) return isFloat(value->type.dtype);
    return kind != Rule::Kind::Constant || value->isConstant();
  }

  bool matchLine(const Rule::Line& line, Value* value, const Goals& goals) {
    const Node* node = value->producer;
    if (!node || !node->op || node->outputs.size() != 1) return false;
    if (line.op.is<Mul>() || line.op.is<Add>()) {
      Terms terms;
      terms.product = line.op.is<Mul>();
      terms.number = terms.product ? 1 : 0;
      return terms.expand(node) && matchTerms(line, terms, goals);
    }
    if (&node->op.definition() != &line.op.definition() || !fieldsAgree(line, node)) return false;
    if (node->inputs.size() != line.operands.size()) return false;
    nodes_.push_back(node);
    if (matchInOrder(line.operands, node->inputs, goals)) return true;
    if (!node->op.definition().commutative) return false;
    std::vector<Value*> swapped(node->inputs.rbegin(), node->inputs.rend());
    return matchInOrder(line.operands, swapped, goals);
  }

  static bool fieldsAgree(const Rule::Line& line, const Node* node) {
    if (line.fields.empty()) return true;
    const FieldMap has = node->op.fields(), wanted = line.op.fields();
    return std::all_of(line.fields.begin(), line.fields.end(), [&](const std::string& field) {
      return fieldAgrees(has.at(field), wanted.at(field));
    });
  }

  bool matchInOrder(const std::vector<Rule::Operand>& patterns, const std::vector<Value*>& values,
                    Goals goals) {
    for (size_t i = patterns.size(); i-- > 0;) goals.push_back({patterns[i], values[i]});
    return matchAll(std::move(goals));
  }

  // As the terms stand, in any order; then with one more of them taken apart.
  bool matchTerms(const Rule::Line& line, const Terms& terms, const Goals& goals) {
    std::vector<Rule::Operand> patterns;
    double number = terms.product ? 1 : 0;
    for (const Rule::Operand& operand : line.operands) {
      if (const double* literal = std::get_if<double>(&operand))
        number = terms.product ? number * *literal : number + *literal;
      else
        patterns.push_back(operand);
    }
    if (patterns.size() == terms.tensors.size() && isNear(number, terms.number)) {
      const size_t known = nodes_.size();
      nodes_.insert(nodes_.end(), terms.nodes.begin(), terms.nodes.end());
      std::vector<size_t> order(patterns.size());
      for (size_t i = 0; i < order.size(); ++i) order[i] = i;
      do {
        std::vector<Value*> values;
        values.reserve(order.size());
        for (size_t i : order) values.push_back(terms.tensors[i]);
        if (matchInOrder(patterns, values, goals)) return true;
      } while (std::next_permutation(order.begin(), order.end()));
      nodes_.resize(known);
    }
    if (terms.tensors.size() > patterns.size()) return false;
    for (size_t i = 0; i < terms.tensors.size(); ++i) {
      const Value* term = terms.tensors[i];
      if (!term->producer || !term->producer->op || !usedOnce(graph_, term)) continue;
      Terms more = terms;
      more.tensors.erase(more.tensors.begin() + static_cast<std::ptrdiff_t>(i));
      if (more.expand(term->producer) && matchTerms(line, more, goals)) return true;
    }
    return false;
  }

  bool nothingElseReads(const Node* root) const {
    const std::set<const Node*> inside(nodes_.begin(), nodes_.end());
    return std::all_of(inside.begin(), inside.end(), [&](const Node* node) {
      if (node == root) return true;
      const Value* value = node->outputs[0];
      return !graph_.isOutput(value) &&
             std::all_of(value->consumers.begin(), value->consumers.end(),
                         [&](const Node* reader) { return inside.contains(reader); });
    });
  }

  const Graph& graph_;
  const Rule& rule_;
  std::vector<Value*> values_;      // by tensor of the rule
  std::vector<const Node*> nodes_;  // matched so far
};

// Builds what comes after; nullopt when the result would have another type.
std::optional<Patch> rewrite(const Rule& rule, const Matcher& matcher, Node* root) {
  Patch patch(rule.name, root);
  std::vector<Patch::Ref> refs(rule.kinds.size());
  std::vector<TensorType> types(rule.kinds.size());
  for (size_t i = 0; i < refs.size(); ++i)
    if (Value* value = matcher.value(static_cast<int>(i))) {
      refs[i] = value;
      types[i] = value->type;
    }
  Value* replaced = root->outputs[0];
  const TensorType number{replaced->type.dtype, {}};
  for (const Rule::Line& line : rule.after) {
    if (!line.op) {
      const int from = std::get<int>(line.operands[0]);
      refs[line.result] = refs[from];
      types[line.result] = types[from];
      continue;
    }
    std::vector<Patch::Ref> inputs;
    std::vector<InferContext::Input> seen;
    for (const Rule::Operand& operand : line.operands) {
      const int* tensor = std::get_if<int>(&operand);
      inputs.push_back(tensor ? refs[*tensor]
                              : patch.scalar(number.dtype, std::get<double>(operand)));
      seen.push_back({tensor ? &types[*tensor] : &number, nullptr, nullptr});
    }
    std::optional<std::vector<TensorType>> inferred = inferredTypes(line.op, seen);
    if (!inferred) return std::nullopt;
    refs[line.result] = patch.add(line.op, std::move(inputs));
    types[line.result] = inferred->front();
  }
  if (types[rule.root()] != replaced->type) return std::nullopt;
  patch.replace(replaced, refs[rule.root()]);
  return patch;
}

}  // namespace

std::optional<Patch> TextRules::match(const Graph& graph, Node* node) const {
  if (!node->op || node->outputs.size() != 1) return std::nullopt;
  for (const auto& rule : rules_) {
    Matcher matcher(graph, *rule);
    if (!matcher.match(node)) continue;
    if (std::optional<Patch> patch = rewrite(*rule, matcher, node)) return patch;
  }
  return std::nullopt;
}

}  // namespace carnot
