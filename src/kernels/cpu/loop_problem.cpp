#include "kernels/cpu/loop_problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "codegen/cpu/loop_function.h"

namespace carnot {
namespace {

using Kind = Loop::Operand::Kind;

TensorType typeOf(const Problem& problem, const Loop::Operand& operand) {
  if (operand.kind == Kind::Count) return {operand.dtype, {}};
  const TensorDesc& desc =
      operand.kind == Kind::Input ? problem.inputs[operand.index] : problem.outputs[operand.index];
  return {desc.dtype, desc.shape};
}

// How an operand stands in a loop over channel blocks.
enum class Blocked : uint8_t { Plain, Packed, InBlocks, Impossible };

class BlockedLoop {
 public:
  BlockedLoop(const Problem& problem, const Loop& loop) : problem_(problem), loop_(loop) {
    for (const Loop::Operand& operand : loop.operands) {
      const Dim channels = channelsOf(operand);
      if (channels.tryConstant() != 1) channels_ = channels;
    }
  }

  bool possible() const {
    if (loop_.channelAxis < 0 || loop_.reduced[loop_.channelAxis]) return false;
    if (!channels_.isConstant()) return false;
    return std::ranges::none_of(loop_.operands, [this](const Loop::Operand& operand) {
      return stand(operand) == Blocked::Impossible;
    });
  }

  Blocked stand(const Loop::Operand& operand) const {
    if (operand.kind == Kind::Count) return Blocked::Plain;
    const TensorType type = typeOf(problem_, operand);
    const bool whole = type.shape.rank() == static_cast<size_t>(loop_.rank);
    const Dim channels = channelsOf(operand);
    const bool one = channels.tryConstant() == 1;
    // With one channel in all, tensors of full rank still have their lanes.
    if (one && !(whole && channels_.tryConstant() == 1)) {
      return operand.kind == Kind::Output ? Blocked::Impossible : Blocked::Plain;
    }
    if (!(channels == channels_)) return Blocked::Impossible;
    if (operand.kind == Kind::Input && problem_.inputs[operand.index].constant)
      return type.shape.isStatic() ? Blocked::Packed : Blocked::Impossible;
    return whole ? Blocked::InBlocks : Blocked::Impossible;
  }

  Configuration configuration(int block) const {
    Configuration configuration{{{"block", static_cast<int64_t>(block)}},
                                plainLayouts(problem_.inputs.size()),
                                plainLayouts(problem_.outputs.size())};
    for (const Loop::Operand& operand : loop_.operands) {
      if (stand(operand) != Blocked::InBlocks) continue;
      auto& layouts = operand.kind == Kind::Input ? configuration.inputs : configuration.outputs;
      layouts[operand.index] = Layout::channelBlocked(block);
    }
    return configuration;
  }

  // One tensor seen by the code in two ways would need two layouts.
  bool consistent() const {
    for (const Loop::Operand& a : loop_.operands)
      for (const Loop::Operand& b : loop_.operands)
        if (a.kind == b.kind && a.index == b.index && stand(a) != stand(b)) return false;
    return true;
  }

 private:
  Dim channelsOf(const Loop::Operand& operand) const {
    const TensorType type = typeOf(problem_, operand);
    for (size_t i = 0; i < operand.axes.size(); ++i)
      if (operand.axes[i] == loop_.channelAxis) return type.shape[i];
    return 1;
  }

  const Problem& problem_;
  const Loop& loop_;
  Dim channels_ = 1;
};

std::vector<const Tensor*> constantsOf(const Problem& problem) {
  std::vector<const Tensor*> constants;
  constants.reserve(problem.inputs.size());
  for (const TensorDesc& input : problem.inputs) constants.push_back(input.constant);
  return constants;
}

// The constant with one axis padded with zeros to a multiple of `block` and cut into blocks, which
// become its innermost axis: [N, C, H, W] along 1 gives [N, C / block, H, W, block].
Tensor packedAlong(const Tensor& constant, size_t axis, int64_t block) {
  const std::vector<int64_t>& dims = constant.dims();
  const int64_t channels = dims[axis], blocks = (channels + block - 1) / block;
  int64_t outer = 1, inner = 1;
  for (size_t i = 0; i < axis; ++i) outer *= dims[i];
  for (size_t i = axis + 1; i < dims.size(); ++i) inner *= dims[i];
  std::vector<int64_t> packedDims = dims;
  packedDims[axis] = blocks;
  packedDims.push_back(block);
  Tensor packed(constant.dtype(), packedDims);
  std::memset(packed.as<char>(), 0, packed.bytes());
  const size_t bytes = static_cast<size_t>(dtypeBits(constant.dtype())) / 8;
  for (int64_t i = 0; i < outer * channels * inner; ++i) {
    const int64_t place = i / inner, channel = place % channels, image = place / channels;
    const int64_t position = (image * blocks + channel / block) * inner + i % inner;
    std::memcpy(packed.as<char>() + static_cast<size_t>(position * block + channel % block) * bytes,
                static_cast<const char*>(constant.data()) + static_cast<size_t>(i) * bytes, bytes);
  }
  return packed;
}

}  // namespace

int blockOf(const Configuration& configuration) {
  return static_cast<int>(parameter(configuration, "block", 1, 64));
}

std::vector<int> LoopProblem::packed(const Problem& problem,
                                     const Configuration& configuration) const {
  std::vector<int> inputs;
  if (blockOf(configuration) == 1) return inputs;
  const BlockedLoop blocked(problem, loop);
  for (const Loop::Operand& operand : loop.operands)
    if (operand.kind == Kind::Input && blocked.stand(operand) == Blocked::Packed &&
        std::ranges::find(inputs, operand.index) == inputs.end())
      inputs.push_back(operand.index);
  return inputs;
}

std::vector<int> LoopProblem::runtimeInputs(const Problem& problem,
                                            const Configuration& configuration) const {
  const std::vector<int> packedInputs = packed(problem, configuration);
  std::vector<int> inputs;
  for (int input : presentInputs(problem)) {
    const bool isRead = std::ranges::any_of(loop.operands, [&](const Loop::Operand& operand) {
      return operand.kind == Kind::Input && operand.index == input;
    });
    if (isRead && std::ranges::find(packedInputs, input) == packedInputs.end())
      inputs.push_back(input);
  }
  return inputs;
}

std::variant<Refusal, LoopProblem> loopProblem(const Problem& problem, bool rows) {
  const std::vector<TensorType> types = problem.tensorTypes();
  auto described = describeLoop(problem.region, types, constantsOf(problem));
  if (auto* reason = std::get_if<std::string>(&described)) return Refusal{std::move(*reason)};
  LoopProblem result{std::move(std::get<Loop>(described)), {}};
  const Loop& loop = result.loop;
  if (loop.hasRows() != rows)
    return Refusal{rows ? "nothing is reduced" : "reduces, which loops over rows do"};
  if (auto reason = refuseLoop(loop)) return Refusal{*reason};
  std::vector<TensorType> operandTypes;
  operandTypes.reserve(loop.operands.size());
  for (const Loop::Operand& operand : loop.operands)
    operandTypes.push_back(typeOf(problem, operand));
  if (std::string reason = refuseAxes(loop, operandTypes); !reason.empty())
    return Refusal{std::move(reason)};
  result.configurations.push_back({{{"block", int64_t{1}}},
                                   plainLayouts(problem.inputs.size()),
                                   plainLayouts(problem.outputs.size())});
  const BlockedLoop blocked(problem, loop);
  if (!blocked.possible() || !blocked.consistent()) return result;
  const int lanes = problem.device.floatLanes();
  result.configurations.push_back(blocked.configuration(lanes));
  if (lanes != 8) result.configurations.push_back(blocked.configuration(8));
  return result;
}

Prepared prepareLoop(const Problem& problem, const Configuration& configuration, bool rows) {
  const auto analyzed = loopProblem(problem, rows);
  const auto* loop = std::get_if<LoopProblem>(&analyzed);
  ensure(loop != nullptr, "a kernel prepares what it supports");
  Prepared prepared{
      encodeProblem(problem, configuration), {}, loop->runtimeInputs(problem, configuration)};
  const int block = blockOf(configuration);
  for (int input : loop->packed(problem, configuration)) {
    const auto& operand = *std::ranges::find_if(loop->loop.operands, [&](const auto& candidate) {
      return candidate.kind == Kind::Input && candidate.index == input;
    });
    const auto channel = std::ranges::find(operand.axes, loop->loop.channelAxis);
    prepared.weights.push_back(packedAlong(*problem.inputs[input].constant,
                                           static_cast<size_t>(channel - operand.axes.begin()),
                                           block));
  }
  return prepared;
}

}  // namespace carnot
