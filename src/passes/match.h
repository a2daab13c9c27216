#pragma once

#include <optional>
#include <vector>

#include "ir/graph.h"

namespace carnot {

// What the passes' matchers ask of a graph.

// The one element of a constant of any rank.
std::optional<double> scalarOf(const Value* value);
// The value that all elements of a constant share, expanded or not; looks at small ones only.
std::optional<double> uniformOf(const Value* value);
bool isNear(double a, double b);  // within 1e-4 of the larger: literals are often cut short

// Read at one place in all, graph outputs counted.
bool usedOnce(const Graph& graph, const Value* value);

// The node that makes the value when its operator is a T, else null.
template <typename T>
Node* producerAs(const Value* value) {
  return value && value->producer && value->producer->as<T>() ? value->producer : nullptr;
}
// The same when nothing else reads the value.
template <typename T>
Node* ownProducerAs(const Graph& graph, const Value* value) {
  return usedOnce(graph, value) ? producerAs<T>(value) : nullptr;
}

// For a node of two operands, one a constant: the other operand, and the constant.
struct WithConstant {
  Value* operand = nullptr;
  Value* constant = nullptr;
  explicit operator bool() const { return operand != nullptr; }
};
WithConstant withConstant(const Node* node);

// What inference gives for the operator on these tensors; nullopt when it refuses them, or needs
// more than they have.
std::optional<std::vector<TensorType>> inferredTypes(const Operator& op,
                                                     std::span<const InferContext::Input> inputs,
                                                     size_t outputs = 1);
// True when the operator on these tensors gives exactly the type of `value`.
bool givesType(const Operator& op, const std::vector<Value*>& inputs, const Value* value);

bool isPointwise(const Node* node);

}  // namespace carnot
