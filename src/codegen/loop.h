#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "ops/region.h"

namespace carnot {

enum class Fold : uint8_t { Sum, Prod, Max, Min };  // Max and Min as ScalarOp's

// A region as loops over memory, for any instruction set and device. The loop's axes are those of
// the largest tensor. Some axes may be reduced: together they are a row, and code of a row runs in
// passes, each one program over the row's elements that stores or folds what it computes; between
// passes, programs over single values of the row. Without reduced axes there is one pass and no
// row.
//
// Softmax: a pass that folds the maximum; one that keeps exp(x - maximum) and folds its sum; one
// that multiplies by the sum's reciprocal.
struct Loop {
  // A tensor in memory.
  struct Operand {
    enum class Kind : uint8_t {
      Input,
      Output,
      Count,  // one number: how many elements a row has
    };
    Kind kind = Kind::Input;
    int index = 0;  // of the region's inputs or outputs
    DType dtype = DType::F32;
    std::vector<int> axes;  // the loop's axis of each of the tensor's axes
    bool perRow = false;    // extent 1 along every reduced axis
    friend bool operator==(const Operand&, const Operand&) = default;
  };
  // What a program's Input reads, or where its output goes.
  struct Place {
    enum class Kind : uint8_t {
      Operand,
      Scalar,     // one value a row, kept during the row
      Temporary,  // one value an element, kept during the row
    };
    Kind kind = Kind::Operand;
    int index = 0;
    friend bool operator==(const Place&, const Place&) = default;
  };
  struct Code {
    ScalarProgram program;
    std::vector<Place> inputs, outputs;
    bool empty() const { return program.outputs.empty(); }
  };
  struct Pass {
    // Once a row, before the elements. Writes Scalars and operands that are perRow.
    Code row;
    // Once an element. The program's first outputs go to `elements.outputs`, the others are folded.
    Code elements;
    struct Into {
      Fold fold;
      int scalar;
    };
    std::vector<Into> folds;
  };

  int rank = 0;
  std::vector<bool> reduced;  // by axis
  std::vector<Operand> operands;
  std::vector<DType> scalars, temporaries;
  std::vector<Pass> passes;
  int channelAxis = -1;  // of tensors [N, C, spatial...] that span the loop; -1 below rank 3
  // More than 1: the channel axis, which is reduced, is so within each of as many equal groups.
  int64_t channelGroups = 1;

  bool hasRows() const;
  // Scalar operations of one element over all passes, functions counted by their lowered size.
  int work() const;
};

// The region as a loop, or why it is none. `types` are of all local tensors (symbolic dims are
// fine); `constants` by region input, null where there is none: single values become part of the
// code.
std::variant<Loop, std::string> describeLoop(const Region& region,
                                             std::span<const TensorType> types,
                                             std::span<const Tensor* const> constants);

// About what an operation costs beside an addition.
int operationWork(ScalarOp op);

// Inside describeLoop: a program of one element, the folds in it read as Inputs from kFirstFold on;
// its outputs are the region's, then what each fold takes.
struct LoopDraft {
  static constexpr int kFirstFold = 0x8000;
  ScalarProgram program;
  std::vector<Fold> folds;
  std::vector<int> outputOperands;  // by output of the region
};
void splitIntoPasses(Loop& loop, const LoopDraft& draft);

}  // namespace carnot
