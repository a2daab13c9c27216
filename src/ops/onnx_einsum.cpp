#include "ops/onnx_einsum.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "ops/gather.h"
#include "ops/mat_mul.h"
#include "ops/onnx_axes.h"
#include "ops/reduce.h"

namespace carnot {

namespace {

// Letters stand for their characters; dims under an ellipsis get numbers from kEllipsis on, the
// last dim the highest, so that the shorter of two ellipses meets the end of the longer.
using Labels = std::vector<int>;
constexpr int kEllipsis = 1000, kEllipsisEnd = 2000;

struct Term {
  OnnxNode::Ref value;
  Labels labels;  // one an axis
};

bool contains(const Labels& labels, int label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

[[noreturn]] void throwEquation(const std::string& equation, const char* needs) {
  throw Error(ErrorCode::InvalidModel, fmt::format("equation \"{}\"", equation), needs);
}

// One term's labels; `ellipsisRank`: the dims that "..." stands for.
Labels parseTerm(const std::string& equation, const std::string& term, size_t ellipsisRank) {
  Labels labels;
  for (size_t i = 0; i < term.size(); ++i) {
    if (std::isalpha(static_cast<unsigned char>(term[i]))) {
      labels.push_back(term[i]);
    } else if (term.compare(i, 3, "...") == 0) {
      for (size_t axis = 0; axis < ellipsisRank; ++axis)
        labels.push_back(kEllipsisEnd - static_cast<int>(ellipsisRank - axis));
      i += 2;
    } else {
      throwEquation(equation, "letters, commas, one arrow and an ellipsis a term");
    }
  }
  return labels;
}

size_t letterCount(const std::string& term) {
  return static_cast<size_t>(std::count_if(
      term.begin(), term.end(), [](unsigned char letter) { return std::isalpha(letter); }));
}

struct Equation {
  std::vector<std::string> terms;
  std::optional<std::string> output;
};

Equation parseEquation(const std::string& text) {
  std::string packed;
  std::copy_if(text.begin(), text.end(), std::back_inserter(packed),
               [](char letter) { return letter != ' '; });
  Equation equation;
  const size_t arrow = packed.find("->");
  if (arrow != std::string::npos) equation.output = packed.substr(arrow + 2);
  const std::string inputs = packed.substr(0, arrow);
  for (size_t start = 0;;) {
    const size_t comma = inputs.find(',', start);
    equation.terms.push_back(inputs.substr(start, comma - start));
    if (comma == std::string::npos) return equation;
    start = comma + 1;
  }
}

// Without an arrow: the ellipsis, then the letters that occur once, in alphabetical order.
Labels implicitOutput(const std::vector<Term>& terms) {
  std::vector<int> all, output;
  for (const Term& term : terms) all.insert(all.end(), term.labels.begin(), term.labels.end());
  std::sort(all.begin(), all.end());
  for (int label : all)
    if (label >= kEllipsis && !contains(output, label)) output.push_back(label);
  for (int label : all)
    if (label < kEllipsis && std::count(all.begin(), all.end(), label) == 1)
      output.push_back(label);
  return output;
}

class Einsum {
 public:
  explicit Einsum(OnnxNode& node) : node_(node) {}

  // A repeated letter walks the diagonal: both axes as one, every (extent + 1)-th element of it.
  void takeDiagonals(Term& term) {
    for (size_t i = 0; i < term.labels.size(); ++i) {
      auto again = std::find(term.labels.begin() + static_cast<ptrdiff_t>(i) + 1, term.labels.end(),
                             term.labels[i]);
      if (again == term.labels.end()) continue;
      const auto j = static_cast<size_t>(again - term.labels.begin());
      Labels order;
      for (size_t axis = 0; axis < term.labels.size(); ++axis)
        if (axis != i && axis != j) order.push_back(static_cast<int>(axis));
      std::vector<int64_t> perm(order.begin(), order.end());
      perm.push_back(static_cast<int64_t>(i));
      perm.push_back(static_cast<int64_t>(j));
      term.value = emitTranspose(node_, term.value, perm);
      const Shape shape = node_.shapeOf(term.value);
      auto extent = shape[perm.size() - 1].tryConstant();
      if (!extent || shape[perm.size() - 2] != shape[perm.size() - 1])
        node_.unsupported(fmt::format("a diagonal of {}", shape.toString()),
                          "two equal constant dims");
      Shape joined(std::vector<Dim>(shape.begin(), shape.end() - 2));
      joined.push(*extent * *extent);
      std::vector<int64_t> diagonal;
      diagonal.reserve(static_cast<size_t>(*extent));
      for (int64_t at = 0; at < *extent; ++at) diagonal.push_back(at * (*extent + 1));
      const int64_t last = static_cast<int64_t>(perm.size()) - 2;
      term.value = node_.emit(Operator::of(Gather{last}),
                              {emitReshape(node_, term.value, joined), emitInts(node_, diagonal)});
      Labels labels;
      for (int axis : order) labels.push_back(term.labels[static_cast<size_t>(axis)]);
      labels.push_back(term.labels[i]);
      term.labels = std::move(labels);
      return takeDiagonals(term);
    }
  }

  // Sums over the axes whose label is not kept.
  void sumAway(Term& term, const Labels& kept) {
    std::vector<int64_t> axes;
    Labels labels;
    for (size_t axis = 0; axis < term.labels.size(); ++axis) {
      if (contains(kept, term.labels[axis]))
        labels.push_back(term.labels[axis]);
      else
        axes.push_back(static_cast<int64_t>(axis));
    }
    if (axes.empty()) return;
    term.value =
        node_.emit(Operator::of(Reduce{ReduceKind::Sum, std::move(axes), false}), {term.value});
    term.labels = std::move(labels);
  }

  void arrange(Term& term, const Labels& order) {
    std::vector<int64_t> perm;
    for (int label : order)
      perm.push_back(std::find(term.labels.begin(), term.labels.end(), label) -
                     term.labels.begin());
    term.value = emitTranspose(node_, term.value, std::move(perm));
    term.labels = order;
  }

  // [batch..., a..., sum...] by [batch..., sum..., b...] as one product; `kept` outlives it.
  Term multiply(Term a, Term b, const Labels& kept) {
    Labels batch, sum, onlyA, onlyB;
    for (int label : a.labels) {
      if (!contains(b.labels, label))
        onlyA.push_back(label);
      else
        (contains(kept, label) ? batch : sum).push_back(label);
    }
    for (int label : b.labels)
      if (!contains(a.labels, label)) onlyB.push_back(label);
    arrange(a, joined({batch, onlyA, sum}));
    arrange(b, joined({batch, sum, onlyB}));
    const Shape left = node_.shapeOf(a.value), right = node_.shapeOf(b.value);
    const size_t batches = batch.size();
    auto matrix = [&](const Shape& shape, size_t rows) {
      Shape out(std::vector<Dim>(shape.begin(), shape.begin() + static_cast<ptrdiff_t>(batches)));
      out.push(shape.elementCount(batches, batches + rows));
      out.push(shape.elementCount(batches + rows, shape.rank()));
      return out;
    };
    const OnnxNode::Ref product = node_.emit(
        Operator::of(MatMul{}), {emitReshape(node_, a.value, matrix(left, onlyA.size())),
                                 emitReshape(node_, b.value, matrix(right, sum.size()))});
    const Shape& dims = node_.shapeOf(product);
    Shape out(std::vector<Dim>(dims.begin(), dims.begin() + static_cast<ptrdiff_t>(batches)));
    for (size_t i = 0; i < onlyA.size(); ++i) out.push(left[batches + i]);
    for (size_t i = 0; i < onlyB.size(); ++i) out.push(right[batches + sum.size() + i]);
    return {emitReshape(node_, product, out), joined({batch, onlyA, onlyB})};
  }

 private:
  static Labels joined(std::initializer_list<Labels> parts) {
    Labels all;
    for (const Labels& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
  }

  OnnxNode& node_;
};

}  // namespace

void importEinsum(OnnxNode& node) {
  const std::string text = node.attributeString("equation", "");
  const Equation equation = parseEquation(text);
  if (equation.terms.size() != node.inputCount()) throwEquation(text, "a term for each input");
  std::vector<Term> terms;
  size_t ellipsisRank = 0;
  for (size_t i = 0; i < equation.terms.size(); ++i) {
    const std::string& term = equation.terms[i];
    const OnnxNode::Ref x = node.requireInput(i);
    const size_t letters = letterCount(term), rank = node.rankOf(x);
    const bool hasEllipsis = term.find("...") != std::string::npos;
    if (hasEllipsis ? rank < letters : rank != letters)
      throwEquation(text, "as many letters as each input has dims");
    terms.push_back({x, parseTerm(text, term, rank - letters)});
    if (hasEllipsis) ellipsisRank = std::max(ellipsisRank, rank - letters);
  }
  const Labels output =
      equation.output ? parseTerm(text, *equation.output, ellipsisRank) : implicitOutput(terms);
  for (int label : output) {
    const bool known = std::any_of(terms.begin(), terms.end(),
                                   [&](const Term& term) { return contains(term.labels, label); });
    if (!known || std::count(output.begin(), output.end(), label) != 1)
      throwEquation(text, "output letters that inputs have, each once");
  }

  Einsum einsum(node);
  for (Term& term : terms) einsum.takeDiagonals(term);
  Term result = terms.front();
  for (size_t i = 1; i <= terms.size(); ++i) {
    Labels later = output;
    for (size_t j = i + 1; j < terms.size(); ++j)
      later.insert(later.end(), terms[j].labels.begin(), terms[j].labels.end());
    if (i == terms.size()) {
      einsum.sumAway(result, later);
      break;
    }
    Labels both = later;
    both.insert(both.end(), terms[i].labels.begin(), terms[i].labels.end());
    einsum.sumAway(result, both);
    both = later;
    both.insert(both.end(), result.labels.begin(), result.labels.end());
    einsum.sumAway(terms[i], both);
    result = einsum.multiply(result, terms[i], later);
  }
  einsum.arrange(result, output);
  node.setOutput(0, result.value);
}

}  // namespace carnot
