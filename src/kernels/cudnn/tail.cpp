#include "kernels/cudnn/tail.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"

namespace carnot::cuda {
namespace {

std::optional<cudnnPointwiseMode_t> modeOf(ScalarOp op) {
  switch (op) {
    case ScalarOp::Add:
      return CUDNN_POINTWISE_ADD;
    case ScalarOp::Sub:
      return CUDNN_POINTWISE_SUB;
    case ScalarOp::Mul:
      return CUDNN_POINTWISE_MUL;
    case ScalarOp::Div:
      return CUDNN_POINTWISE_DIV;
    case ScalarOp::Min:
      return CUDNN_POINTWISE_MIN;
    case ScalarOp::Max:
      return CUDNN_POINTWISE_MAX;
    case ScalarOp::Neg:
      return CUDNN_POINTWISE_NEG;
    case ScalarOp::Abs:
      return CUDNN_POINTWISE_ABS;
    case ScalarOp::Sqrt:
      return CUDNN_POINTWISE_SQRT;
    case ScalarOp::Reciprocal:
      return CUDNN_POINTWISE_RECIPROCAL;
    case ScalarOp::Exp:
      return CUDNN_POINTWISE_EXP;
    case ScalarOp::Log:
      return CUDNN_POINTWISE_LOG;
    case ScalarOp::Erf:
      return CUDNN_POINTWISE_ERF;
    case ScalarOp::Tanh:
      return CUDNN_POINTWISE_TANH_FWD;
    case ScalarOp::Sigmoid:
      return CUDNN_POINTWISE_SIGMOID_FWD;
    default:
      return std::nullopt;
  }
}

bool isHalfOrFloat(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

std::optional<double> constantOf(const ScalarProgram& program, uint16_t node) {
  const ScalarNode& at = program.nodes[node];
  const auto* value = std::get_if<double>(&at.value);
  if (at.op != ScalarOp::Constant || !value) return std::nullopt;
  return *value;
}

// A Max or Min of one value and a constant.
struct Bound {
  uint16_t of;
  double at;
};
std::optional<Bound> boundOf(const ScalarProgram& program, uint16_t node, ScalarOp op) {
  const ScalarNode& at = program.nodes[node];
  if (at.op != op) return std::nullopt;
  for (int side : {0, 1})
    if (auto value = constantOf(program, at.args[side])) return Bound{at.args[1 - side], *value};
  return std::nullopt;
}

// x < 0 ? slope * x : x.
struct Leak {
  uint16_t of;
  double slope;
};
std::optional<Leak> leakOf(const ScalarProgram& program, uint16_t node) {
  const ScalarNode& select = program.nodes[node];
  if (select.op != ScalarOp::Select) return std::nullopt;
  const ScalarNode &less = program.nodes[select.args[0]], &below = program.nodes[select.args[1]];
  const uint16_t x = select.args[2];
  if (less.op != ScalarOp::Less || less.args[0] != x || constantOf(program, less.args[1]) != 0.0)
    return std::nullopt;
  if (below.op != ScalarOp::Mul) return std::nullopt;
  for (int side : {0, 1})
    if (auto slope = constantOf(program, below.args[side]); slope && below.args[1 - side] == x)
      return Leak{x, *slope};
  return std::nullopt;
}

class Tail {
 public:
  Tail(CudnnGraph& graph, const ScalarProgram& program, std::span<const int> inputs, int result)
      : graph_(graph),
        program_(program),
        inputs_(inputs),
        result_(result),
        tensors_(program.nodes.size(), -1) {}

  void add() { write(program_.outputs[0]); }

 private:
  // The tensor of a node's value; the last one is the result.
  int write(uint16_t node) {
    if (tensors_[node] < 0) tensors_[node] = make(node);
    return tensors_[node];
  }

  int target(uint16_t node) {
    if (node == program_.outputs[0]) return result_;
    const CudnnGraph::Tensor shape = graph_.tensors()[static_cast<size_t>(result_)];
    return graph_.passed(shape.dims, shape.strides);
  }

  int step(uint16_t node, cudnnPointwiseMode_t mode, int a, int b = -1,
           CudnnGraph::Bounds bounds = {}) {
    const int to = target(node);
    graph_.pointwise(mode, to, a, b, -1, bounds);
    return to;
  }

  int make(uint16_t node) {
    const ScalarNode& at = program_.nodes[node];
    const size_t rank = graph_.tensors()[static_cast<size_t>(result_)].dims.size();
    if (at.op == ScalarOp::Input) return inputs_[at.index];
    if (at.op == ScalarOp::Constant)
      return graph_.value(static_cast<float>(std::get<double>(at.value)), rank);
    if (at.op == ScalarOp::Cast) {
      if (node != program_.outputs[0]) return write(at.args[0]);
      return step(node, CUDNN_POINTWISE_IDENTITY, write(at.args[0]));
    }
    if (auto leak = leakOf(program_, node))
      return step(node, CUDNN_POINTWISE_RELU_FWD, write(leak->of), -1, {.lowerSlope = leak->slope});
    if (auto upper = boundOf(program_, node, ScalarOp::Min)) {
      if (auto lower = boundOf(program_, upper->of, ScalarOp::Max))
        return step(node, CUDNN_POINTWISE_RELU_FWD, write(lower->of), -1,
                    {.lowerClip = lower->at, .upperClip = upper->at});
    }
    if (auto lower = boundOf(program_, node, ScalarOp::Max); lower && lower->at == 0)
      return step(node, CUDNN_POINTWISE_RELU_FWD, write(lower->of));
    if (at.op == ScalarOp::Fma) {
      const CudnnGraph::Tensor shape = graph_.tensors()[static_cast<size_t>(result_)];
      auto [a, b] = flowFirst(at.args[0], at.args[1]);
      const int product = graph_.passed(shape.dims, shape.strides);
      graph_.pointwise(CUDNN_POINTWISE_MUL, product, a, b);
      return step(node, CUDNN_POINTWISE_ADD, product, write(at.args[2]));
    }
    const cudnnPointwiseMode_t mode = *modeOf(at.op);
    if (scalarArity(at.op) == 1) return step(node, mode, write(at.args[0]));
    if (at.op == ScalarOp::Sub || at.op == ScalarOp::Div)
      return step(node, mode, write(at.args[0]), write(at.args[1]));
    auto [a, b] = flowFirst(at.args[0], at.args[1]);
    return step(node, mode, a, b);
  }

  // What the graph computes comes first where the order does not matter.
  std::pair<int, int> flowFirst(uint16_t left, uint16_t right) {
    const int a = write(left), b = write(right);
    const auto kind = graph_.tensors()[static_cast<size_t>(a)].kind;
    return kind == CudnnGraph::Tensor::Kind::Virtual ? std::pair(a, b) : std::pair(b, a);
  }

  CudnnGraph& graph_;
  const ScalarProgram& program_;
  std::span<const int> inputs_;
  int result_;
  std::vector<int> tensors_;
};

}  // namespace

std::string refuseTail(const ScalarProgram& program) {
  if (program.outputs.size() != 1) return "gives one tensor";
  std::vector<bool> folded(program.nodes.size());  // into a leaky ReLU
  for (size_t i = program.nodes.size(); i-- > 0;) {
    const auto node = static_cast<uint16_t>(i);
    if (leakOf(program, node)) {
      folded[program.nodes[i].args[0]] = folded[program.nodes[i].args[1]] = true;
      folded[i] = true;
    }
  }
  for (size_t i = 0; i < program.nodes.size(); ++i) {
    const ScalarNode& node = program.nodes[i];
    if (folded[i]) continue;
    if (!isHalfOrFloat(node.dtype))
      return fmt::format("cuDNN computes in float32, not {}", dtypeName(node.dtype));
    const bool known = node.op == ScalarOp::Input || node.op == ScalarOp::Constant ||
                       node.op == ScalarOp::Cast || node.op == ScalarOp::Fma || modeOf(node.op);
    if (!known) return fmt::format("cuDNN has no {}", scalarOpName(node.op));
    if (node.op == ScalarOp::Constant && !std::holds_alternative<double>(node.value))
      return "a constant that is no float";
  }
  return {};
}

void addTail(CudnnGraph& graph, const ScalarProgram& program, std::span<const int> inputs,
             int result) {
  Tail(graph, program, inputs, result).add();
}

}  // namespace carnot::cuda
