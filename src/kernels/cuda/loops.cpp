// Regions of pointwise operators and reductions as CUDA C++, generated and compiled when a shape
// first needs it.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>

#include "base/error.h"
#include "codegen/cuda/loop_source.h"
#include "devices/cuda/compile.h"
#include "kernels/cuda/launch.h"
#include "kernels/parameters.h"

namespace carnot {
namespace {

using cuda::LoopLayout;
using cuda::LoopVariant;
using Kind = Loop::Operand::Kind;

constexpr int kMaxOperands = 32, kMaxTemporaries = 8;
constexpr int kMostPerThread = 16;
constexpr int64_t kMost32 = int64_t{1} << 30;  // leaves room for a step beyond the end

TensorType typeOf(const Problem& problem, const Loop::Operand& operand) {
  if (operand.kind == Kind::Count) return {operand.dtype, {}};
  const TensorDesc& desc =
      operand.kind == Kind::Input ? problem.inputs[operand.index] : problem.outputs[operand.index];
  return {desc.dtype, desc.shape};
}

std::variant<Refusal, Loop> loopOf(const Problem& problem, bool rows) {
  std::vector<const Tensor*> constants;
  for (const TensorDesc& input : problem.inputs) constants.push_back(input.constant);
  auto described = describeLoop(problem.region, problem.tensorTypes(), constants);
  if (auto* reason = std::get_if<std::string>(&described)) return Refusal{std::move(*reason)};
  Loop loop = std::move(std::get<Loop>(described));
  if (loop.hasRows() != rows)
    return Refusal{rows ? "nothing is reduced" : "reduces, which loops over rows do"};
  if (auto reason = cuda::refuseLoopSource(loop)) return Refusal{*reason};
  if (problem.device.computeCapability < 80)
    return Refusal{fmt::format("needs compute capability 8.0, not {}.{}",
                               problem.device.computeCapability / 10,
                               problem.device.computeCapability % 10)};
  std::vector<TensorType> types;
  for (const Loop::Operand& operand : loop.operands) types.push_back(typeOf(problem, operand));
  if (std::string reason = refuseAxes(loop, types); !reason.empty())
    return Refusal{std::move(reason)};
  return loop;
}

std::vector<int> inputsRead(const Problem& problem, const Loop& loop) {
  std::vector<int> inputs;
  for (int input : presentInputs(problem))
    if (std::ranges::any_of(loop.operands, [&](const Loop::Operand& operand) {
          return operand.kind == Kind::Input && operand.index == input;
        }))
      inputs.push_back(input);
  return inputs;
}

// Whether a tensor may lie channels-last in a loop that does.
bool turns(const Loop& loop, const TensorDesc& desc) {
  return !desc.constant && loop.rank >= 3 && desc.shape.rank() == static_cast<size_t>(loop.rank);
}

// The layouts that the loop runs in: plain, and channels-last throughout; where only pixels are
// reduced to one, the result also plain, which is the same.
std::vector<Configuration> layoutsOf(const Problem& problem, const Loop& loop) {
  Configuration plain{
      {}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())};
  std::vector<Configuration> all{plain};
  if (loop.channelAxis != 1 || loop.rank < 3 || loop.channelGroups > 1) return all;
  for (const Loop::Operand& operand : loop.operands)
    if (!std::ranges::is_sorted(operand.axes)) return all;
  bool pixels = true;
  for (int axis = 2; axis < loop.rank; ++axis) pixels &= loop.reduced[axis];
  if (loop.hasRows() && !pixels) return all;
  Configuration last = plain;
  for (size_t i = 0; i < problem.inputs.size(); ++i)
    if (problem.inputs[i].present && turns(loop, problem.inputs[i]))
      last.inputs[i] = Layout::channelsLast();
  if (last.inputs == plain.inputs) return all;
  Configuration flat = last;  // what comes out has one pixel
  bool onePixel = true;
  for (size_t i = 0; i < problem.outputs.size(); ++i) {
    const Shape& shape = problem.outputs[i].shape;
    if (turns(loop, problem.outputs[i])) last.outputs[i] = Layout::channelsLast();
    for (size_t axis = 2; axis < shape.rank(); ++axis) onePixel &= shape[axis].tryConstant() == 1;
  }
  if (last.outputs != flat.outputs && onePixel) all.push_back(flat);
  all.push_back(last);
  return all;
}

int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How many blocks of so many threads fill the device.
int64_t blocksOf(const DeviceTraits& device, int threads) {
  return int64_t{device.multiprocessors} * std::max(1, 2048 / threads);
}

// The vector width that suits all operands' types.
int vectorOf(const Loop& loop) {
  int bytes = 1;
  for (const Loop::Operand& operand : loop.operands)
    if (operand.kind != Kind::Count) bytes = std::max(bytes, dtypeBits(operand.dtype) / 8);
  return std::clamp(16 / bytes, 1, 8);
}

bool evenlyVectored(const Loop& loop, const LoopShape& shape, const std::vector<bool>& fixed,
                    int vector) {
  for (size_t k = 0; k < loop.operands.size(); ++k) {
    if (loop.operands[k].kind == Kind::Count || fixed[k]) continue;
    const int64_t bytes = int64_t{vector} * dtypeBits(loop.operands[k].dtype) / 8;
    if (shape.strides[k].row % bytes != 0) return false;
    for (int64_t stride : shape.strides[k].outer)
      if (stride % bytes != 0) return false;
  }
  return true;
}

LoopVariant variantOf(const Loop& loop, const LoopShape& shape) {
  LoopVariant variant;
  variant.outer = static_cast<int>(shape.outer.size());
  if (variant.outer > LoopLayout::kMaxOuter)
    throw Error(ErrorCode::Unsupported, fmt::format("{} nested loops", variant.outer + 2));
  variant.alongLanes = shape.variant.alongLanes;
  variant.nested = shape.variant.nested;
  const int64_t row = shape.length * shape.repeats;
  variant.wideIndices = shape.rowCount() * shape.lanes * std::max<int64_t>(row, 1) > kMost32;
  if (!loop.hasRows()) {
    for (size_t k = 0; k < loop.operands.size(); ++k)
      variant.fixed.push_back(shape.variant.period[k] == 1);
    const int vector = vectorOf(loop);
    variant.vector = evenlyVectored(loop, shape, variant.fixed, vector) ? vector : 1;
    return variant;
  }
  for (size_t k = 0; k < loop.operands.size(); ++k)
    variant.fixed.push_back(shape.strides[k].element == 0);
  variant.threads = variant.alongLanes ? cuda::kLanesThreads
                    : row <= 1024      ? 32
                    : row <= 4096      ? 256
                                       : 1024;
  const int64_t each = ceilDivide(row, variant.threads);
  for (int count = 1; count <= kMostPerThread && variant.perThread == 0; count *= 2)
    if (each <= count) variant.perThread = count;
  // A warp's rows of up to 32 elements a thread stay in registers.
  if (!variant.alongLanes && variant.threads == 32 && variant.perThread == 0)
    variant.perThread = each <= 24 ? 24 : 32;
  if (variant.alongLanes || variant.nested || variant.perThread == 0) return variant;
  for (int vector = std::min(vectorOf(loop), variant.perThread); vector > 1; vector /= 2)
    if (row % vector == 0 && evenlyVectored(loop, shape, variant.fixed, vector)) {
      variant.vector = vector;
      break;
    }
  return variant;
}

class LoopExecutable final : public Executable {
 public:
  LoopExecutable(const Loop& loop, const std::vector<int>& runtimeInputs, const LoopShape& shape,
                 const LoopVariant& variant, const DeviceTraits& device,
                 std::shared_ptr<const cuda::Module> module)
      : loop_(loop), runtimeInputs_(runtimeInputs), variant_(variant), module_(std::move(module)) {
    function_ = module_->function(cuda::kLoopFunction);
    ones_ = variant.vector > 1 ? module_->function(cuda::kLoopOfOnes) : function_;
    fill(shape);
    const int64_t row = shape.length * shape.repeats;
    if (shape.empty() || (!loop.hasRows() && shape.length == 0)) return;
    if (!loop.hasRows()) {
      threads_ = cuda::kLoopBlock;
      units_ = shape.rowCount() * ceilDivide(shape.length, variant.vector);
      unitsOfOnes_ = shape.rowCount() * shape.length;
      blocks_ = std::min(ceilDivide(units_, threads_), 2 * blocksOf(device, threads_));
      blocksOfOnes_ = std::min(ceilDivide(unitsOfOnes_, threads_), 2 * blocksOf(device, threads_));
      return;
    }
    const bool warps = !variant.alongLanes && variant.threads == 32;
    units_ =
        shape.rowCount() * (variant.alongLanes ? ceilDivide(shape.lanes, cuda::kLanesBlock) : 1);
    threads_ = variant.alongLanes ? cuda::kLoopBlock : variant.threads;
    // Few rows are spread over all multiprocessors.
    if (warps)
      while (threads_ < cuda::kLoopBlock &&
             units_ * 32 > int64_t{device.multiprocessors} * threads_)
        threads_ *= 2;
    const int64_t perBlock = warps ? threads_ / 32 : 1;
    blocks_ = std::min(ceilDivide(units_, perBlock), blocksOf(device, threads_));
    unitsOfOnes_ = units_;
    blocksOfOnes_ = blocks_;
    if (variant.perThread > 0) return;
    // Each slot's temporaries, one kind after another.
    const int64_t slots = blocks_ * perBlock * (variant.alongLanes ? cuda::kLanesBlock : 1);
    for (size_t t = 0; t < loop.temporaries.size(); ++t) {
      temporaryOffsets_.push_back(static_cast<int64_t>(workspaceBytes_));
      const int64_t bytes =
          std::max(dtypeBits(loop.temporaries[t]) / 8,
                   loop.temporaries[t] == DType::F16 || loop.temporaries[t] == DType::BF16 ? 4 : 1);
      workspaceBytes_ += static_cast<size_t>(ceilDivide(slots * row * bytes, 64) * 64);
    }
  }

  size_t workspaceBytes() const override { return workspaceBytes_; }

  void run(const RunArguments& arguments) const override {
    if (blocks_ == 0) return;
    std::array<int64_t, kWords> words = words_;
    uintptr_t addresses = 0;
    for (size_t k = 0; k < loop_.operands.size(); ++k) {
      const Loop::Operand& operand = loop_.operands[k];
      if (operand.kind == Kind::Count) continue;
      const void* data = operand.kind == Kind::Output
                             ? arguments.outputs[operand.index]
                             : arguments.inputs[positionOf(runtimeInputs_, operand.index)];
      if (variant_.vector > 1 && !variant_.fixed[k]) {
        const auto bytes = static_cast<uintptr_t>(variant_.vector * dtypeBits(operand.dtype) / 8);
        addresses |= reinterpret_cast<uintptr_t>(data) % bytes;
      }
      words[operandWord(k, LoopLayout::Address)] = reinterpret_cast<int64_t>(data);
    }
    for (size_t t = 0; t < temporaryOffsets_.size(); ++t)
      words[operandWord(loop_.operands.size(), 0) + t] =
          reinterpret_cast<int64_t>(arguments.workspace) + temporaryOffsets_[t];
    const bool aligned = addresses == 0;
    words[LoopLayout::Units] = aligned ? units_ : unitsOfOnes_;
    const int64_t blocks = aligned ? blocks_ : blocksOfOnes_;
    cuda::launch(aligned ? function_ : ones_,
                 {.blocks = static_cast<uint32_t>(blocks),
                  .threads = static_cast<uint32_t>(threads_),
                  .overlapped = true},
                 words.data(), *arguments.stream);
  }

 private:
  static constexpr size_t kWords =
      LoopLayout::Operands + kMaxOperands * LoopLayout::OperandWords + kMaxTemporaries;

  static size_t operandWord(size_t operand, int word) {
    return LoopLayout::Operands + operand * LoopLayout::OperandWords + static_cast<size_t>(word);
  }

  void fill(const LoopShape& shape) {
    words_[LoopLayout::Length] = shape.length;
    words_[LoopLayout::Repeats] = shape.repeats;
    words_[LoopLayout::Lanes] = shape.lanes;
    words_[LoopLayout::Rows] = std::max<int64_t>(shape.rows, 1);
    for (size_t axis = 0; axis < shape.outer.size(); ++axis)
      words_[LoopLayout::OuterExtents + axis] = shape.outer[axis];
    for (size_t k = 0; k < loop_.operands.size(); ++k) {
      const LoopShape::Strides& strides = shape.strides[k];
      words_[operandWord(k, LoopLayout::Element)] = strides.element;
      words_[operandWord(k, LoopLayout::Repeat)] = strides.repeat;
      words_[operandWord(k, LoopLayout::Row)] = strides.row;
      words_[operandWord(k, LoopLayout::Vector)] = strides.vector;
      for (size_t axis = 0; axis < strides.outer.size(); ++axis)
        words_[operandWord(k, LoopLayout::Outer) + axis] = strides.outer[axis];
    }
  }

  const Loop& loop_;
  const std::vector<int>& runtimeInputs_;
  LoopVariant variant_;
  std::shared_ptr<const cuda::Module> module_;
  CUfunction function_ = nullptr, ones_ = nullptr;
  std::array<int64_t, kWords> words_{};
  int threads_ = 1;
  int64_t units_ = 0, unitsOfOnes_ = 0, blocks_ = 0, blocksOfOnes_ = 0;
  size_t workspaceBytes_ = 0;
  std::vector<int64_t> temporaryOffsets_;
};

class BoundLoop final : public BoundKernel {
 public:
  BoundLoop(const BindArguments& arguments, bool rows) : device_(arguments.device) {
    stored_ = decodeProblem(arguments.parameters, arguments.device);
    auto analyzed = loopOf(stored_.problem, rows);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) throwBadParameters(refusal->reason);
    loop_ = std::move(std::get<Loop>(analyzed));
    if (!arguments.weights.empty()) throwBadParameters("weights that the loop does not have");
    if (std::ranges::none_of(layoutsOf(stored_.problem, loop_), [&](const Configuration& one) {
          return one.inputs == stored_.configuration.inputs &&
                 one.outputs == stored_.configuration.outputs;
        }))
      throwBadParameters("the layouts are not the loop's");
    runtimeInputs_ = inputsRead(stored_.problem, loop_);
    compileAhead();
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    const auto types = concreteTypes(stored_, runtimeInputs_, shapes);
    std::vector<OperandDims> operands;
    for (const Loop::Operand& operand : loop_.operands) {
      if (operand.kind == Kind::Count)
        operands.push_back({});
      else if (operand.kind == Kind::Output)
        operands.push_back(
            {shapes.outputs[operand.index], stored_.configuration.outputs[operand.index]});
      else
        operands.push_back(
            {types[operand.index].shape.concrete(), stored_.configuration.inputs[operand.index]});
    }
    const LoopShape shape = shapeLoop(loop_, operands, 1, 1);
    const LoopVariant variant = variantOf(loop_, shape);
    return std::make_unique<LoopExecutable>(loop_, runtimeInputs_, shape, variant, device_,
                                            moduleFor(variant));
  }

 private:
  // The code that will most likely be asked for; what cannot be shaped is left to specialize.
  void compileAhead() const {
    const Problem& problem = stored_.problem;
    try {
      ConcreteShapes shapes;
      auto sizes = [](const std::string&) { return int64_t{128}; };
      for (int input : runtimeInputs_)
        shapes.inputs.push_back(problem.inputs[input].shape.evaluate(sizes));
      for (const TensorDesc& output : problem.outputs)
        shapes.outputs.push_back(output.shape.evaluate(sizes));
      specialize(shapes);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::Internal) throw;
    }
  }

  std::shared_ptr<const cuda::Module> moduleFor(const LoopVariant& variant) const {
    const std::lock_guard lock(mutex_);
    auto& module = modules_[variant];
    if (!module) module = cuda::moduleOf(cuda::loopSource(loop_, variant));
    return module;
  }

  DeviceTraits device_;
  StoredProblem stored_;
  Loop loop_;
  std::vector<int> runtimeInputs_;
  mutable std::mutex mutex_;
  mutable std::map<LoopVariant, std::shared_ptr<const cuda::Module>> modules_;
};

class LoopKernel final : public Kernel {
 public:
  LoopKernel(std::string_view name, bool rows) : name_(name), rows_(rows) {}
  std::string_view name() const override { return name_; }

  Support supports(const Problem& problem) const override {
    auto analyzed = loopOf(problem, rows_);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) return std::move(*refusal);
    return layoutsOf(problem, std::get<Loop>(analyzed));
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    const auto analyzed = loopOf(problem, rows_);
    const Loop* loop = std::get_if<Loop>(&analyzed);
    ensure(loop != nullptr, "a kernel prepares what it supports");
    return {encodeProblem(problem, configuration), {}, inputsRead(problem, *loop)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundLoop>(arguments, rows_);
  }

 private:
  std::string_view name_;
  bool rows_;
};

}  // namespace

const Kernel& cudaPointwiseLoop() {
  static const LoopKernel kernel("cuda/loop/pointwise", false);
  return kernel;
}

const Kernel& cudaRowLoop() {
  static const LoopKernel kernel("cuda/loop/rows", true);
  return kernel;
}

}  // namespace carnot
