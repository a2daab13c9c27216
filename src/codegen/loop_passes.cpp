// The program of one element cut into passes: what needs a fold's result comes after the fold.

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "codegen/loop.h"

namespace carnot {

int operationWork(ScalarOp op) {
  switch (op) {
    case ScalarOp::Input:
    case ScalarOp::Constant:
    case ScalarOp::Bitcast:
      return 0;
    case ScalarOp::Div:
    case ScalarOp::Sqrt:
    case ScalarOp::Reciprocal:
      return 6;
    case ScalarOp::Exp:
    case ScalarOp::Log:
      return 16;
    case ScalarOp::Erf:
    case ScalarOp::Tanh:
    case ScalarOp::Sigmoid:
      return 28;
    case ScalarOp::FloorMod:
    case ScalarOp::TruncMod:
      return 40;
    case ScalarOp::Pow:
    case ScalarOp::Sin:
    case ScalarOp::Cos:
    case ScalarOp::Tan:
    case ScalarOp::Asin:
    case ScalarOp::Acos:
    case ScalarOp::Atan:
    case ScalarOp::Sinh:
    case ScalarOp::Cosh:
    case ScalarOp::Asinh:
    case ScalarOp::Acosh:
    case ScalarOp::Atanh:
      return 80;
    default:
      return 1;
  }
}

bool Loop::hasRows() const { return std::ranges::find(reduced, true) != reduced.end(); }

int Loop::work() const {
  int total = 0;
  for (const Pass& pass : passes) {
    total += static_cast<int>(pass.elements.inputs.size() + pass.elements.outputs.size() +
                              pass.folds.size());
    for (const ScalarNode& node : pass.elements.program.nodes) total += operationWork(node.op);
  }
  return total;
}

namespace {

using Place = Loop::Place;

// A value that later passes need again is computed again when that takes less than this.
constexpr int kWorkWorthKeeping = 10;

class PassBuilder {
 public:
  PassBuilder(Loop& loop, const LoopDraft& draft)
      : loop_(loop), draft_(draft), nodes_(draft.program.nodes) {
    outputs_ = draft.outputOperands.size();
  }

  void run() {
    findLevels();
    const int last = lastPass();
    loop_.passes.resize(static_cast<size_t>(last) + 1);
    for (size_t fold = 0; fold < draft_.folds.size(); ++fold)
      foldScalar_.push_back(newScalar(nodes_[argumentOf(fold)].dtype));
    kept_.resize(loop_.passes.size());
    // From the last pass back: a later one says what an earlier one must keep.
    for (int pass = last; pass >= 0; --pass) makeElements(pass);
    for (int pass = 0; pass <= last; ++pass) makeRow(pass);
  }

 private:
  int argumentOf(size_t fold) const { return draft_.program.outputs[outputs_ + fold]; }
  const Loop::Operand& operandOf(size_t output) const {
    return loop_.operands[static_cast<size_t>(draft_.outputOperands[output])];
  }
  bool isFold(int node) const {
    return nodes_[node].op == ScalarOp::Input && nodes_[node].index >= LoopDraft::kFirstFold;
  }
  int newScalar(DType type) {
    loop_.scalars.push_back(type);
    return static_cast<int>(loop_.scalars.size()) - 1;
  }

  // The first pass in which each value can be computed, and whether it is one a row.
  void findLevels() {
    depth_.assign(nodes_.size(), 0);
    perRow_.assign(nodes_.size(), loop_.hasRows());
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const ScalarNode& node = nodes_[i];
      if (isFold(static_cast<int>(i))) {
        const int argument = argumentOf(node.index - LoopDraft::kFirstFold);
        ensure(argument < static_cast<int>(i), "a fold comes after what it folds");
        depth_[i] = depth_[argument] + 1;
      } else if (node.op == ScalarOp::Input) {
        perRow_[i] = loop_.operands[node.index].perRow;
      }
      for (int arg = 0; arg < scalarArity(node.op); ++arg) {
        depth_[i] = std::max(depth_[i], depth_[node.args[arg]]);
        perRow_[i] = perRow_[i] && perRow_[node.args[arg]];
      }
    }
  }

  int lastPass() const {
    int last = 0;
    for (size_t i = 0; i < outputs_; ++i) last = std::max(last, depth_[draft_.program.outputs[i]]);
    return last;
  }

  bool isRowValue(int node) const { return perRow_[node] && nodes_[node].op != ScalarOp::Constant; }

  // The operations that recomputing a value of an earlier pass takes in a later one.
  int workToRepeat(int node, std::set<int>& seen) const {
    if (!seen.insert(node).second || isRowValue(node)) return 0;
    int work = operationWork(nodes_[node].op);
    for (int arg = 0; arg < scalarArity(nodes_[node].op); ++arg)
      work += workToRepeat(nodes_[node].args[arg], seen);
    return work;
  }

  bool worthKeeping(int node, int pass) const {
    const ScalarOp op = nodes_[node].op;
    if (perRow_[node] || op == ScalarOp::Input || op == ScalarOp::Constant) return false;
    std::set<int> seen;
    return depth_[node] < pass && workToRepeat(node, seen) >= kWorkWorthKeeping;
  }

  int temporaryOf(int node) {
    auto [found, isNew] = temporaries_.emplace(node, static_cast<int>(loop_.temporaries.size()));
    if (isNew) {
      loop_.temporaries.push_back(nodes_[node].dtype);
      kept_[static_cast<size_t>(depth_[node])].push_back(node);
    }
    return found->second;
  }

  // A row's value as the element code of a pass reads it.
  int scalarOf(int node) {
    if (isFold(node)) return foldScalar_[nodes_[node].index - LoopDraft::kFirstFold];
    auto found = rowScalars_.find(node);
    if (found != rowScalars_.end()) return found->second;
    return rowScalars_[node] = newScalar(nodes_[node].dtype);
  }

  // Copies what `roots` need, down to the values that `leaf` places.
  template <typename Leaf>
  ScalarProgram extract(const std::vector<int>& roots, std::vector<Place>& inputs,
                        const Leaf& leaf) {
    ScalarProgram program;
    std::map<int, uint16_t> copied;
    auto copy = [&](auto&& self, int node) -> uint16_t {
      if (auto found = copied.find(node); found != copied.end()) return found->second;
      ScalarNode made = nodes_[node];
      if (std::optional<Place> place = leaf(node)) {
        auto known = std::ranges::find(inputs, *place);
        if (known == inputs.end()) known = inputs.insert(inputs.end(), *place);
        made = {.op = ScalarOp::Input, .dtype = nodes_[node].dtype};
        made.index = static_cast<uint16_t>(known - inputs.begin());
      } else {
        for (int arg = 0; arg < scalarArity(made.op); ++arg)
          made.args[arg] = self(self, made.args[arg]);
      }
      program.nodes.push_back(made);
      return copied[node] = static_cast<uint16_t>(program.nodes.size() - 1);
    };
    for (int root : roots) program.outputs.push_back(copy(copy, root));
    return program;
  }

  void makeElements(int number) {
    Loop::Pass& pass = loop_.passes[static_cast<size_t>(number)];
    std::vector<int> roots;
    for (size_t i = 0; i < outputs_; ++i) {
      const int node = draft_.program.outputs[i];
      if (operandOf(i).perRow || depth_[node] != number) continue;
      roots.push_back(node);
      pass.elements.outputs.push_back({Place::Kind::Operand, draft_.outputOperands[i]});
    }
    for (int node : kept_[static_cast<size_t>(number)]) {
      roots.push_back(node);
      pass.elements.outputs.push_back({Place::Kind::Temporary, temporaries_.at(node)});
    }
    for (size_t fold = 0; fold < draft_.folds.size(); ++fold) {
      if (depth_[argumentOf(fold)] != number) continue;
      roots.push_back(argumentOf(fold));
      pass.folds.push_back({draft_.folds[fold], foldScalar_[fold]});
    }
    pass.elements.program =
        extract(roots, pass.elements.inputs, [&](int node) -> std::optional<Place> {
          const bool isOperand = nodes_[node].op == ScalarOp::Input && !isFold(node);
          if (isOperand) return Place{Place::Kind::Operand, nodes_[node].index};
          if (isRowValue(node)) return Place{Place::Kind::Scalar, scalarOf(node)};
          if (worthKeeping(node, number)) return Place{Place::Kind::Temporary, temporaryOf(node)};
          return std::nullopt;
        });
  }

  void makeRow(int number) {
    Loop::Pass& pass = loop_.passes[static_cast<size_t>(number)];
    std::vector<int> roots;
    for (const auto& [node, scalar] : rowScalars_) {
      if (depth_[node] != number) continue;
      roots.push_back(node);
      pass.row.outputs.push_back({Place::Kind::Scalar, scalar});
    }
    for (size_t i = 0; i < outputs_; ++i) {
      const int node = draft_.program.outputs[i];
      if (!operandOf(i).perRow || depth_[node] != number) continue;
      if (!perRow_[node] && nodes_[node].op != ScalarOp::Constant)
        throw Error(ErrorCode::Unsupported, "an output of one element a row that no fold makes");
      roots.push_back(node);
      pass.row.outputs.push_back({Place::Kind::Operand, draft_.outputOperands[i]});
    }
    pass.row.program = extract(roots, pass.row.inputs, [&](int node) -> std::optional<Place> {
      if (isFold(node)) return Place{Place::Kind::Scalar, scalarOf(node)};
      if (nodes_[node].op == ScalarOp::Input)
        return Place{Place::Kind::Operand, nodes_[node].index};
      return std::nullopt;
    });
  }

  Loop& loop_;
  const LoopDraft& draft_;
  const std::vector<ScalarNode>& nodes_;
  size_t outputs_ = 0;
  std::vector<int> depth_;
  std::vector<bool> perRow_;
  std::vector<int> foldScalar_;
  std::map<int, int> rowScalars_, temporaries_;  // by node
  std::vector<std::vector<int>> kept_;           // by pass: nodes that become temporaries
};

}  // namespace

void splitIntoPasses(Loop& loop, const LoopDraft& draft) { PassBuilder(loop, draft).run(); }

}  // namespace carnot
