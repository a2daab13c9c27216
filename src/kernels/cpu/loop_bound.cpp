// Loops bound and specialized: functions cached by what they depend on, work dealt to threads.

#include <algorithm>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/threads.h"
#include "codegen/cpu/loop_function.h"
#include "kernels/cpu/loop_problem.h"

namespace carnot {
namespace {

using Kind = Loop::Operand::Kind;

// Operations that are worth one more thread.
constexpr int64_t kThreadWork = 64 << 10;
constexpr int64_t kChunkAlignment = 64;  // elements, where a vector axis is cut

struct BoundLoopData {
  StoredProblem stored;
  LoopProblem analyzed;
  std::vector<int> runtimeInputs, packed;
  std::vector<TensorView> weights;
};

int64_t roundUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

class LoopExecutable final : public Executable {
 public:
  LoopExecutable(const BoundLoopData& data, LoopShape shape,
                 std::shared_ptr<const LoopFunction> function)
      : data_(data), shape_(std::move(shape)), function_(std::move(function)) {
    const Loop& loop = data_.analyzed.loop;
    const double count = static_cast<double>(shape_.length * shape_.repeats);
    countFloat_ = static_cast<float>(count);
    countDouble_ = count;
    // An estimate: a loop over nothing may claim more elements than 64 bits count.
    const double elements = static_cast<double>(shape_.rowCount()) *
                            static_cast<double>(shape_.lanes * shape_.repeats) *
                            static_cast<double>(std::max<int64_t>(shape_.length, 1));
    const double worth = elements * static_cast<double>(loop.work() + 1) / kThreadWork;
    parts_ = static_cast<int>(std::clamp<double>(worth, 1, data_.stored.problem.device.threads));
    cut();
    perThread_ = functionBytes();
  }

  size_t workspaceBytes() const override { return perThread_ * static_cast<size_t>(parts_); }

  void run(const RunArguments& arguments) const override {
    if (shape_.empty()) return;
    if (parts_ == 1) return runPart(arguments, 0);
    arguments.pool->run(parts_, [&](int part) { runPart(arguments, part); });
  }

 private:
  bool alongLanes() const { return shape_.variant.alongLanes; }
  int64_t extent() const { return alongLanes() ? shape_.lanes : shape_.length; }

  // Units of work: rows, or pieces of their vector axis where rows are few.
  void cut() {
    const int64_t rows = shape_.rowCount();
    const bool mayCut = alongLanes() || !data_.analyzed.loop.hasRows();
    pieces_ = 1;
    piece_ = extent();
    if (mayCut && parts_ > 1 && rows < 4 * parts_) {
      const int64_t wanted = (parts_ + rows - 1) / std::max<int64_t>(rows, 1);
      piece_ = roundUp((extent() + wanted - 1) / wanted, kChunkAlignment);
      pieces_ = (extent() + piece_ - 1) / piece_;
    }
    parts_ = static_cast<int>(std::min<int64_t>(parts_, std::max<int64_t>(1, rows * pieces_)));
  }

  int64_t temporaryBytes(size_t temporary) const {
    const int64_t elements =
        shape_.repeats * shape_.length * (alongLanes() ? function_->lanes() : 1);
    return roundUp(elements * dtypeBits(data_.analyzed.loop.temporaries[temporary]) / 8, 64);
  }

  size_t functionBytes() const {
    int64_t bytes = roundUp(static_cast<int64_t>(function_->scratchBytes()), 64);
    for (size_t i = 0; i < data_.analyzed.loop.temporaries.size(); ++i) bytes += temporaryBytes(i);
    return static_cast<size_t>(bytes);
  }

  char* dataOf(const Loop::Operand& operand, const RunArguments& arguments) const {
    const void* data = nullptr;
    if (operand.kind == Kind::Output) return static_cast<char*>(arguments.outputs[operand.index]);
    if (operand.kind == Kind::Count) {
      data = operand.dtype == DType::F64 ? static_cast<const void*>(&countDouble_) : &countFloat_;
    } else if (auto packed = std::ranges::find(data_.packed, operand.index);
               packed != data_.packed.end()) {
      data = data_.weights[static_cast<size_t>(packed - data_.packed.begin())].data;
    } else {
      data = arguments.inputs[positionOf(data_.runtimeInputs, operand.index)];
    }
    return static_cast<char*>(const_cast<void*>(data));
  }

  void runPart(const RunArguments& arguments, int part) const {
    const Loop& loop = data_.analyzed.loop;
    LoopArguments call;
    char* workspace =
        static_cast<char*>(arguments.workspace) + static_cast<size_t>(part) * perThread_;
    for (size_t i = 0; i < loop.temporaries.size(); ++i) {
      call.temporaries[i] = workspace;
      workspace += temporaryBytes(i);
    }
    call.scratch = workspace;
    call.repeats = shape_.repeats;
    call.length = shape_.length;
    call.lanes = shape_.lanes;
    char* base[LoopArguments::kMaxOperands];
    for (size_t k = 0; k < loop.operands.size(); ++k) {
      base[k] = dataOf(loop.operands[k], arguments);
      const LoopShape::Strides& strides = shape_.strides[k];
      call.operands[k] = {nullptr, strides.element, strides.repeat, strides.row, strides.vector};
    }
    const int64_t units = shape_.rowCount() * pieces_;
    int64_t unit = units * part / parts_;
    const int64_t end = units * (part + 1) / parts_;
    while (unit < end) unit += runUnits(call, base, unit, end);
  }

  // Runs some units from `unit` on and gives their number.
  int64_t runUnits(LoopArguments& call, char* const* base, int64_t unit, int64_t end) const {
    const int64_t row = unit / pieces_, piece = unit % pieces_;
    int64_t outer = row / shape_.rows;
    const int64_t inner = row % shape_.rows;
    const int64_t start = piece * piece_;
    int64_t count = 1;
    if (pieces_ == 1)
      count = std::min(shape_.rows - inner, end - unit);
    else
      (alongLanes() ? call.lanes : call.length) = std::min(piece_, extent() - start);
    call.rows = count;
    const size_t operands = data_.analyzed.loop.operands.size();
    for (size_t k = 0; k < operands; ++k) {
      const LoopShape::Strides& strides = shape_.strides[k];
      // A piece starts at a multiple of every period.
      const int64_t vector = shape_.variant.period[k] ? 0 : strides.vector * start;
      call.operands[k].data = base[k] + inner * strides.row + vector;
    }
    for (size_t axis = shape_.outer.size(); axis-- > 0; outer /= shape_.outer[axis])
      for (size_t k = 0; k < operands; ++k)
        call.operands[k].data += outer % shape_.outer[axis] * shape_.strides[k].outer[axis];
    function_->run(call);
    return count;
  }

  const BoundLoopData& data_;
  LoopShape shape_;
  std::shared_ptr<const LoopFunction> function_;
  float countFloat_ = 0;
  double countDouble_ = 0;
  int parts_ = 1;
  int64_t pieces_ = 1, piece_ = 1;
  size_t perThread_ = 0;
};

class BoundLoop final : public BoundKernel {
 public:
  BoundLoop(const BindArguments& arguments, bool rows) {
    data_.stored = decodeProblem(arguments.parameters, arguments.device);
    const Problem& problem = data_.stored.problem;
    auto analyzed = loopProblem(problem, rows);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) throwBadParameters(refusal->reason);
    data_.analyzed = std::move(std::get<LoopProblem>(analyzed));
    const Configuration& configuration = data_.stored.configuration;
    const bool known =
        std::ranges::any_of(data_.analyzed.configurations, [&](const Configuration& candidate) {
          return candidate.inputs == configuration.inputs &&
                 candidate.outputs == configuration.outputs &&
                 blockOf(candidate) == blockOf(configuration);
        });
    if (!known) throwBadParameters("the layouts are not the loop's");
    data_.runtimeInputs = data_.analyzed.runtimeInputs(problem, configuration);
    data_.packed = data_.analyzed.packed(problem, configuration);
    takeWeights(arguments);
    maxPeriod_ = maxLoopPeriod(data_.analyzed.loop, problem.device.isa);
    generateAhead();
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    const Loop& loop = data_.analyzed.loop;
    const auto types = concreteTypes(data_.stored, data_.runtimeInputs, shapes);
    const Configuration& configuration = data_.stored.configuration;
    const int block = blockOf(configuration);
    std::vector<OperandDims> operands;
    for (const Loop::Operand& operand : loop.operands) {
      switch (operand.kind) {
        case Kind::Count:
          operands.push_back({});
          break;
        case Kind::Output:
          operands.push_back({shapes.outputs[operand.index], configuration.outputs[operand.index]});
          break;
        case Kind::Input: {
          const bool packed = std::ranges::find(data_.packed, operand.index) != data_.packed.end();
          operands.push_back(
              {types[operand.index].shape.concrete(),
               packed ? Layout::channelBlocked(block) : configuration.inputs[operand.index]});
          break;
        }
      }
    }
    LoopShape shape = shapeLoop(loop, operands, block, maxPeriod_);
    auto function = functionFor(shape.variant);
    return std::make_unique<LoopExecutable>(data_, std::move(shape), std::move(function));
  }

 private:
  void takeWeights(const BindArguments& arguments) {
    if (arguments.weights.size() != data_.packed.size())
      throwBadParameters("another number of packed constants");
    const int block = blockOf(data_.stored.configuration);
    for (size_t i = 0; i < data_.packed.size(); ++i) {
      const TensorDesc& desc = data_.stored.problem.inputs[data_.packed[i]];
      int64_t count = 1;
      const auto& operand =
          *std::ranges::find_if(data_.analyzed.loop.operands, [&](const auto& candidate) {
            return candidate.kind == Kind::Input && candidate.index == data_.packed[i];
          });
      const std::vector<int64_t> dims = desc.shape.concrete();
      for (size_t axis = 0; axis < dims.size(); ++axis)
        count *= operand.axes[axis] == data_.analyzed.loop.channelAxis ? roundUp(dims[axis], block)
                                                                       : dims[axis];
      const TensorView& weight = arguments.weights[i];
      if (weight.dtype != desc.dtype || weight.count() != count)
        throwBadParameters("a packed constant has other dims");
      data_.weights.push_back(weight);
    }
  }

  // With static dims, or with some sizes for symbolic ones, the code that will most likely be asked
  // for. What cannot be shaped is left to specialize.
  void generateAhead() const {
    const Problem& problem = data_.stored.problem;
    try {
      ConcreteShapes shapes;
      auto sizes = [](const std::string&) { return int64_t{128}; };
      for (int input : data_.runtimeInputs)
        shapes.inputs.push_back(problem.inputs[input].shape.evaluate(sizes));
      for (const TensorDesc& output : problem.outputs)
        shapes.outputs.push_back(output.shape.evaluate(sizes));
      specialize(shapes);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::Internal) throw;
    }
  }

  std::shared_ptr<const LoopFunction> functionFor(const LoopShape::Variant& variant) const {
    const std::lock_guard lock(mutex_);
    auto& function = functions_[variant];
    if (!function)
      function = makeLoopFunction(data_.analyzed.loop, variant, data_.stored.problem.device.isa);
    return function;
  }

  BoundLoopData data_;
  int maxPeriod_ = 1;
  mutable std::mutex mutex_;
  mutable std::map<LoopShape::Variant, std::shared_ptr<const LoopFunction>> functions_;
};

}  // namespace

std::unique_ptr<BoundKernel> bindLoop(const BindArguments& arguments, bool rows) {
  return std::make_unique<BoundLoop>(arguments, rows);
}

}  // namespace carnot
