// Convolutions, also transposed, with bias, residual and activation as one graph of cuDNN's.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "codegen/cuda/scalar_source.h"
#include "kernels/cuda/tf32.h"
#include "kernels/cudnn/finish.h"
#include "kernels/cudnn/pad.h"
#include "kernels/cudnn/tail.h"
#include "kernels/parameters.h"
#include "ops/conv.h"
#include "ops/conv_transpose.h"

namespace carnot {
namespace {

using cuda::CudnnGraph;
using cuda::CudnnPlan;
using cuda::CudnnPlans;

constexpr int64_t kChoices = 8;      // of cuDNN's proposals, the best first
constexpr size_t kAlignment = 256;   // of cuDNN's workspace
constexpr int64_t kSampleSize = 64;  // of dims that are not known when a kernel is asked

struct ConvProblem {
  bool transposed = false;
  int x = 0, w = 0, bias = -1;  // inputs of the region
  int64_t group = 1;
  CudnnGraph::Window window;
  size_t rank = 4;
  DType dtype = DType::F32;
  ScalarProgram tail;         // empty where the result is the convolution's
  std::vector<int> operands;  // inputs of the region behind the tail's Input 0

  bool hasTail() const { return bias >= 0 || !tail.outputs.empty(); }
  bool asymmetric() const { return window.padsBegin != window.padsEnd; }
};

// How the tensors of one configuration lie.
struct Form {
  Layout layout;        // of the result and of what is added to it
  bool padded = false;  // x is copied first: channels filled up, pads around it
  Layout x;
  bool split = false;  // what is behind the convolution is a kernel of its own
  // Of steps by two: the copy makes channels of each 2 x 2 pixels, for a window half as wide in
  // steps of one. Few channels fill tensor cores so.
  bool folded = false;
};

template <typename Op>
void setWindow(ConvProblem& conv, const Op& op) {
  const size_t axes = op.strides.size();
  conv.window = {op.strides,
                 op.dilations,
                 {op.pads.begin(), op.pads.begin() + static_cast<ptrdiff_t>(axes)},
                 {op.pads.begin() + static_cast<ptrdiff_t>(axes), op.pads.end()}};
  conv.group = op.group;
}

std::variant<Refusal, ConvProblem> analyze(const Problem& problem) {
  const Region& region = problem.region;
  const Region::Step* anchor = region.anchor();
  ConvProblem conv;
  const Conv* forward = anchor ? anchor->op.as<Conv>() : nullptr;
  const ConvTranspose* transposed = anchor ? anchor->op.as<ConvTranspose>() : nullptr;
  if (!forward && !transposed)
    return Refusal{fmt::format("carries out convolutions, not {}", region.label())};
  for (int input : anchor->inputs)
    if (input >= 0 && !region.isInput(input))
      return Refusal{"computes nothing before the convolution"};
  conv.transposed = transposed != nullptr;
  if (forward)
    setWindow(conv, *forward);
  else
    setWindow(conv, *transposed);
  conv.x = anchor->inputs[0];
  conv.w = anchor->inputs[1];
  if (anchor->inputs.size() > 2 && anchor->inputs[2] >= 0 &&
      problem.inputs[static_cast<size_t>(anchor->inputs[2])].present)
    conv.bias = anchor->inputs[2];
  const TensorDesc& x = problem.inputs[static_cast<size_t>(conv.x)];
  const TensorDesc& w = problem.inputs[static_cast<size_t>(conv.w)];
  conv.dtype = x.dtype;
  conv.rank = x.shape.rank();
  if (x.dtype != DType::F32 && x.dtype != DType::F16 && x.dtype != DType::BF16)
    return Refusal{fmt::format("convolves float32, float16, bfloat16, not {}", dtypeName(x.dtype))};
  if (conv.rank < 3 || conv.rank > 5)
    return Refusal{fmt::format("convolves tensors of rank 3 to 5, not {}", conv.rank)};
  if (!w.constant || !w.shape.isStatic()) return Refusal{"packs constant weights"};
  for (int64_t dim : w.shape.concrete())
    if (dim <= 0) return Refusal{"weights without elements"};
  if (!x.shape[1].isConstant()) return Refusal{"needs to know the channels"};
  if (std::ranges::any_of(conv.window.padsBegin, [](int64_t pad) { return pad < 0; }) ||
      std::ranges::any_of(conv.window.padsEnd, [](int64_t pad) { return pad < 0; }))
    return Refusal{"pads are negative"};
  if (conv.bias >= 0 && !problem.inputs[static_cast<size_t>(conv.bias)].constant)
    return Refusal{"packs a constant bias"};
  const std::vector<TensorType> types = problem.tensorTypes();
  const int from = anchor->firstOutput;
  const Shape& shape = types[static_cast<size_t>(from)].shape;
  if (region.outputs.size() != 1) return Refusal{"gives one tensor"};
  const TensorType& result = types[static_cast<size_t>(region.outputs[0])];
  if (result.shape != shape || result.dtype != conv.dtype)
    return Refusal{"the steps behind change the shape or the type"};
  if (region.outputs[0] == from) return conv;
  auto tail = pointwiseTail(region, from, types);
  if (!tail || tail->program.outputs.size() != 1)
    return Refusal{"the steps behind are not all pointwise"};
  if (std::string why = cuda::refuseTail(tail->program); !why.empty()) return Refusal{why};
  if (tail->program.nodes[tail->program.outputs[0]].op == ScalarOp::Input)
    return Refusal{"the steps behind do nothing"};
  for (int operand : tail->operands) {
    if (!region.isInput(operand)) return Refusal{"computes nothing beside the convolution"};
    const TensorDesc& desc = problem.inputs[static_cast<size_t>(operand)];
    if (desc.dtype != DType::F32 && desc.dtype != DType::F16 && desc.dtype != DType::BF16)
      return Refusal{fmt::format("adds no {}", dtypeName(desc.dtype))};
    if (desc.shape.rank() > conv.rank) return Refusal{"an operand of higher rank"};
  }
  conv.tail = std::move(tail->program);
  conv.operands = std::move(tail->operands);
  return conv;
}

// One axis of a folded window: zeros in front of its taps make the pads even.
struct FoldedAxis {
  int64_t front = 0, taps = 0;
};
FoldedAxis foldedAxis(const Problem& problem, const ConvProblem& conv, size_t axis) {
  const Shape& w = problem.inputs[static_cast<size_t>(conv.w)].shape;
  const int64_t front = conv.window.padsBegin[axis] % 2;
  return {front, (w[2 + axis].tryConstant().value() + front + 1) / 2};
}

// Elements of one 16-byte access.
int64_t packOf(DType dtype) { return 128 / dtypeBits(dtype); }

int64_t channelsIn(const Problem& problem, const ConvProblem& conv, const Form& form) {
  const int64_t channels =
      problem.inputs[static_cast<size_t>(conv.x)].shape[1].tryConstant().value();
  const int64_t pack = packOf(conv.dtype);
  const int64_t used = form.folded ? 4 * channels : channels;
  return form.padded && conv.group == 1 ? (used + pack - 1) / pack * pack : used;
}

// Dims and strides as cuDNN wants them: at least two spatial axes.
struct Placed {
  std::vector<int64_t> dims, strides;
};
Placed placed(Layout layout, std::vector<int64_t> dims, size_t rank) {
  while (dims.size() < rank) dims.insert(dims.begin(), 1);
  if (dims.size() == 3) dims.insert(dims.begin() + 2, 1);
  Placed out{dims, std::vector<int64_t>(dims.size())};
  int64_t stride = 1;
  if (!layout.isPlain()) {
    out.strides[1] = 1;
    stride = dims[1];
  }
  for (size_t axis = dims.size(); axis-- > 0;) {
    if (axis == 1 && !layout.isPlain()) continue;
    out.strides[axis] = stride;
    stride *= dims[axis];
  }
  return out;
}

bool liesAs(const ConvProblem& conv, const TensorDesc& desc) {
  return !desc.constant && desc.shape.rank() == conv.rank;
}

// How float32 is multiplied.
enum class Products : uint8_t {
  Full,
  Tf32,    // cuDNN rounds what it reads
  OfTf32,  // what it reads is rounded already
};

Products productsOf(const Problem& problem, const ConvProblem& conv, const Form& form) {
  if (!problem.tf32 || conv.dtype != DType::F32) return Products::Full;
  // A copy of x is rounded on the way, weights where they are packed.
  return form.padded ? Products::OfTf32 : Products::Tf32;
}

// Tensors in memory in the order of addresses: x, weights, bias, operands, result.
CudnnGraph graphOf(const Problem& problem, const ConvProblem& conv, const Form& form,
                   Products products, std::vector<int64_t> x, const std::vector<int64_t>& result,
                   std::span<const std::vector<int64_t>> operands) {
  CudnnGraph graph;
  const int bytes = dtypeBits(conv.dtype) / 8;
  // A plain tensor may be an application's, which starts anywhere.
  auto alignment = [&](Layout layout) { return layout.isPlain() ? bytes : 16; };
  CudnnGraph::Window window = conv.window;
  x[1] = channelsIn(problem, conv, form);
  std::vector<int64_t> filter = problem.inputs[static_cast<size_t>(conv.w)].shape.concrete();
  if (form.folded) {
    for (size_t axis = 0; axis + 2 < conv.rank; ++axis) {
      filter[2 + axis] = foldedAxis(problem, conv, axis).taps;
      x[2 + axis] = result[2 + axis] + filter[2 + axis] - 1;
      window.strides[axis] = 1;
      window.padsBegin[axis] = window.padsEnd[axis] = 0;
    }
  } else if (form.padded) {
    for (size_t axis = 0; axis + 2 < conv.rank; ++axis) {
      x[2 + axis] += window.padsBegin[axis] + window.padsEnd[axis];
      window.padsBegin[axis] = window.padsEnd[axis] = 0;
    }
  }
  if (conv.rank == 3)
    for (auto* values : {&window.strides, &window.dilations, &window.padsBegin, &window.padsEnd})
      values->insert(values->begin(),
                     values == &window.strides || values == &window.dilations ? 1 : 0);
  auto add = [&](const Placed& at, DType dtype, int aligned) {
    return graph.memory(dtype, at.dims, at.strides, aligned);
  };
  const int from =
      add(placed(form.layout, x, conv.rank), conv.dtype, form.padded ? 16 : alignment(form.layout));
  if (!conv.transposed && conv.group == 1) filter[1] = x[1];
  const int weights = add(placed(form.layout, filter, conv.rank), conv.dtype, 16);
  const Placed to = placed(form.layout, result, conv.rank);
  int bias = -1;
  if (conv.bias >= 0 && !form.split) {
    std::vector<int64_t> dims(conv.rank, 1);
    dims[1] = result[1];
    bias = add(placed(Layout::channelsLast(), dims, conv.rank),
               problem.inputs[static_cast<size_t>(conv.bias)].dtype, 16);
  }
  std::vector<int> inputs(1);
  for (size_t i = 0; i < operands.size() && !form.split; ++i) {
    const TensorDesc& desc = problem.inputs[static_cast<size_t>(conv.operands[i])];
    const bool follows = liesAs(conv, desc);
    const Layout layout = follows ? form.layout : Layout::plain();
    inputs.push_back(add(placed(layout, operands[i], conv.rank), desc.dtype,
                         follows ? alignment(layout) : dtypeBits(desc.dtype) / 8));
  }
  const int last = add(to, conv.dtype, alignment(form.layout));
  const bool plain = conv.tail.outputs.empty() || form.split;
  auto passed = [&] { return graph.passed(to.dims, to.strides); };
  const int summed = bias < 0 && plain ? last : passed();
  if (conv.transposed)
    graph.convolutionData(from, weights, summed, window);
  else
    graph.convolution(from, weights, summed, window);
  inputs[0] = summed;
  if (bias >= 0) {
    inputs[0] = plain ? last : passed();
    graph.pointwise(CUDNN_POINTWISE_ADD, inputs[0], summed, bias);
  }
  if (!plain) cuda::addTail(graph, conv.tail, inputs, last);
  if (products != Products::Full) graph.allowTf32(products == Products::OfTf32);
  return graph;
}

Form formOf(const Configuration& configuration, const ConvProblem& conv) {
  return {configuration.outputs[0], parameter(configuration, "padded", 0, 1) == 1,
          configuration.inputs[static_cast<size_t>(conv.x)],
          parameter(configuration, "split", 0, 1) == 1,
          parameter(configuration, "folded", 0, 1) == 1};
}

Configuration configurationOf(const Problem& problem, const ConvProblem& conv, const Form& form,
                              int64_t choice) {
  Configuration out{{{"choice", choice},
                     {"padded", int64_t{form.padded}},
                     {"split", int64_t{form.split}},
                     {"folded", int64_t{form.folded}}},
                    plainLayouts(problem.inputs.size()),
                    {form.layout}};
  for (int operand : conv.operands)
    if (liesAs(conv, problem.inputs[static_cast<size_t>(operand)]))
      out.inputs[static_cast<size_t>(operand)] = form.layout;
  out.inputs[static_cast<size_t>(conv.x)] = form.x;
  return out;
}

// What the split form does behind the convolution: the bias first where there is one.
cuda::ProductTail splitTail(const Problem& problem, const ConvProblem& conv) {
  cuda::ProductTail tail{.program = {}, .operands = {}, .product = conv.dtype, .out = conv.dtype};
  ScalarBuilder builder;
  ScalarValue value = builder.input(0, conv.dtype);
  std::vector<ScalarValue> inputs;
  auto addOperand = [&](int input, bool along) {
    const DType dtype = problem.inputs[static_cast<size_t>(input)].dtype;
    tail.operands.push_back({dtype, along});
    return builder.input(static_cast<int>(tail.operands.size()), dtype);
  };
  if (conv.bias >= 0) {
    ScalarValue bias = addOperand(conv.bias, true);
    value = value + (bias.dtype() == conv.dtype ? bias : builder.cast(bias, conv.dtype));
  }
  inputs.push_back(value);
  for (int operand : conv.operands) {
    const Shape& shape = problem.inputs[static_cast<size_t>(operand)].shape;
    const bool along =
        shape.rank() + 1 >= conv.rank && shape[shape.rank() + 1 - conv.rank].tryConstant() != 1;
    inputs.push_back(addOperand(operand, along));
  }
  const std::vector<ScalarValue> outputs =
      conv.tail.outputs.empty() ? std::vector{value} : builder.inlined(conv.tail, inputs);
  tail.program = std::move(builder).finish(outputs);
  return tail;
}

bool maySplit(const Problem& problem, const ConvProblem& conv) {
  const Shape& result = problem.outputs[0].shape;
  for (int operand : conv.operands) {
    const Shape& shape = problem.inputs[static_cast<size_t>(operand)].shape;
    size_t ones = 0, same = 0, axes = 0;
    for (size_t axis = 0; axis < shape.rank(); ++axis) {
      const size_t at = axis + conv.rank - shape.rank();
      if (at < 2) continue;
      ++axes;
      ones += shape[axis].tryConstant() == 1;
      same += shape[axis] == result[at];
    }
    if (ones != axes && (same != conv.rank - 2 || shape.rank() != conv.rank)) return false;
  }
  return conv.hasTail() && conv.operands.size() < cuda::ProductTail::kMostOperands &&
         !cuda::refuseScalars(splitTail(problem, conv).program);
}

// Full products with something added behind get a general kernel of cuDNN's, which takes thirty
// times as long as the convolution alone.
bool isSlowInOne(const Problem& problem, const ConvProblem& conv) {
  return conv.dtype == DType::F32 && !problem.tf32 && !conv.operands.empty();
}

// The ways in which tensors may lie; whether cuDNN takes them is another question.
std::vector<Form> formsOf(const Problem& problem, const ConvProblem& conv) {
  const bool addsX = std::ranges::find(conv.operands, conv.x) != conv.operands.end();
  const Layout last = Layout::channelsLast();
  const int64_t channels =
      problem.inputs[static_cast<size_t>(conv.x)].shape[1].tryConstant().value();
  const bool uneven = channels % packOf(conv.dtype) != 0;
  std::vector<Form> forms;
  const bool mayPad = !conv.transposed && conv.rank == 4 && (conv.group == 1 || !uneven);
  const bool byTwo = conv.window.strides == std::vector<int64_t>{2, 2} &&
                     conv.window.dilations == std::vector<int64_t>{1, 1};
  if (mayPad && byTwo && conv.group == 1 && channels <= 4 && !addsX)
    forms.push_back({last, true, Layout::plain(), false, true});
  if (mayPad && (uneven || conv.asymmetric())) {
    if (!addsX) forms.push_back({last, true, Layout::plain()});
    forms.push_back({last, true, last});
  }
  forms.push_back({last, false, last});
  if (maySplit(problem, conv))
    for (size_t i = 0, count = forms.size(); i < count; ++i) {
      forms.push_back(forms[i]);
      forms.back().split = true;
    }
  if (conv.dtype == DType::F32) forms.push_back({Layout::plain(), false, Layout::plain()});
  return forms;
}

std::vector<std::vector<int64_t>> operandDims(const ConvProblem& conv,
                                              const std::vector<TensorType>& types) {
  std::vector<std::vector<int64_t>> dims;
  for (int operand : conv.operands)
    dims.push_back(types[static_cast<size_t>(operand)].shape.concrete());
  return dims;
}

size_t roundUp(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// The weights in the form's order, channels filled up with zeros; where they may round, rounded.
Tensor packedWeights(const Problem& problem, const ConvProblem& conv, const Form& form) {
  const Tensor& from = *problem.inputs[static_cast<size_t>(conv.w)].constant;
  const std::vector<int64_t>& dims = from.dims();
  const int64_t real = dims[1];
  const int64_t channels =
      !conv.transposed && conv.group == 1 ? channelsIn(problem, conv, form) : real;
  const size_t axes = conv.rank - 2;
  std::vector<int64_t> window(dims.begin() + 2, dims.end()), front(axes, 0);
  for (size_t axis = 0; form.folded && axis < axes; ++axis) {
    const FoldedAxis folded = foldedAxis(problem, conv, axis);
    window[axis] = folded.taps;
    front[axis] = folded.front;
  }
  const int64_t taps = from.count() / (dims[0] * real), toTaps = elementCount(window);
  Tensor packed(conv.dtype, {dims[0], channels, toTaps});
  std::memset(packed.as<char>(), 0, packed.bytes());
  const auto bytes = static_cast<size_t>(dtypeBits(conv.dtype) / 8);
  const bool last = !form.layout.isPlain();
  for (int64_t i = 0; i < dims[0]; ++i)
    for (int64_t c = 0; c < real; ++c)
      for (int64_t t = 0; t < taps; ++t) {
        int64_t channel = c, tap = t;
        if (form.folded) {
          const int64_t y = t / dims[3] + front[0], x = t % dims[3] + front[1];
          channel = (y % 2 * 2 + x % 2) * real + c;
          tap = y / 2 * window[1] + x / 2;
        }
        const int64_t to = last ? (i * toTaps + tap) * channels + channel
                                : (i * channels + channel) * toTaps + tap;
        std::memcpy(packed.as<char>() + static_cast<size_t>(to) * bytes,
                    static_cast<const char*>(from.data()) +
                        static_cast<size_t>((i * real + c) * taps + t) * bytes,
                    bytes);
      }
  if (productsOf(problem, conv, form) != Products::Full) {
    const std::span words(packed.as<uint32_t>(), static_cast<size_t>(packed.count()));
    std::ranges::transform(words, words.begin(), cuda::roundedTf32);
  }
  return packed;
}

class ConvExecutable final : public Executable {
 public:
  ConvExecutable(std::shared_ptr<const CudnnPlan> plan, std::unique_ptr<cuda::PadCopy> pad,
                 std::unique_ptr<cuda::ConvFinish> finish, size_t x,
                 std::vector<const void*> weights, std::vector<size_t> operands)
      : plan_(std::move(plan)),
        pad_(std::move(pad)),
        finish_(std::move(finish)),
        x_(x),
        weights_(std::move(weights)),
        operands_(std::move(operands)) {}

  size_t workspaceBytes() const override {
    if (!plan_) return 0;
    const size_t bytes = plan_->workspaceBytes() + (pad_ ? roundUp(pad_->bytes()) : 0);
    return bytes == 0 ? 0 : bytes + kAlignment;
  }

  void run(const RunArguments& arguments) const override {
    if (!plan_) return;
    auto* workspace =
        reinterpret_cast<std::byte*>(roundUp(reinterpret_cast<uintptr_t>(arguments.workspace)));
    const void* x = arguments.inputs[x_];
    if (pad_) {
      pad_->run(x, workspace, *arguments.stream);
      x = workspace;
      workspace += roundUp(pad_->bytes());
    }
    if (finish_) {
      void* const addresses[] = {const_cast<void*>(x), const_cast<void*>(weights_[0]),
                                 arguments.outputs[0]};
      plan_->run(addresses, workspace, *arguments.stream);
      std::vector<const void*> behind(weights_.begin() + 1, weights_.end());
      for (size_t operand : operands_) behind.push_back(arguments.inputs[operand]);
      finish_->run(arguments.outputs[0], behind, *arguments.stream);
      return;
    }
    std::vector<void*> addresses{const_cast<void*>(x)};
    for (const void* weight : weights_) addresses.push_back(const_cast<void*>(weight));
    for (size_t operand : operands_)
      addresses.push_back(const_cast<void*>(arguments.inputs[operand]));
    addresses.push_back(arguments.outputs[0]);
    plan_->run(addresses, workspace, *arguments.stream);
  }

 private:
  std::shared_ptr<const CudnnPlan> plan_;  // null: nothing to do
  std::unique_ptr<cuda::PadCopy> pad_;
  std::unique_ptr<cuda::ConvFinish> finish_;
  size_t x_;
  std::vector<const void*> weights_;
  std::vector<size_t> operands_;
};

std::vector<int> runtimeInputsOf(const ConvProblem& conv) {
  std::vector<int> inputs{conv.x};
  inputs.insert(inputs.end(), conv.operands.begin(), conv.operands.end());
  std::ranges::sort(inputs);
  inputs.erase(std::ranges::unique(inputs).begin(), inputs.end());
  return inputs;
}

class BoundConv final : public BoundKernel {
 public:
  explicit BoundConv(const BindArguments& arguments)
      : stored_(decodeProblem(arguments.parameters, arguments.device)) {
    auto analyzed = analyze(stored_.problem);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) throwBadParameters(refusal->reason);
    conv_ = std::move(std::get<ConvProblem>(analyzed));
    choice_ = parameter(stored_.configuration, "choice", 0, kChoices - 1);
    form_ = formOf(stored_.configuration, conv_);
    const Configuration& has = stored_.configuration;
    const bool holds = std::ranges::any_of(formsOf(stored_.problem, conv_), [&](const Form& form) {
      const Configuration known = configurationOf(stored_.problem, conv_, form, choice_);
      return form.padded == form_.padded && form.split == form_.split &&
             form.folded == form_.folded && known.inputs == has.inputs &&
             known.outputs == has.outputs;
    });
    if (!holds) throwBadParameters("the layouts are not the convolution's");
    const std::vector<int64_t> w =
        stored_.problem.inputs[static_cast<size_t>(conv_.w)].shape.concrete();
    const int64_t channels =
        !conv_.transposed && conv_.group == 1 ? channelsIn(stored_.problem, conv_, form_) : w[1];
    int64_t taps = form_.folded ? 1 : elementCount(w) / (w[0] * w[1]);
    for (size_t axis = 0; form_.folded && axis + 2 < conv_.rank; ++axis)
      taps *= foldedAxis(stored_.problem, conv_, axis).taps;
    const int64_t outputs = conv_.transposed ? w[1] * conv_.group : w[0];
    const size_t count = conv_.bias < 0 ? 1 : 2;
    if (arguments.weights.size() != count || arguments.weights[0].dtype != conv_.dtype ||
        elementCount(arguments.weights[0].dims) != w[0] * channels * taps)
      throwBadParameters("the packed weights are not the convolution's");
    if (count == 2 && (elementCount(arguments.weights[1].dims) != outputs ||
                       arguments.weights[1].dtype !=
                           stored_.problem.inputs[static_cast<size_t>(conv_.bias)].dtype))
      throwBadParameters("the packed bias is not the convolution's");
    for (const TensorView& weight : arguments.weights) weights_.push_back(weight.data);
    inputs_ = runtimeInputsOf(conv_);
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    const auto types = concreteTypes(stored_, inputs_, shapes);
    const std::vector<int64_t> x = types[static_cast<size_t>(conv_.x)].shape.concrete();
    const std::vector<int64_t>& result = shapes.outputs[0];
    std::vector<size_t> operands;
    for (int operand : conv_.operands) operands.push_back(positionOf(inputs_, operand));
    std::shared_ptr<const CudnnPlan> plan;
    std::unique_ptr<cuda::PadCopy> pad;
    std::unique_ptr<cuda::ConvFinish> finish;
    if (elementCount(result) > 0) {
      const auto dims = operandDims(conv_, types);
      auto planBy = [&](Products products) {
        const CudnnGraph graph = graphOf(stored_.problem, conv_, form_, products, x, result, dims);
        return CudnnPlans::of(graph)->plan(static_cast<size_t>(choice_));
      };
      const Products products = productsOf(stored_.problem, conv_, form_);
      if (form_.padded) pad = paddedCopy(x, result);
      try {
        plan = planBy(products);
      } catch (const Error& error) {
        if (products != Products::Tf32 || error.code() != ErrorCode::Unsupported) throw;
        // No plan rounds: it gets a rounded copy, or multiplies in full.
        pad = roundedCopy(x);
        plan = planBy(pad ? Products::OfTf32 : Products::Full);
      }
      if (form_.split) {
        std::vector<std::vector<int64_t>> behind = dims;
        if (conv_.bias >= 0) {
          std::vector<int64_t> bias(conv_.rank, 1);
          bias[1] = result[1];
          behind.insert(behind.begin(), bias);
        }
        finish = std::make_unique<cuda::ConvFinish>(splitTail(stored_.problem, conv_), result,
                                                    behind, stored_.problem.device);
      }
    }
    return std::make_unique<ConvExecutable>(std::move(plan), std::move(pad), std::move(finish),
                                            positionOf(inputs_, conv_.x), weights_,
                                            std::move(operands));
  }

 private:
  std::unique_ptr<cuda::PadCopy> paddedCopy(const std::vector<int64_t>& x,
                                            const std::vector<int64_t>& result) const {
    cuda::PadCopy::Window window{conv_.window.padsBegin, conv_.window.padsEnd, form_.folded};
    for (size_t axis = 0; form_.folded && axis < 2; ++axis) {
      const FoldedAxis folded = foldedAxis(stored_.problem, conv_, axis);
      window.begin[axis] += folded.front;
      // So that the copy is as large as the windows reach, or less where that is enough.
      window.end[axis] =
          2 * (result[2 + axis] + folded.taps - 1) - x[2 + axis] - window.begin[axis];
    }
    return std::make_unique<cuda::PadCopy>(
        x, form_.x, channelsIn(stored_.problem, conv_, form_), window, dtypeBits(conv_.dtype) / 8,
        stored_.problem.device, productsOf(stored_.problem, conv_, form_) == Products::OfTf32);
  }

  // Of the same dims, in TF32; null where x does not lie as such a copy does.
  std::unique_ptr<cuda::PadCopy> roundedCopy(const std::vector<int64_t>& x) const {
    if (conv_.rank != 4 || form_.x.isPlain() || x[1] % packOf(conv_.dtype) != 0) return nullptr;
    return std::make_unique<cuda::PadCopy>(
        x, form_.x, x[1], cuda::PadCopy::Window{{0, 0}, {0, 0}, false}, dtypeBits(conv_.dtype) / 8,
        stored_.problem.device, true);
  }

  StoredProblem stored_;
  ConvProblem conv_;
  Form form_;
  int64_t choice_ = 0;
  std::vector<const void*> weights_;
  std::vector<int> inputs_;
};

class CudnnConv final : public Kernel {
 public:
  std::string_view name() const override { return "cudnn/conv"; }

  Support supports(const Problem& problem) const override {
    auto analyzed = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) return std::move(*refusal);
    const ConvProblem& conv = std::get<ConvProblem>(analyzed);
    try {
      return asked(problem, conv);
    } catch (const Error& error) {
      return Refusal{error.has()};
    }
  }

  // At about what large convolutions reach; cuDNN's order among its proposals.
  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const DType dtype = problem.outputs[0].dtype;
    const double efficiency = dtype != DType::F32 ? 8 : problem.tf32 ? 4 : 0.6;
    const auto choice = static_cast<double>(parameter(configuration, "choice", 0, kChoices - 1));
    const auto analyzed = analyze(problem);
    const ConvProblem* conv = std::get_if<ConvProblem>(&analyzed);
    const bool slow = conv && isSlowInOne(problem, *conv) && !formOf(configuration, *conv).split;
    return roofline(costAt(problem, shapes), problem.device, efficiency) * (1 + 0.05 * choice) *
           (slow ? 4 : 1);
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    const auto analyzed = analyze(problem);
    const ConvProblem* conv = std::get_if<ConvProblem>(&analyzed);
    ensure(conv != nullptr, "a kernel prepares what it supports");
    Prepared prepared{encodeProblem(problem, configuration), {}, runtimeInputsOf(*conv)};
    prepared.weights.push_back(packedWeights(problem, *conv, formOf(configuration, *conv)));
    if (conv->bias >= 0)
      prepared.weights.push_back(*problem.inputs[static_cast<size_t>(conv->bias)].constant);
    return prepared;
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundConv>(arguments);
  }

 private:
  // What cuDNN proposes at the problem's dims, or at some where they are symbols.
  static Support asked(const Problem& problem, const ConvProblem& conv) {
    auto size = [](const std::string&) { return kSampleSize; };
    std::vector<TensorType> types = problem.tensorTypes();
    for (TensorType& type : types) type.shape = Shape::of(type.shape.evaluate(size));
    const std::vector<int64_t> x = types[static_cast<size_t>(conv.x)].shape.concrete();
    const std::vector<int64_t> result = problem.outputs[0].shape.evaluate(size);
    std::vector<Configuration> all;
    std::string why = "the result has no elements";
    if (elementCount(result) <= 0 || elementCount(x) <= 0) return Refusal{why};
    for (const Form& form : formsOf(problem, conv)) {
      // One kernel is better than two, unless it is slow.
      if (form.split && !all.empty() && !isSlowInOne(problem, conv)) continue;
      const auto plans =
          CudnnPlans::of(graphOf(problem, conv, form, productsOf(problem, conv, form), x, result,
                                 operandDims(conv, types)));
      const auto count = std::min<int64_t>(kChoices, static_cast<int64_t>(plans->count()));
      if (count == 0) why = plans->refusal();
      for (int64_t choice = 0; choice < count; ++choice)
        all.push_back(configurationOf(problem, conv, form, choice));
    }
    if (all.empty()) return Refusal{why};
    return all;
  }
};

}  // namespace

const Kernel& cudnnConv() {
  static const CudnnConv kernel;
  return kernel;
}

}  // namespace carnot
