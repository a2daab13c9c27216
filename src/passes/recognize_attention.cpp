#include <algorithm>
#include <limits>

#include "ops/attention.h"
#include "ops/mat_mul.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/reshape.h"
#include "ops/softmax.h"
#include "ops/transpose.h"
#include "ops/where.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Masking by a number below this leaves nothing of the score it replaces or is added to.
constexpr double kMaskedOut = -1e9;

// softmax(scale * q k^T + mask), taken apart from its end.
struct Scores {
  Value* q = nullptr;
  Value* k = nullptr;
  bool keysLast = false;  // k is [..., d, keys]
  double scale = 1;
  // Added to the scores; or, as Bool, says which scores stay (or go, when `negated`).
  Value* mask = nullptr;
  bool negated = false;
  // Where `mask` holds (or not, when `negated`), this number replaces the scores.
  std::optional<double> replacement;
};

// The operand of x * c or x / c, multiplying `scale` by the factor; null for other nodes.
Value* stripFactor(const Node* node, double& scale) {
  if (!node || !(node->as<Mul>() || node->as<Div>())) return nullptr;
  const WithConstant parts = withConstant(node);
  std::optional<double> factor = scalarOf(parts.constant);
  if (!factor || *factor == 0 || parts.operand->type != node->outputs[0]->type) return nullptr;
  if (node->as<Div>() && parts.constant == node->inputs[0]) return nullptr;
  scale *= node->as<Div>() ? 1 / *factor : *factor;
  return parts.operand;
}

Value* stripFactors(Value* value, double& scale) {
  while (Value* inner = stripFactor(value->producer, scale)) value = inner;
  return value;
}

// Where(c, 0, -inf) and Where(c, -inf, 0), to be added, are the Bools c and not c.
void simplifyMask(Scores& scores) {
  const Node* where = producerAs<Where>(scores.mask);
  if (!where || scores.replacement) return;
  std::optional<double> whenTrue = uniformOf(where->inputs[1]),
                        whenFalse = uniformOf(where->inputs[2]);
  if (!whenTrue || !whenFalse || where->inputs[0]->type.shape != scores.mask->type.shape) return;
  const bool keeps = *whenTrue == 0 && *whenFalse == -kInfinity;
  const bool drops = *whenTrue == -kInfinity && *whenFalse == 0;
  if (!keeps && !drops) return;
  scores.mask = where->inputs[0];
  scores.negated = drops;
}

class ScoresMatcher {
 public:
  explicit ScoresMatcher(const Graph& graph) : graph_(graph) {}

  // `value`: what enters the softmax, or one of the steps before.
  std::optional<Scores> match(const Value* value, Scores behind) const {
    Node* node = usedOnce(graph_, value) ? value->producer : nullptr;
    if (!node || !node->op) return std::nullopt;
    if (node->as<MatMul>()) return matchProduct(node, behind);
    if (Value* inner = stripFactor(node, behind.scale)) return match(inner, behind);
    // Outside of the mask nothing may scale.
    if (behind.mask || behind.scale != 1) return std::nullopt;
    if (node->as<Add>()) return matchAdd(node, behind);
    if (node->as<Where>()) return matchWhere(node, behind);
    return std::nullopt;
  }

 private:
  std::optional<Scores> matchAdd(const Node* node, const Scores& behind) const {
    for (size_t i = 0; i < 2; ++i) {
      if (node->inputs[i]->type != node->outputs[0]->type) continue;
      Scores scores = behind;
      scores.mask = node->inputs[1 - i];
      if (auto found = match(node->inputs[i], scores)) {
        simplifyMask(*found);
        return found;
      }
    }
    return std::nullopt;
  }

  std::optional<Scores> matchWhere(const Node* node, Scores behind) const {
    for (size_t kept = 1; kept <= 2; ++kept) {
      std::optional<double> other = uniformOf(node->inputs[3 - kept]);
      if (!other || *other > kMaskedOut || node->inputs[kept]->type != node->outputs[0]->type)
        continue;
      behind.mask = node->inputs[0];
      behind.negated = kept == 2;
      behind.replacement = other;
      return match(node->inputs[kept], behind);
    }
    return std::nullopt;
  }

  static std::optional<Scores> matchProduct(const Node* node, Scores scores) {
    if (node->as<MatMul>()->transposeA) return std::nullopt;
    scores.keysLast = !node->as<MatMul>()->transposeB;
    scores.q = stripFactors(node->inputs[0], scores.scale);
    scores.k = stripFactors(node->inputs[1], scores.scale);
    return scores;
  }

  const Graph& graph_;
};

// The softmax whose result `value` is, or is with NaN replaced by 0 (rows that see no key).
const Node* softmaxOf(const Graph& graph, const Value* value) {
  if (!usedOnce(graph, value)) return nullptr;
  if (const Node* guard = producerAs<Where>(value)) {
    const Value* weights = guard->inputs[2];
    const Node* isNaN = ownProducerAs<IsNaN>(graph, guard->inputs[0]);
    if (!isNaN || isNaN->inputs[0] != weights || uniformOf(guard->inputs[1]) != 0) return nullptr;
    if (weights->consumers.size() != 2 || graph.isOutput(weights)) return nullptr;
    value = weights;
  }
  const Node* node = producerAs<Softmax>(value);
  if (!node || node->as<Softmax>()->logarithm) return nullptr;
  const auto rank = static_cast<int64_t>(value->type.shape.rank());
  return node->as<Softmax>()->axis == rank - 1 ? node : nullptr;
}

// [batch, heads, rows, columns] for a tensor of rank 2, 3 (batch alone) or 4.
Shape fourDims(const Shape& shape, size_t rank) {
  std::vector<Dim> dims(shape.begin(), shape.end());
  while (dims.size() < rank) dims.insert(dims.begin(), 1);
  if (dims.size() == 2) dims.insert(dims.begin(), 1);
  if (dims.size() == 3) dims.insert(dims.begin() + 1, 1);
  return Shape(std::move(dims));
}

class Builder {
 public:
  Builder(Node* root, const Scores& scores)
      : scores_(scores),
        output_(root->outputs[0]),
        v_(root->inputs[1]),
        rank_(output_->type.shape.rank()),
        patch_("attention", root) {}

  Proposal build() && {
    if (rank_ < 2 || rank_ > 4 || !isFloat(output_->type.dtype) || !sameOuterDims())
      return std::nullopt;
    std::vector<Patch::Ref> inputs{fourDims(scores_.q, scores_.q->type.shape), keys(),
                                   fourDims(v_, v_->type.shape)};
    if (scores_.mask) inputs.push_back(mask());
    Patch::Ref result =
        patch_.add(Operator::of(Attention{scores_.scale, Causal::None}), std::move(inputs));
    if (rank_ < 4) result = patch_.add(Operator::of(Reshape{output_->type.shape}), {result});
    patch_.replace(output_, result);
    return std::move(patch_);
  }

 private:
  bool sameOuterDims() const {
    const Shape &q = scores_.q->type.shape, &k = scores_.k->type.shape, &v = v_->type.shape;
    if (q.rank() != rank_ || k.rank() != rank_ || v.rank() != rank_) return false;
    for (size_t axis = 0; axis + 2 < rank_; ++axis)
      if (q[axis] != k[axis] || q[axis] != v[axis]) return false;
    return true;
  }

  Patch::Ref fourDims(Patch::Ref tensor, const Shape& shape) {
    const Shape wanted = carnot::fourDims(shape, rank_);
    return wanted == shape ? tensor : patch_.add(Operator::of(Reshape{wanted}), {tensor});
  }

  // As [batch, heads, keys, d].
  Patch::Ref keys() {
    Value* k = scores_.k;
    Shape shape = k->type.shape;
    if (!scores_.keysLast) return fourDims(k, shape);
    std::swap(shape[rank_ - 1], shape[rank_ - 2]);
    std::vector<int64_t> perm;
    const Node* move = producerAs<Transpose>(k);
    perm.reserve(rank_);
    for (size_t axis = 0; axis < rank_; ++axis)
      perm.push_back(move ? move->as<Transpose>()->perm[axis] : static_cast<int64_t>(axis));
    std::swap(perm[rank_ - 1], perm[rank_ - 2]);
    Value* from = move ? stripFactors(move->inputs[0], scores_.scale) : k;
    return fourDims(std::is_sorted(perm.begin(), perm.end())
                        ? Patch::Ref(from)
                        : patch_.add(Operator::of(Transpose{std::move(perm)}), {from}),
                    shape);
  }

  Patch::Ref mask() {
    Value* mask = scores_.mask;
    Patch::Ref result = mask;
    if (scores_.replacement && *scores_.replacement != -kInfinity) {
      // Added to a score, the number leaves nothing of it.
      Patch::Ref none = patch_.scalar(output_->type.dtype, 0),
                 all = patch_.scalar(output_->type.dtype, *scores_.replacement);
      result = patch_.add(Operator::of(Where{}),
                          {mask, scores_.negated ? all : none, scores_.negated ? none : all});
    } else if (scores_.negated) {
      result = patch_.add(Operator::of(Not{}), {mask});
    }
    return fourDims(result, mask->type.shape);
  }

  Scores scores_;
  Value* output_;
  Value* v_;
  size_t rank_;
  Patch patch_;
};

}  // namespace

// softmax(scale * q k^T + mask) v. The scale may stand behind the product, or on q, or on k, or on
// both as its root; the mask is added or chosen by Where; k may come transposed.
Proposal recognizeAttention(const Graph& graph, Node* node, const PassOptions&) {
  const auto* product = node->as<MatMul>();
  if (!product || product->transposeA || product->transposeB) return std::nullopt;
  const Node* softmax = softmaxOf(graph, node->inputs[0]);
  if (!softmax) return std::nullopt;
  std::optional<Scores> scores = ScoresMatcher(graph).match(softmax->inputs[0], {});
  if (!scores) return std::nullopt;
  return Builder(node, *scores).build();
}

}  // namespace carnot
