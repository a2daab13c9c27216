#include "ops/onnx_node.h"

#include "base/error.h"

namespace carnot {

OnnxNode::Ref OnnxNode::requireInput(size_t i) const {
  if (Ref ref = input(i)) return ref;
  throw Error(ErrorCode::InvalidModel, fmt::format("{} inputs, number {} absent", inputCount(), i),
              fmt::format("input {}", i));
}

std::vector<int64_t> OnnxNode::requireConstantInts(size_t i) const {
  Ref ref = requireInput(i);
  DType dtype = dtypeOf(ref);
  if (!isInteger(dtype) && dtype != DType::Bool)
    throw Error(ErrorCode::InvalidModel, fmt::format("input {} of type {}", i, dtypeName(dtype)),
                "integers");
  if (const Tensor* tensor = constantOf(ref)) return tensor->toInts();
  if (auto contents = contentsOf(ref)) {
    std::vector<int64_t> values;
    for (const Dim& dim : *contents) {
      if (!dim.isConstant())
        unsupported(fmt::format("input {} holds {}, known when shapes are set", i, dim.toString()),
                    "constant integers", "fix the input shapes that it depends on");
      values.push_back(dim.constant());
    }
    return values;
  }
  unsupported(fmt::format("input {} is computed at run time", i), "constant integers");
}

double OnnxNode::requireConstantScalar(size_t i) const {
  Ref ref = requireInput(i);
  if (const Tensor* tensor = constantOf(ref)) {
    if (tensor->count() != 1)
      throw Error(ErrorCode::InvalidModel,
                  fmt::format("input {} of shape {}", i, shapeOf(ref).toString()), "one element");
    return tensor->view().loadDouble(0);
  }
  if (auto contents = contentsOf(ref); contents && contents->size() == 1)
    if (auto value = (*contents)[0].tryConstant()) return static_cast<double>(*value);
  unsupported(fmt::format("input {} is computed at run time", i), "a constant");
}

OnnxNode::Ref OnnxNode::emit(Operator op, std::initializer_list<Ref> inputs) {
  return emit(std::move(op), std::span<const Ref>(inputs.begin(), inputs.size()), 1)[0];
}

void OnnxNode::unsupported(std::string has, std::string needs, std::string remedy) const {
  throw Error(ErrorCode::Unsupported, std::move(has), std::move(needs), std::move(remedy));
}

std::vector<OnnxNode::Ref> OnnxNode::inlineGraph(std::string_view name,
                                                 std::span<const Ref> /*inputs*/) {
  unsupported(fmt::format("a graph in attribute {}", name));
}

}  // namespace carnot
