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
  row.fieldsOf = [](const void* attributes) { return carnot::fieldsOf(*static_cast<const T*>(attributes)); };
  row.infer = [](const Operator& op, InferContext& context) { infer(*op.as<T>(), context); };
  row.reference = [](const Operator& op, const ReferenceContext& context) {
    reference(*op.as<T>(), context);
  };
  row.cost = [](const Operator& op, const CostContext& context) { return cost(*op.as<T>(), context); };
  row.onnx = std::move(onnx);
  return row;
}

// What the output of a pointwise operator holds.
enum class ResultType : uint8_t { SameAsFirst, SameAsSecond, Bool };

void inferPointwise(ResultType result, InferContext& context);
void referencePointwise(const Operator& op, const ReferenceContext& context);
Cost costPointwise(const Operator& op, const CostContext& context);
// One ONNX node to one operator of the same inputs, attributes read by field name.
void importByFields(const OpDef& row, OnnxNode& node);

// Builds the row of pointwise operator T from one free function next to it:
//   ScalarValue expression(const T&, ScalarBuilder&, std::span<const ScalarValue> inputs);
// The ONNX node type of the same name maps to it with attributes of the same names, unless `onnx`
// says otherwise.
template <typename T, ResultType Result = ResultType::SameAsFirst>
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
  row.fieldsOf = [](const void* attributes) { return carnot::fieldsOf(*static_cast<const T*>(attributes)); };
  row.infer = [](const Operator&, InferContext& context) { inferPointwise(Result, context); };
  row.reference = referencePointwise;
  row.cost = costPointwise;
  row.expression = [](const Operator& op, ScalarBuilder& builder, std::span<const ScalarValue> in) {
    return expression(*op.as<T>(), builder, in);
  };
  if (onnx.empty())
    onnx.push_back({"", name, sinceOpset, 0,
                    [](OnnxNode& node) { importByFields(definitionOf<T>(), node); }});
  row.onnx = std::move(onnx);
  return row;
}

}  // namespace carnot
