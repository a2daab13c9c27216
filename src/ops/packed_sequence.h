#pragma once

#include <vector>

#include "ops/operator.h"

namespace carnot {

// A sequence of tensors of one element type whose number only a run knows travels as three tensors
// of one dim each: all elements of all tensors one after another, row-major; all their dims one
// after another (int64); and the number of dims of each (int64).
struct PackedSequence {
  // Throws Error (InvalidArgument) where the three do not fit one another.
  PackedSequence(const TensorView& elements, const TensorView& dims, const TensorView& ranks);

  struct Item {
    int64_t offset = 0, count = 0;  // in `elements`
    std::vector<int64_t> dims;
  };
  TensorView elements;
  std::vector<Item> items;

  // The place that a position names, counted from the end when negative. Throws Error
  // (InvalidArgument) outside [-size, size - 1 + beyond].
  size_t place(const TensorView& position, int64_t beyond = 0) const;
};

// Allocates outputs 0, 1 and 2 for so many items of these dims, fills the dims and ranks, and gives
// the elements.
TensorView allocatePacked(const ReferenceContext& context,
                          const std::vector<std::vector<int64_t>>& dims);

// Types outputs 0, 1 and 2 as a sequence of this element type, of sizes that only a run knows.
void inferPacked(InferContext& context, DType dtype);

// One tensor of the sequence. Inputs: elements, dims, ranks, the position.
struct SequenceAt {
  int64_t rank = 0;  // of the tensor; another in the run throws Error (InvalidArgument)

  void visit(auto& fields) { fields("rank", rank); }
};
template <>
const OpDef& definitionOf<SequenceAt>();

// The sequence with a tensor put before a position (none: at the end), or with the one there (none:
// the last) left out. Inputs: elements, dims, ranks, the position if any, the tensor if it inserts.
struct SequenceSplice {
  bool inserts = false;
  bool positioned = false;

  void visit(auto& fields) {
    fields("inserts", inserts);
    fields("positioned", positioned);
  }
};
template <>
const OpDef& definitionOf<SequenceSplice>();

// All tensors of a sequence along one axis, or along a new one. Inputs: elements, dims, ranks.
struct SequenceJoin {
  int64_t axis = 0;  // of the result, not negative
  bool isNew = false;
  int64_t rank = 1;  // of the result

  void visit(auto& fields) {
    fields("axis", axis);
    fields("isNew", isNew);
    fields("rank", rank);
  }
};
template <>
const OpDef& definitionOf<SequenceJoin>();

// A tensor in parts along one axis, as a sequence. Inputs: the tensor; the parts' extents, or one
// number without dims: all but the last are as long as that.
struct SequenceSplit {
  int64_t axis = 0;  // not negative

  void visit(auto& fields) { fields("axis", axis); }
};
template <>
const OpDef& definitionOf<SequenceSplit>();

}  // namespace carnot
