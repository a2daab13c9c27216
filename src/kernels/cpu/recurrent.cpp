#include <fmt/core.h>

#include <algorithm>
#include "base/error.h"
#include "base/threads.h"
#include "kernels/cpu/recurrent_problem.h"
#include "kernels/cpu/tile_kernels.h"
#include "kernels/parameters.h"

namespace carnot {
namespace {

using Inputs = RecurrentProblem;

constexpr int64_t kRowsOfBlock = 96;                  // of the batch, whose states are at work
constexpr int64_t kFloatsOfGates = int64_t{1} << 18;  // that steps ahead take of a thread's cache
constexpr int kMostRowsOfTile = 8;

const RecurrentLoops& loopsOf(IsaSet isa) {
  if (isa.has(Isa::Avx512)) return recurrentLoopsAvx512();
  return isa.has(Isa::Avx2) ? recurrentLoopsAvx2() : recurrentLoopsPortable();
}

// Work as [directions × batch × hidden] parts. Parts that share the hidden units of the same rows
// wait for each other at every step.
struct Partition {
  int directions = 1, batch = 1, hidden = 1;
  int parts() const { return directions * batch * hidden; }
};

struct Sizes {
  int64_t time = 0, batch = 0, size = 0, hidden = 0, directions = 1;
};

Partition choosePartition(const Sizes& sizes, const RecurrentWeights& weights, int mostRows,
                          const DeviceTraits& device) {
  const int threads = std::max(1, device.threads);
  Partition best;
  double bestCycles = 0;
  for (int directions = 1; directions <= std::min<int64_t>(threads, sizes.directions); ++directions)
    for (int batch = 1; batch <= std::min<int64_t>(threads / directions, sizes.batch); ++batch)
      for (int hidden = 1; hidden <= threads / directions / batch; ++hidden) {
        const auto rows = static_cast<double>((sizes.batch + batch - 1) / batch);
        const double tiles = std::max(1.0, rows / mostRows);
        const auto time = static_cast<double>(sizes.time);
        double step = 0, input = 0, bytes = 0;
        for (const auto& stage : weights.stages) {
          const auto panels = static_cast<double>((stage.panels + hidden - 1) / hidden);
          if (hidden > stage.panels) step += 1e12;
          bytes += panels * static_cast<double>(stage.statePanel) * 4;
          // Two multiply-adds a cycle, one line of weights from the second cache, a share of one
          // from beyond.
          const double lines = panels * static_cast<double>(stage.statePanel) / 16;
          step += lines * std::max(rows / 2, tiles) + panels * rows * 60;
          input += panels * static_cast<double>(stage.inputPanel) / 16 * rows * time / 2;
          if (hidden > 1) step += 1500;
        }
        if (bytes > 0.8 * static_cast<double>(device.l2Bytes)) step += bytes / 24;
        const double passes = static_cast<double>((sizes.directions + directions - 1) / directions);
        double cycles = passes * (time * step + input);
        if (directions * batch * hidden > 1) cycles += 8000;
        if (bestCycles != 0 && cycles >= bestCycles) continue;
        bestCycles = cycles;
        best = {directions, batch, hidden};
      }
  return best;
}

class BoundRecurrent final : public BoundKernel {
 public:
  explicit BoundRecurrent(const BindArguments& arguments)
      : stored_(decodeProblem(arguments.parameters, arguments.device)),
        loops_(loopsOf(stored_.problem.device.isa)),
        problem_(analyzed()),
        weights_(problem_.op, problem_.size, problem_.hidden, loops_.lanes) {
    if (arguments.weights.size() != 1 || arguments.weights[0].dtype != DType::F32 ||
        arguments.weights[0].count() != weights_.floats * problem_.op.directions())
      throwBadParameters("the packed weights have the wrong size");
    packed_ = arguments.weights[0].as<const float>();
    positions_.fill(0);
    for (size_t input : {Inputs::kX, Inputs::kLengths, Inputs::kH, Inputs::kC})
      if (problem_.inputs[input] >= 0)
        positions_[input] = positionOf(problem_.runtimeInputs, problem_.inputs[input]);
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override;

 private:
  friend class RecurrentExecutable;
  RecurrentProblem analyzed() const {
    auto analysis = recurrentProblem(stored_.problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) throwBadParameters(refusal->reason);
    return std::get<RecurrentProblem>(std::move(analysis));
  }

  StoredProblem stored_;
  const RecurrentLoops& loops_;
  RecurrentProblem problem_;
  RecurrentWeights weights_;
  const float* packed_ = nullptr;
  std::array<size_t, Inputs::kCount> positions_;  // among the inputs of a run
};

// The products with the inputs of many steps come first, as one; then step after step those with
// the state, whose sums the cell's functions take from registers.
class RecurrentExecutable final : public Executable {
 public:
  RecurrentExecutable(const BoundRecurrent& owner, const Sizes& sizes)
      : owner_(owner), loops_(owner.loops_), sizes_(sizes) {
    int mostRows = kMostRowsOfTile;
    for (const auto& stage : weights().stages)
      mostRows = std::min(mostRows, loops_.mostRows[static_cast<int>(stage.stage)]);
    partition_ = choosePartition(sizes, weights(), mostRows, owner.stored_.problem.device);
    const int64_t rows = (sizes.batch + partition_.batch - 1) / partition_.batch;
    blocks_ = (rows + kRowsOfBlock - 1) / kRowsOfBlock;
    rowsOfBlock_ = blocks_ == 0 ? 0 : (rows + blocks_ - 1) / blocks_;
    for (const auto& stage : weights().stages)
      gatesOfRow_ += (stage.panels + partition_.hidden - 1) / partition_.hidden * stage.width;
    const int64_t ahead = kFloatsOfGates / std::max<int64_t>(1, gatesOfRow_ * rowsOfBlock_);
    stepsAhead_ = std::clamp<int64_t>(ahead, 1, std::max<int64_t>(1, sizes.time));
    passes_ = (sizes.directions + partition_.directions - 1) / partition_.directions;
  }

  size_t workspaceBytes() const override {
    if (sizes_.batch == 0) return 0;
    const int64_t groups = partition_.directions * partition_.batch;
    return static_cast<size_t>(groups * groupFloats() + partition_.parts() * partFloats()) *
           sizeof(float);
  }

  void run(const RunArguments& arguments) const override {
    if (sizes_.batch == 0) return;
    const int64_t most = mostSteps(arguments);
    const auto stages = static_cast<int64_t>(weights().stages.size());
    // Of a block of rows in a direction: its first states, then every step's stages.
    const int64_t each = 1 + most * stages, all = passes_ * blocks_ * each;
    auto body = [&](int part, int64_t step) {
      runStep(arguments, most, part, step / each, step % each);
    };
    if (partition_.hidden > 1)
      arguments.pool->runSteps(partition_.parts(), all, body);
    else
      arguments.pool->run(partition_.parts(), [&](int part) {
        for (int64_t step = 0; step < all; ++step) body(part, step);
      });
  }

 private:
  const RecurrentProblem& problem() const { return owner_.problem_; }
  const RecurrentWeights& weights() const { return owner_.weights_; }

  // h twice, c, update and kept of a block's rows, shared by the parts of the hidden units.
  enum State { kH0, kH1, kC, kUpdate, kKept, kStates };
  int64_t stateFloats() const { return rowsOfBlock_ * weights().units; }
  int64_t groupFloats() const { return kStates * stateFloats(); }
  // The gates that came of the inputs, and a row of outputs that nobody asked for.
  int64_t partFloats() const { return stepsAhead_ * rowsOfBlock_ * gatesOfRow_ + weights().units; }

  template <typename T>
  const T* input(const RunArguments& arguments, Inputs::Input which) const {
    return static_cast<const T*>(arguments.inputs[owner_.positions_[which]]);
  }
  float* output(const RunArguments& arguments, size_t which) const {
    const int at = problem().outputs[which];
    return at < 0 ? nullptr : static_cast<float*>(arguments.outputs[at]);
  }

  int64_t lengthOf(const RunArguments& arguments, int64_t row) const {
    if (!problem().has(Inputs::kLengths)) return sizes_.time;
    const auto at = static_cast<size_t>(problem().inputs[Inputs::kLengths]);
    return owner_.stored_.problem.inputs[at].dtype == DType::I64
               ? input<int64_t>(arguments, Inputs::kLengths)[row]
               : input<int32_t>(arguments, Inputs::kLengths)[row];
  }

  int64_t mostSteps(const RunArguments& arguments) const {
    if (!problem().has(Inputs::kLengths)) return sizes_.time;
    int64_t most = 0;
    for (int64_t row = 0; row < sizes_.batch; ++row) {
      const int64_t length = lengthOf(arguments, row);
      if (length < 0 || length > sizes_.time)
        throw Error(ErrorCode::InvalidArgument, fmt::format("a sequence of length {}", length),
                    fmt::format("at most {}", sizes_.time));
      most = std::max(most, length);
    }
    return most;
  }

  // What a part works on: a direction, some rows of the batch, some panels of every stage.
  struct Work {
    int64_t direction;
    Range rows;
    int hiddenPart;
    const float* packed;
    float* states;
    float* gates;
    float* unasked;

    float* state(const RecurrentExecutable& of, int64_t which) const {
      return states + which * of.stateFloats();
    }
  };

  Work workOf(const RunArguments& arguments, int part, int64_t pass) const {
    const int group = part / partition_.hidden;
    const int64_t direction = group / partition_.batch + pass / blocks_ * partition_.directions;
    const Range mine = partOf(sizes_.batch, group % partition_.batch, partition_.batch);
    const Range rows = partOf(mine.size(), pass % blocks_, blocks_);
    auto* memory = static_cast<float*>(arguments.workspace);
    float* gates =
        memory + partition_.directions * partition_.batch * groupFloats() + part * partFloats();
    return {direction,
            {mine.begin + rows.begin, mine.begin + rows.end},
            part % partition_.hidden,
            owner_.packed_ + direction * weights().floats,
            memory + group * groupFloats(),
            gates,
            gates + partFloats() - weights().units};
  }

  Range panelsOf(const RecurrentWeights::Stage& stage, const Work& work) const {
    return partOf(stage.panels, work.hiddenPart, partition_.hidden);
  }
  // The part's hidden units; the same whichever stage is asked, since all have panels alike.
  Range unitsOf(const Work& work) const {
    const auto& stage = weights().stages[0];
    const Range panels = panelsOf(stage, work);
    const int64_t each = int64_t{loops_.lanes} * blocksOf(stage.stage);
    return {panels.begin * each, panels.end * each};
  }

  // `most`: steps of the longest sequence.
  void runStep(const RunArguments& arguments, int64_t most, int part, int64_t pass,
               int64_t step) const {
    const Work work = workOf(arguments, part, pass);
    if (work.direction >= sizes_.directions || work.rows.size() == 0) return;
    const auto stages = static_cast<int64_t>(weights().stages.size());
    if (step == 0) {
      begin(arguments, work);
    } else {
      const int64_t i = (step - 1) / stages, stage = (step - 1) % stages;
      if (stage == 0 && i % stepsAhead_ == 0)
        multiplyInputs(arguments, work, i, std::min(stepsAhead_, most - i));
      runStage(arguments, work, i, static_cast<size_t>(stage));
    }
    if (step == most * stages) end(arguments, work, most);
  }

  // The row's element that step i takes.
  int64_t timeOf(const Work& work, int64_t length, int64_t i) const {
    return problem().reverse(work.direction) ? length - 1 - i : i;
  }
  float* yOf(const RunArguments& arguments, const Work& work, int64_t row, int64_t t) const {
    float* y = output(arguments, 0);
    return y + ((t * sizes_.directions + work.direction) * sizes_.batch + row) * sizes_.hidden;
  }

  void begin(const RunArguments& arguments, const Work& work) const {
    const Range units = unitsOf(work);
    const int64_t present = std::min(units.end, sizes_.hidden) - units.begin;
    for (int64_t row = work.rows.begin; row < work.rows.end; ++row) {
      const int64_t place = (row - work.rows.begin) * weights().units + units.begin;
      const int64_t from = (work.direction * sizes_.batch + row) * sizes_.hidden + units.begin;
      for (auto [which, state] : {std::pair{Inputs::kH, kH0}, std::pair{Inputs::kC, kC}}) {
        float* to = work.state(*this, state) + place;
        std::fill_n(to, units.size(), 0.0f);
        if (problem().has(which) && present > 0)
          std::copy_n(input<float>(arguments, which) + from, present, to);
      }
      if (!output(arguments, 0) || present <= 0) continue;
      for (int64_t t = lengthOf(arguments, row); t < sizes_.time; ++t)
        std::fill_n(yOf(arguments, work, row, t) + units.begin, present, 0.0f);
    }
  }

  void end(const RunArguments& arguments, const Work& work, int64_t steps) const {
    const Range units = unitsOf(work);
    const int64_t present = std::min(units.end, sizes_.hidden) - units.begin;
    if (present <= 0) return;
    for (size_t which : {1, 2}) {
      float* to = output(arguments, which);
      if (!to) continue;
      const float* from = work.state(*this, which == 2 ? int64_t{kC} : kH0 + steps % 2);
      for (int64_t row = work.rows.begin; row < work.rows.end; ++row)
        std::copy_n(from + (row - work.rows.begin) * weights().units + units.begin, present,
                    to + (work.direction * sizes_.batch + row) * sizes_.hidden + units.begin);
    }
  }

  // Gates of the part's stage before `stage`.
  int64_t gatesBefore(size_t stage, const Work& work, int64_t rows) const {
    int64_t floats = 0;
    for (size_t i = 0; i < stage; ++i)
      floats += panelsOf(weights().stages[i], work).size() * weights().stages[i].width * rows;
    return floats;
  }

  // The gates of `steps` steps from i on that come of the inputs: [stage][step][row][panel].
  void multiplyInputs(const RunArguments& arguments, const Work& work, int64_t i,
                      int64_t steps) const {
    const int64_t rows = work.rows.size() * steps;
    const auto* x = input<float>(arguments, Inputs::kX);
    for (size_t s = 0; s < weights().stages.size(); ++s) {
      const auto& stage = weights().stages[s];
      const Range panels = panelsOf(stage, work);
      const int64_t stride = panels.size() * stage.width;
      float* out = work.gates + gatesBefore(s, work, stepsAhead_ * work.rows.size());
      const RowTiles tiles = rowTiles(rows, loops_.mostRows[static_cast<int>(stage.stage)]);
      for (int64_t panel = panels.begin; panel < panels.end; ++panel)
        for (int64_t tile = 0; tile < tiles.count(); ++tile) {
          const float* pointers[kMostRowsOfTile];
          const int64_t first = tiles.firstRow(tile), last = tiles.firstRow(tile + 1);
          for (int64_t at = first; at < last; ++at) {
            const int64_t row = work.rows.begin + at % work.rows.size();
            // Of a sequence that has ended, any element.
            const int64_t t = std::max<int64_t>(
                0, timeOf(work, lengthOf(arguments, row), i + at / work.rows.size()));
            pointers[at - first] = x + (t * sizes_.batch + row) * sizes_.size;
          }
          loops_.input(stage.stage,
                       {.rows = static_cast<int>(last - first),
                        .k = sizes_.size,
                        .x = pointers,
                        .panel = work.packed + stage.input + panel * stage.inputPanel,
                        .bias = work.packed + stage.bias + panel * stage.width,
                        .out = out + first * stride + (panel - panels.begin) * stage.width,
                        .outStride = stride});
        }
    }
  }

  void runStage(const RunArguments& arguments, const Work& work, int64_t i, size_t s) const {
    const auto& stage = weights().stages[s];
    const Range panels = panelsOf(stage, work);
    const int64_t stride = weights().units, gatesStride = panels.size() * stage.width;
    const int64_t unitsOfPanel = int64_t{loops_.lanes} * blocksOf(stage.stage);
    const float* h = work.state(*this, i % 2 ? kH1 : kH0);
    float* next = work.state(*this, i % 2 ? kH0 : kH1);
    const float* gates = work.gates + gatesBefore(s, work, stepsAhead_ * work.rows.size()) +
                         i % stepsAhead_ * work.rows.size() * gatesStride;
    const RowTiles tiles =
        rowTiles(work.rows.size(), loops_.mostRows[static_cast<int>(stage.stage)]);
    const bool asked = output(arguments, 0) != nullptr;
    RecurrentTile tile{.k = sizes_.hidden, .stride = stride, .peepholeStride = weights().units};
    for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
      const int64_t unit = panel * unitsOfPanel;
      tile.units = sizes_.hidden - unit;
      tile.panel = work.packed + stage.state + panel * stage.statePanel;
      tile.stateBias = work.packed + weights().stateBias + unit;
      if (problem().has(Inputs::kPeepholes))
        tile.peepholes = work.packed + weights().peepholes + unit;
      for (int64_t index = 0; index < tiles.count(); ++index) {
        const int64_t first = tiles.firstRow(index), place = first * stride + unit;
        tile.rows = static_cast<int>(tiles.firstRow(index + 1) - first);
        float* y[kMostRowsOfTile];
        for (int row = 0; row < tile.rows; ++row) {
          const int64_t inBatch = work.rows.begin + first + row;
          const int64_t length = lengthOf(arguments, inBatch);
          y[row] = i >= length ? nullptr
                   : asked     ? yOf(arguments, work, inBatch, timeOf(work, length, i)) + unit
                               : work.unasked + unit;
        }
        tile.y = y;
        tile.fromInput = gates + first * gatesStride + (panel - panels.begin) * stage.width;
        tile.fromInputStride = gatesStride;
        tile.state = (stage.stage == RecurrentStage::GruCandidate ? work.state(*this, kKept) : h) +
                     first * stride;
        tile.h = h + place;
        tile.next = next + place;
        tile.c = work.state(*this, kC) + place;
        tile.update = work.state(*this, kUpdate) + place;
        tile.kept = work.state(*this, kKept) + place;
        loops_.step(stage.stage, problem().formulas[static_cast<size_t>(work.direction)], tile);
      }
    }
  }

  const BoundRecurrent& owner_;
  const RecurrentLoops& loops_;
  Sizes sizes_;
  Partition partition_;
  int64_t blocks_ = 0, rowsOfBlock_ = 0;  // of the rows of a part
  int64_t gatesOfRow_ = 0;                // floats, of one step and part
  int64_t stepsAhead_ = 1;
  int64_t passes_ = 1;  // directions that a part takes after each other
};

std::unique_ptr<Executable> BoundRecurrent::specialize(const ConcreteShapes& shapes) const {
  concreteTypes(stored_, problem_.runtimeInputs, shapes);
  const std::vector<int64_t>& x = shapes.inputs[positions_[Inputs::kX]];
  return std::make_unique<RecurrentExecutable>(
      *this, Sizes{x[0], x[1], problem_.size, problem_.hidden, problem_.op.directions()});
}

class RecurrentKernel final : public Kernel {
 public:
  std::string_view name() const override { return "cpu/recurrent"; }

  Support supports(const Problem& problem) const override {
    auto analysis = recurrentProblem(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    return std::vector<Configuration>{
        {{}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())}};
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    auto analysis = recurrentProblem(problem);
    const auto& recurrent = std::get<RecurrentProblem>(analysis);
    return {encodeProblem(problem, configuration),
            {packRecurrent(problem, recurrent, loopsOf(problem.device.isa).lanes)},
            recurrent.runtimeInputs};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundRecurrent>(arguments);
  }
};

}  // namespace

const Kernel& recurrent() {
  static const RecurrentKernel kernel;
  return kernel;
}

}  // namespace carnot
