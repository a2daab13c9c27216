// 1 x 1 convolutions channels-last as products: pixels by channels times weights, by cuBLASLt.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "kernels/parameters.h"
#include "ops/conv.h"
#include "ops/mat_mul.h"
#include "ops/pointwise_binary.h"

namespace carnot {

const Kernel& cublasLtMatMul();

namespace {

// A convolution's problem as a product's: inputs of the same numbers, dims [N, pixels..., C].
struct Rewritten {
  Problem problem;
  std::vector<Tensor> constants;  // by input; with the product's dims
};

std::vector<int64_t> channelsLast(std::vector<int64_t> dims) {
  std::rotate(dims.begin() + 1, dims.begin() + 2, dims.end());
  return dims;
}

Shape channelsLast(const Shape& shape) {
  Shape out;
  out.push(shape[0]);
  for (size_t axis = 2; axis < shape.rank(); ++axis) out.push(shape[axis]);
  out.push(shape[1]);
  return out;
}

bool all(const std::vector<int64_t>& values, int64_t wanted) {
  return std::ranges::all_of(values, [&](int64_t value) { return value == wanted; });
}

// The dims that a tensor read behind the convolution has behind the product; nullopt where it
// would have to move.
std::optional<std::vector<int64_t>> vectorDims(const TensorDesc& desc, const Dim& channels,
                                               size_t rank) {
  if (!desc.shape.isStatic()) return std::nullopt;
  const std::vector<int64_t> dims = desc.shape.concrete();
  if (elementCount(dims) == 1) return std::vector<int64_t>{1};
  if (elementCount(dims) != channels.tryConstant() || dims.size() > rank) return std::nullopt;
  if (dims.size() + 1 < rank || dims[dims.size() + 1 - rank] != elementCount(dims))
    return std::nullopt;  // not along the channels
  return std::vector<int64_t>{elementCount(dims)};
}

std::variant<Refusal, Rewritten> rewrite(const Problem& problem) {
  const Region& region = problem.region;
  const Region::Step* anchor = region.anchor();
  const Conv* conv = anchor ? anchor->op.as<Conv>() : nullptr;
  if (!conv) return Refusal{fmt::format("carries out convolutions, not {}", region.label())};
  if (anchor != &region.steps[0]) return Refusal{"computes nothing before the convolution"};
  for (int input : anchor->inputs)
    if (input >= 0 && !region.isInput(input))
      return Refusal{"computes nothing before the convolution"};
  const int x = anchor->inputs[0], w = anchor->inputs[1];
  const TensorDesc& weights = problem.inputs[static_cast<size_t>(w)];
  const size_t rank = problem.inputs[static_cast<size_t>(x)].shape.rank();
  if (!weights.constant || !weights.shape.isStatic()) return Refusal{"takes constant weights"};
  const std::vector<int64_t> filter = weights.shape.concrete();
  if (conv->group != 1 || !all(conv->strides, 1) || !all(conv->pads, 0) ||
      !all({filter.begin() + 2, filter.end()}, 1))
    return Refusal{"is a product for windows of one element in steps of one alone"};
  Rewritten out;
  Problem& product = out.problem;
  product.device = problem.device;
  product.tf32 = problem.tf32;
  out.constants.resize(problem.inputs.size());
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    const TensorDesc& from = problem.inputs[i];
    TensorDesc desc = from;
    const auto input = static_cast<int>(i);
    if (!from.present) return Refusal{"an input is left out"};
    if (input == w) {
      desc.shape = Shape::of(std::array{filter[0], filter[1]});
    } else if (!from.constant && from.shape.rank() == rank) {
      desc.shape = channelsLast(from.shape);
    } else {
      const bool isBias = anchor->inputs.size() > 2 && anchor->inputs[2] == input;
      auto dims = isBias ? std::optional(std::vector<int64_t>{filter[0]})
                         : vectorDims(from, Dim(filter[0]), rank);
      if (!dims) return Refusal{"a tensor behind the convolution is no vector of channels"};
      desc.shape = Shape::of(*dims);
    }
    if (from.constant) {
      // Packed constants are known by their dims alone once they are stored.
      if (!from.constant->empty())
        out.constants[i] = from.constant->reshaped(desc.shape.concrete());
      desc.constant = &out.constants[i];
    }
    product.inputs.push_back(std::move(desc));
  }
  const bool biased = anchor->inputs.size() > 2 && anchor->inputs[2] >= 0;
  const int shift = biased ? 1 : 0;
  product.region.inputCount = region.inputCount;
  const int first = region.inputCount;
  product.region.steps.push_back(
      {Operator::of(MatMul{.transposeA = false, .transposeB = true}), {x, w}, first, 1});
  if (biased)
    product.region.steps.push_back({Operator::of(Add{}), {first, anchor->inputs[2]}, first + 1, 1});
  auto moved = [&](int tensor) { return tensor < first ? tensor : tensor + shift; };
  for (size_t s = 1; s < region.steps.size(); ++s) {
    Region::Step step = region.steps[s];
    if (!step.isPointwise()) return Refusal{"the steps behind are not all pointwise"};
    for (int& input : step.inputs) input = moved(input);
    step.firstOutput = moved(step.firstOutput);
    product.region.steps.push_back(std::move(step));
  }
  for (int output : region.outputs) product.region.outputs.push_back(moved(output));
  for (const TensorDesc& output : problem.outputs) {
    if (output.shape.rank() != rank) return Refusal{"the steps behind change the shape"};
    TensorDesc desc = output;
    desc.shape = channelsLast(output.shape);
    product.outputs.push_back(std::move(desc));
  }
  return out;
}

Configuration outerConfiguration(const Problem& problem, const Configuration& inner) {
  Configuration out{inner.parameters, plainLayouts(problem.inputs.size()),
                    std::vector<Layout>(problem.outputs.size(), Layout::channelsLast())};
  const size_t rank = problem.outputs[0].shape.rank();
  for (size_t i = 0; i < problem.inputs.size(); ++i)
    if (!problem.inputs[i].constant && problem.inputs[i].shape.rank() == rank)
      out.inputs[i] = Layout::channelsLast();
  return out;
}

std::vector<int64_t> turnedDims(const Problem& problem, const Problem& product, size_t input,
                                const std::vector<int64_t>& dims) {
  const bool turns = !problem.inputs[input].constant &&
                     problem.inputs[input].shape.rank() == problem.outputs[0].shape.rank();
  return turns ? channelsLast(dims) : product.inputs[input].shape.concrete();
}

Configuration innerConfiguration(const Problem& problem, const Configuration& outer) {
  return {outer.parameters, plainLayouts(problem.inputs.size()),
          plainLayouts(problem.outputs.size())};
}

class ConvProduct final : public Kernel {
 public:
  ConvProduct(std::string_view name, const Kernel& inner) : name_(name), inner_(inner) {}
  std::string_view name() const override { return name_; }
  uint32_t revision() const override { return inner_.revision(); }

  Support supports(const Problem& problem) const override {
    auto rewritten = rewrite(problem);
    if (auto* refusal = std::get_if<Refusal>(&rewritten)) return std::move(*refusal);
    Support support = inner_.supports(std::get<Rewritten>(rewritten).problem);
    if (std::holds_alternative<Refusal>(support)) return support;
    auto& configurations = std::get<std::vector<Configuration>>(support);
    for (Configuration& one : configurations) {
      if (one.inputs != plainLayouts(one.inputs.size())) return Refusal{"layouts of its own"};
      one = outerConfiguration(problem, one);
    }
    return support;
  }

  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const auto rewritten = rewrite(problem);
    const Problem& product = std::get<Rewritten>(rewritten).problem;
    ConcreteShapes turned = shapes;
    for (size_t i = 0; i < turned.inputs.size(); ++i)
      turned.inputs[i] = turnedDims(problem, product, i, shapes.inputs[i]);
    for (auto& dims : turned.outputs) dims = channelsLast(dims);
    return inner_.estimate(product, innerConfiguration(problem, configuration), turned);
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    auto rewritten = rewrite(problem);
    ensure(std::holds_alternative<Rewritten>(rewritten), "a kernel prepares what it supports");
    const Problem& product = std::get<Rewritten>(rewritten).problem;
    Prepared prepared = inner_.prepare(product, innerConfiguration(problem, configuration));
    // The convolution's problem, its length, then what the product keeps.
    std::vector<std::byte> both = encodeProblem(problem, configuration);
    const auto length = static_cast<uint64_t>(both.size());
    const auto* raw = reinterpret_cast<const std::byte*>(&length);
    both.insert(both.begin(), raw, raw + sizeof length);
    both.insert(both.end(), prepared.parameters.begin(), prepared.parameters.end());
    prepared.parameters = std::move(both);
    return prepared;
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<Bound>(inner_, arguments);
  }

 private:
  class Bound final : public BoundKernel {
   public:
    Bound(const Kernel& inner, const BindArguments& arguments) {
      uint64_t length = 0;
      const std::span<const std::byte> bytes = arguments.parameters;
      if (bytes.size() < sizeof length) throwBadParameters("the bytes end early");
      std::memcpy(&length, bytes.data(), sizeof length);
      if (length > bytes.size() - sizeof length) throwBadParameters("the bytes end early");
      stored_ = decodeProblem(bytes.subspan(sizeof length, length), arguments.device);
      auto rewritten = rewrite(stored_.problem);
      if (auto* refusal = std::get_if<Refusal>(&rewritten)) throwBadParameters(refusal->reason);
      const Problem& product = std::get<Rewritten>(rewritten).problem;
      const Configuration plain = innerConfiguration(stored_.problem, stored_.configuration);
      const Configuration outer = outerConfiguration(stored_.problem, plain);
      if (outer.inputs != stored_.configuration.inputs ||
          outer.outputs != stored_.configuration.outputs)
        throwBadParameters("the layouts are not the product's");
      BindArguments kept = arguments;
      kept.parameters = bytes.subspan(sizeof length + length);
      // What the product keeps is of this very convolution.
      const StoredProblem has = decodeProblem(kept.parameters, arguments.device);
      bool same = has.problem.region == product.region &&
                  has.problem.inputs.size() == product.inputs.size() &&
                  has.configuration.parameters == plain.parameters;
      for (size_t i = 0; same && i < product.inputs.size(); ++i)
        same = has.problem.inputs[i].dtype == product.inputs[i].dtype &&
               has.problem.inputs[i].shape == product.inputs[i].shape;
      if (!same) throwBadParameters("the product is not the convolution's");
      bound_ = inner.bind(kept);
      product_ = product;
      for (TensorDesc& input : product_.inputs) input.constant = nullptr;
      for (int input : presentInputs(stored_.problem))
        if (arguments.weights.empty() || input != product.region.steps[0].inputs[1])
          inputs_.push_back(input);
    }

    std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
      concreteTypes(stored_, inputs_, shapes);
      ConcreteShapes turned{{}, {}, shapes.symbols};
      for (size_t i = 0; i < inputs_.size(); ++i)
        turned.inputs.push_back(turnedDims(stored_.problem, product_,
                                           static_cast<size_t>(inputs_[i]), shapes.inputs[i]));
      for (const auto& dims : shapes.outputs) turned.outputs.push_back(channelsLast(dims));
      return bound_->specialize(turned);
    }

   private:
    StoredProblem stored_;
    Problem product_;
    std::unique_ptr<BoundKernel> bound_;
    std::vector<int> inputs_;
  };

  std::string_view name_;
  const Kernel& inner_;
};

}  // namespace

const Kernel& cublasLtConvProduct() {
  static const ConvProduct kernel("cublaslt/conv", cublasLtMatMul());
  return kernel;
}

}  // namespace carnot
