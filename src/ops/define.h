#pragma once

#include "ops/operator.h"

namespace carnot {

// Builds the row of operator T from free functions next to it:
//   void infer(const T&, InferContext&);
//   void reference(const T&, const ReferenceContext&);
//   Cost cost(const T&, const CostContext&);
template <typename T>
OpDef defineOperator(std::string_view name, Access access, std::vector<OnnxMapping> onnx) {
  OpDef row;
  row.name = name;
  row.access = access;
  row.make = [](const FieldMap& fields) {
    T attributes{};
    setFields(attributes, fields);
    return Operator::of(std::move(attributes));
  };
  row.fieldsOf = [](const void* attributes) {
    return carnot::fieldsOf(*static_cast<const T*>(attributes));
  };
  row.infer = [](const Operator& op, InferContext& context) { infer(*op.as<T>(), context); };
  row.reference = [](const Operator& op, const ReferenceContext& context) {
    reference(*op.as<T>(), context);
  };
  row.cost = [](const Operator& op, const CostContext& context) {
    return cost(*op.as<T>(), context);
  };
  row.onnx = std::move(onnx);
  return row;
}

// Shape by broadcasting, type and small integer contents by the operator's expression.
void inferPointwise(const Operator& op, InferContext& context);
void referencePointwise(const Operator& op, const ReferenceContext& context);
Cost costPointwise(const Operator& op, const CostContext& context);
// One ONNX node to one operator of the same inputs, attributes read by field name.
void importByFields(const OpDef& row, OnnxNode& node);
// Throws Error (InvalidModel) when a pointwise operator has another number of inputs.
void requireInputCount(size_t has, size_t needs);

// Builds the row of pointwise operator T of so many inputs from one free function next to it:
//   ScalarValue expression(const T&, ScalarBuilder&, std::span<const ScalarValue> inputs);
// The ONNX node type of the same name maps to it with attributes of the same names, unless `onnx`
// says otherwise.
template <typename T, size_t Inputs>
OpDef definePointwise(std::string_view name, int sinceOpset = 1,
                      std::vector<OnnxMapping> onnx = {}) {
  OpDef row;
  row.name = name;
  row.access = Access::Pointwise;
  row.make = [](const FieldMap& fields) {
    T attributes{};
    setFields(attributes, fields);
    return Operator::of(std::move(attributes));
  };
  row.fieldsOf = [](const void* attributes) {
    return carnot::fieldsOf(*static_cast<const T*>(attributes));
  };
  row.infer = inferPointwise;
  row.reference = referencePointwise;
  row.cost = costPointwise;
  row.expression = [](const Operator& op, ScalarBuilder& builder, std::span<const ScalarValue> in) {
    requireInputCount(in.size(), Inputs);
    return expression(*op.as<T>(), builder, in);
  };
  if (onnx.empty())
    onnx.push_back(
        {"", name, sinceOpset, 0, [](OnnxNode& node) { importByFields(definitionOf<T>(), node); }});
  row.onnx = std::move(onnx);
  return row;
}

}  // namespace carnot
