#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/operator.h"

namespace carnot {

// A short list of operators that one kernel may carry out as a whole. Local tensors are numbered:
// 0 … inputCount-1 are the inputs, then each step's outputs in order; -1 is an absent optional
// input. Canonical: steps in topological order, inputs in order of first use, no dead steps.
struct Region {
  struct Step {
    Operator op;
    std::vector<int> inputs;
    int firstOutput = 0;
    int outputCount = 1;
    bool isPointwise() const { return op.definition().access == Access::Pointwise; }
    friend bool operator==(const Step&, const Step&) = default;
  };
  int inputCount = 0;
  std::vector<Step> steps;
  std::vector<int> outputs;  // local tensors that leave the region

  static Region single(Operator op, std::span<const bool> inputPresent, int outputCount);
  int tensorCount() const;
  bool isInput(int tensor) const { return tensor >= 0 && tensor < inputCount; }
  const Step* producerOf(int tensor) const;  // null for inputs
  int useCount(int tensor) const;            // by steps; leaving the region not counted
  // The one step that is not pointwise; null when all are. Several: the first.
  const Step* anchor() const;
  bool allPointwise() const;
  // Inputs of the region that its steps write, and the place of each among `outputs` afterwards.
  std::vector<Update> updates() const;
  // With the symbols replaced in attributes that are shapes (Reshape's, Expand's).
  Region substitute(const std::map<std::string, Dim>& bySymbol) const;

  uint64_t hash() const;
  friend bool operator==(const Region&, const Region&) = default;
  std::string label() const;     // "Conv+Add+Relu"
  std::string toString() const;  // "(a,b,c) d=Conv{...}(a,b,c) e=Relu(d) -> e"
  static Region parse(std::string_view text);
};

// Types of every local tensor from the inputs' (entries of absent inputs are ignored). Throws what
// infer throws.
std::vector<TensorType> inferRegion(const Region& region, std::span<const TensorType> inputs,
                                    std::span<const Tensor* const> constants = {});
// The same where contents may be known as expressions; `freshSymbol` as in InferContext.
std::vector<TensorType> inferRegion(const Region& region,
                                    std::span<const InferContext::Input> inputs,
                                    InferContext::FreshSymbol freshSymbol = {});

// Runs each step's reference in turn.
void referenceRegion(const Region& region, const ReferenceContext& context);

// flops of all steps; bytes of what enters and leaves the region. From the types of every local
// tensor, or of the inputs alone; static shapes.
Cost costOf(const Region& region, std::span<const TensorType> types);
Cost costRegion(const Region& region, std::span<const TensorType> inputs,
                std::span<const Tensor* const> constants = {});

// The region's pointwise tail behind one tensor as straight-line code: Input 0 is `from`; the
// others are operands[i - 1], local tensors outside the tail. Covers every step that depends on
// `from` (all of them pointwise, else nullopt).
struct PointwiseTail {
  ScalarProgram program;      // outputs: region.outputs that depend on `from`, in order
  std::vector<int> operands;  // local tensors read beside `from`
};
std::optional<PointwiseTail> pointwiseTail(const Region& region, int from,
                                           std::span<const TensorType> types);
// A region of pointwise steps alone as one program over its inputs.
ScalarProgram pointwiseProgram(const Region& region, std::span<const TensorType> types);

// Whether each image, along the first axis that the symbol `batch` gives, follows from the same
// image of each input that has such: by what the operators are, and by the dims. Windows take a
// batch along their first axis, and a reduction that changes other dims does not reduce that one.
// `types`: of the region's local tensors.
bool keepsImagesApart(const Region& region, std::span<const TensorType> types,
                      const std::string& batch);

}  // namespace carnot
