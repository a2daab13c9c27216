#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/shape.h"
#include "base/tensor.h"
#include "base/visit.h"
#include "ops/scalar.h"

namespace carnot {

struct OpDef;
class OnnxNode;

struct TensorType {
  DType dtype = DType::F32;
  Shape shape;
  friend bool operator==(const TensorType&, const TensorType&) = default;
  std::string toString() const;  // "float32[batch, 3, 224, 224]"
};

// An operator with its attributes: an immutable value.
class Operator {
 public:
  Operator() = default;
  template <typename T>
  static Operator of(T attributes);

  explicit operator bool() const { return definition_ != nullptr; }
  const OpDef& definition() const { return *definition_; }
  std::string_view name() const;
  // The attributes when this is a T, else nullptr.
  template <typename T>
  const T* as() const;
  template <typename T>
  bool is() const {
    return as<T>() != nullptr;
  }
  FieldMap fields() const;
  uint64_t hash() const;
  friend bool operator==(const Operator& a, const Operator& b);
  std::string toString() const;  // "Softmax{axis=-1}", fields at their defaults left out
  static Operator parse(std::string_view text);

 private:
  const OpDef* definition_ = nullptr;
  std::shared_ptr<const void> attributes_;
  friend struct OpDef;
};

// The largest integer tensor whose contents are followed as expressions.
inline constexpr int64_t kMaxContents = 64;

// What shape inference sees of one operator's use, and what it gives back.
struct InferContext {
  struct Input {
    const TensorType* type = nullptr;  // null: this optional input is absent
    const Tensor* constant = nullptr;  // contents, when constant
    // Contents of a small integer or Bool tensor as expressions, when known; row-major.
    const std::vector<Dim>* contents = nullptr;
  };
  struct Output {
    TensorType type;
    std::optional<std::vector<Dim>> contents;
  };
  struct Guard {  // must hold when shapes are set
    Dim a, b;
    std::string what;
  };

  std::span<const Input> inputs;
  std::vector<Output> outputs;  // sized by the caller to the node's output count
  std::vector<Guard> guards;
  // Makes a symbol for a dim that depends on data; `upper` bounds it.
  using FreshSymbol = std::function<Dim(std::string_view hint, Dim upper)>;
  FreshSymbol freshSymbol;

  bool has(size_t i) const { return i < inputs.size() && inputs[i].type; }
  const TensorType& type(size_t i) const;  // throws Error (InvalidModel) when absent
  const Shape& shape(size_t i) const { return type(i).shape; }
  size_t rank(size_t i) const { return shape(i).rank(); }
  DType dtype(size_t i) const { return type(i).dtype; }
  // Contents of input i as expressions, from a constant or from known contents; nullopt otherwise.
  std::optional<std::vector<Dim>> contentsOf(size_t i) const;
  void setOutput(size_t i, DType dtype, Shape shape) {
    outputs[i].type = {dtype, std::move(shape)};
  }
  // Yes: nothing. Unknown: adds a guard. No: throws Error (InvalidModel) saying what.
  void requireEqual(const Dim& a, const Dim& b, std::string_view what);
  void require(bool condition, std::string_view has, std::string_view needs) const;
  void requireSameDType(size_t i, size_t j) const;
};

// NumPy broadcasting (ONNX "multidirectional"); adds guards through `context`.
Shape broadcastShapes(InferContext& context, const Shape& a, const Shape& b);

// Concrete tensors in, concrete tensors out; outputs are allocated with the inferred dims. An
// absent optional input has data == nullptr.
struct ReferenceContext {
  std::span<const TensorView> inputs;
  std::span<const TensorView> outputs;
  // Set when an output's dims depend on data: allocates output i with these dims.
  std::function<TensorView(size_t output, std::vector<int64_t> dims)> allocate;

  bool has(size_t i) const { return i < inputs.size() && inputs[i].data; }
  const TensorView& in(size_t i) const { return inputs[i]; }
  const TensorView& out(size_t i) const { return outputs[i]; }
};

// Arithmetic operations (a multiply-add counts two) and bytes that must move between memory and the
// operator, at concrete shapes.
struct Cost {
  double flops = 0;
  double bytes = 0;
};
struct CostContext {
  std::span<const TensorType> inputs;  // static shapes; rank-0 F32 for absent ones
  std::span<const TensorType> outputs;
  double elements(size_t output = 0) const;
  double allBytes() const;  // every input and output once
};

// How an operator's output elements depend on its inputs' elements.
enum class Access : uint8_t {
  Pointwise,  // same index, with broadcasting
  Reduce,     // a whole row along some axes: softmax, norms, reductions
  Permute,    // one element each, index remapped: transpose, slice, concat, gather
  Window,     // a neighbourhood or a contraction: convolution, pooling, matrix product, attention
  View,       // same bytes, other dims: reshape
  Opaque,     // anything else
};

// Bytes that an operator only puts elsewhere: one tensor lies inside the other as a contiguous run
// when both are plain, so that nothing need be copied.
struct Placement {
  size_t input = 0;
  bool inputInside = false;  // the input lies inside the output (concat); else the output inside it
  Dim offset;                // elements
};

// An operand that an operator writes: the output is that operand's memory after the step, so
// kernels are given one address for both. The operand is a state, or comes to its reference apart,
// which then starts from a copy.
struct Update {
  size_t input = 0, output = 0;
  friend bool operator==(const Update&, const Update&) = default;
};

// One way that an ONNX node type is written in these operators.
struct OnnxMapping {
  std::string_view domain;  // "" is ai.onnx
  std::string_view type;
  int sinceOpset;  // inclusive
  int untilOpset;  // inclusive; 0 is open
  void (*import)(OnnxNode& node);
};

// The row of one operator: everything the compiler knows of it.
struct OpDef {
  std::string_view name;
  Access access = Access::Opaque;
  bool commutative = false;
  bool deterministic = true;
  Operator (*make)(const FieldMap& fields) = nullptr;
  FieldMap (*fieldsOf)(const void* attributes) = nullptr;
  void (*infer)(const Operator& op, InferContext& context) = nullptr;
  void (*reference)(const Operator& op, const ReferenceContext& context) = nullptr;
  Cost (*cost)(const Operator& op, const CostContext& context) = nullptr;
  // Pointwise operators only: one element of the output from one element of each input.
  ScalarValue (*expression)(const Operator& op, ScalarBuilder& builder,
                            std::span<const ScalarValue> inputs) = nullptr;
  // Operators that move bytes only; null for others. Empty when this use needs a copy. Outputs of
  // the context hold the inferred types.
  std::vector<Placement> (*placements)(const Operator& op, const InferContext& context) = nullptr;
  std::vector<Update> updates;  // operands that are written; most operators have none
  std::vector<OnnxMapping> onnx;
};

// Each operator's .cpp specializes this for its struct; ops.inc lists the structs.
template <typename T>
const OpDef& definitionOf();

// Every operator, in the order of ops.inc.
std::span<const OpDef* const> allOperators();
const OpDef* findOperator(std::string_view name);

template <typename T>
Operator Operator::of(T attributes) {
  Operator op;
  op.definition_ = &definitionOf<T>();
  op.attributes_ = std::make_shared<const T>(std::move(attributes));
  return op;
}

template <typename T>
const T* Operator::as() const {
  if (definition_ != &definitionOf<T>()) return nullptr;
  return static_cast<const T*>(attributes_.get());
}

}  // namespace carnot
