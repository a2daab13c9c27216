#include "codegen/cpu/loop_interpreter.h"

#include <algorithm>
#include <cstring>

#include "codegen/cpu/loop_programs.h"
#include "codegen/cpu/primitives.h"

namespace carnot {
namespace {

using Place = Loop::Place;

constexpr int64_t kBlock = 256;
constexpr size_t kColumnBytes = kBlock * 8;

// Where elements lie: element i of a block is `period` elements long and starts again.
struct Elements {
  char* data = nullptr;
  int64_t stride = 0;
  int64_t period = 0;  // 0: none
  char* at(int64_t i) const { return data + stride * (period ? i % period : i); }
};

class Interpreter final : public LoopFunction {
 public:
  Interpreter(const Loop& loop, const LoopShape::Variant& variant)
      : loop_(loop), variant_(variant) {
    size_t nodes = 0;
    for (const Loop::Pass& pass : loop_.passes) {
      folding_.push_back(foldingProgram(pass, false));
      for (const Loop::Pass::Into& fold : pass.folds)
        across_.push_back(foldOf(fold.fold, loop_.scalars[fold.scalar]).nodes.back());
      nodes = std::max({nodes, pass.row.program.nodes.size(), folding_.back().nodes.size()});
    }
    columns_ = nodes;
  }

  int lanes() const override { return kBlock; }
  size_t scratchBytes() const override { return (columns_ + loop_.scalars.size()) * kColumnBytes; }

  void run(const LoopArguments& arguments) const override {
    for (int64_t row = 0; row < arguments.rows; ++row) {
      const int64_t lanes = variant_.alongLanes ? arguments.lanes : 1;
      for (int64_t lane = 0; lane < lanes; lane += kBlock)
        Row{*this, arguments, row, lane, std::min(kBlock, lanes - lane)}.run();
    }
  }

 private:
  // One row, or a block of rows side by side.
  struct Row {
    const Interpreter& self;
    const LoopArguments& arguments;
    int64_t row, lane, lanes;

    const Loop& loop() const { return self.loop_; }
    bool alongLanes() const { return self.variant_.alongLanes; }
    int64_t width() const { return alongLanes() ? lanes : 1; }  // of a row's values

    Column scalar(int index) const {
      char* base = static_cast<char*>(arguments.scratch);
      return {base + (self.columns_ + static_cast<size_t>(index)) * kColumnBytes,
              loop().scalars[index]};
    }

    Elements operandAt(int index, int64_t repeat, int64_t element) const {
      const LoopArguments::Operand& operand = arguments.operands[index];
      Elements elements;
      elements.data = operand.data + row * operand.row + repeat * operand.repeat;
      const int64_t size = dtypeBits(loop().operands[index].dtype) / 8;
      const int64_t period = self.variant_.period[index];
      if (alongLanes()) {
        elements.data += element * operand.element + lane * operand.vector;
        elements.stride = operand.vector;
      } else {
        elements.stride = period == 1 ? 0 : size;
        elements.period = period;
        if (period == 0) elements.data += element * size;  // a block starts a new period
      }
      return elements;
    }

    Elements temporaryAt(int index, int64_t repeat, int64_t element) const {
      const int64_t size = dtypeBits(loop().temporaries[index]) / 8;
      const int64_t step = repeat * arguments.length + element;
      return {static_cast<char*>(arguments.temporaries[index]) +
                  step * size * (alongLanes() ? kBlock : 1),
              size, 0};
    }

    void run() const {
      const ScalarNode* folds = self.across_.data();
      for (size_t i = 0; i < loop().passes.size(); ++i) {
        const Loop::Pass& pass = loop().passes[i];
        runRow(pass);
        if (!pass.elements.empty()) runElements(pass, self.folding_[i], folds);
        folds += pass.folds.size();
      }
    }

    // The program's nodes; `input` fills the columns of Inputs.
    template <typename Input>
    void evaluate(const ScalarProgram& program, int64_t count, const Input& input) const {
      for (size_t i = 0; i < program.nodes.size(); ++i) {
        const ScalarNode& node = program.nodes[i];
        const Column out = column(program, i);
        if (node.op == ScalarOp::Input) {
          input(node.index, out);
        } else if (node.op == ScalarOp::Constant) {
          withHeld(node.dtype, [&]<typename T>() {
            T value{};
            if (auto* integer = std::get_if<int64_t>(&node.value))
              value = static_cast<T>(*integer);
            else
              value = static_cast<T>(std::get<double>(node.value));
            std::fill_n(out.as<T>(), count, value);
          });
        } else {
          std::array<Column, 3> in{};
          for (int arg = 0; arg < scalarArity(node.op); ++arg)
            in[arg] = column(program, node.args[arg]);
          runPrimitive(node, out, in, count);
        }
      }
    }
    Column column(const ScalarProgram& program, size_t node) const {
      return {static_cast<char*>(arguments.scratch) + node * kColumnBytes,
              program.nodes[node].dtype};
    }

    static void load(Column to, const Elements& from, int64_t count) {
      withHeld(to.type, [&]<typename T>() {
        for (int64_t i = 0; i < count; ++i) to.as<T>()[i] = loadOne<T>(from.at(i), to.type);
      });
    }
    static void store(Column from, const Elements& to, int64_t count) {
      withHeld(from.type, [&]<typename T>() {
        for (int64_t i = 0; i < count; ++i) storeOne(to.at(i), from.type, from.as<T>()[i]);
      });
    }
    // A row's values to each element, or lane by lane.
    void spread(Column to, Column from, int64_t count) const {
      withHeld(to.type, [&]<typename T>() {
        if (alongLanes())
          std::copy_n(from.as<T>(), count, to.as<T>());
        else
          std::fill_n(to.as<T>(), count, *from.as<T>());
      });
    }

    void runRow(const Loop::Pass& pass) const {
      if (pass.row.empty()) return;
      const ScalarProgram& program = pass.row.program;
      evaluate(program, width(), [&](int index, Column to) {
        const Place& place = pass.row.inputs[static_cast<size_t>(index)];
        if (place.kind == Place::Kind::Scalar)
          spread(to, scalar(place.index), width());
        else
          load(to, operandAt(place.index, 0, 0), width());
      });
      for (size_t i = 0; i < program.outputs.size(); ++i) {
        const Place& place = pass.row.outputs[i];
        const Column value = column(program, program.outputs[i]);
        if (place.kind == Place::Kind::Scalar)
          std::memcpy(scalar(place.index).data, value.data, kColumnBytes);
        else
          store(value, operandAt(place.index, 0, 0), width());
      }
    }

    // `folds`: one node for each of the pass's.
    void runElements(const Loop::Pass& pass, const ScalarProgram& program,
                     const ScalarNode* folds) const {
      for (const auto& fold : pass.folds) {
        const Column total = scalar(fold.scalar);
        const ScalarNode identity = foldIdentity(fold.fold, total.type);
        withHeld(total.type, [&]<typename T>() {
          T value{};
          if (auto* integer = std::get_if<int64_t>(&identity.value))
            value = static_cast<T>(*integer);
          else
            value = static_cast<T>(std::get<double>(identity.value));
          std::fill_n(total.as<T>(), kBlock, value);
        });
      }
      const int64_t step = alongLanes() ? 1 : kBlock;
      for (int64_t repeat = 0; repeat < arguments.repeats; ++repeat)
        for (int64_t element = 0; element < arguments.length; element += step)
          runBlock(pass, program, repeat, element,
                   alongLanes() ? lanes : std::min(step, arguments.length - element));
      for (size_t i = 0; !alongLanes() && i < pass.folds.size(); ++i)
        foldAcross(scalar(pass.folds[i].scalar), folds[i]);
    }

    void runBlock(const Loop::Pass& pass, const ScalarProgram& program, int64_t repeat,
                  int64_t element, int64_t count) const {
      const size_t inputs = pass.elements.inputs.size(), stores = pass.elements.outputs.size();
      evaluate(program, count, [&](int index, Column to) {
        if (static_cast<size_t>(index) >= inputs) {  // what was folded so far, lane by lane
          const int total = pass.folds[static_cast<size_t>(index) - inputs].scalar;
          std::memcpy(to.data, scalar(total).data, kColumnBytes);
          return;
        }
        const Place& place = pass.elements.inputs[static_cast<size_t>(index)];
        if (place.kind == Place::Kind::Scalar)
          spread(to, scalar(place.index), count);
        else
          load(to, at(place, repeat, element), count);
      });
      for (size_t i = 0; i < program.outputs.size(); ++i) {
        const Column value = column(program, program.outputs[i]);
        if (i < stores) {
          store(value, at(pass.elements.outputs[i], repeat, element), count);
          continue;
        }
        const Column total = scalar(pass.folds[i - stores].scalar);
        withHeld(total.type,
                 [&]<typename T>() { std::copy_n(value.as<T>(), count, total.as<T>()); });
      }
    }

    Elements at(const Place& place, int64_t repeat, int64_t element) const {
      return place.kind == Place::Kind::Operand ? operandAt(place.index, repeat, element)
                                                : temporaryAt(place.index, repeat, element);
    }

    // The block's lanes halved into one another.
    static void foldAcross(Column total, const ScalarNode& fold) {
      withHeld(total.type, [&]<typename T>() {
        for (int64_t half = kBlock / 2; half > 0; half /= 2) {
          const Column lower{total.as<T>(), total.type}, upper{total.as<T>() + half, total.type};
          runPrimitive(fold, lower, {lower, upper, Column{}}, half);
        }
      });
    }
  };

  const Loop loop_;
  const LoopShape::Variant variant_;
  std::vector<ScalarProgram> folding_;  // of each pass
  std::vector<ScalarNode> across_;      // what folds two halves, of each pass's folds in turn
  size_t columns_ = 0;
};

}  // namespace

std::shared_ptr<const LoopFunction> interpretLoop(const Loop& loop,
                                                  const LoopShape::Variant& variant) {
  return std::make_shared<Interpreter>(loop, variant);
}

}  // namespace carnot
