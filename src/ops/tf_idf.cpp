#include "ops/tf_idf.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"

namespace carnot {

namespace {

// The largest length of an n-gram, and of an output row: bounds against attributes that only ask.
constexpr int64_t kMostItems = 1 << 10;
constexpr int64_t kMostSize = 1 << 26;

int64_t sizeOf(const TfIdf& op) {
  return op.indexes.empty() ? 0 : *std::max_element(op.indexes.begin(), op.indexes.end()) + 1;
}

// The n-grams of the pool of every wanted length, and where each is counted.
std::map<std::vector<int64_t>, int64_t> nGrams(const TfIdf& op) {
  std::map<std::vector<int64_t>, int64_t> grams;
  size_t id = 0;
  for (size_t i = 0; i < op.counts.size(); ++i) {
    const auto first = static_cast<size_t>(op.counts[i]), length = i + 1;
    const size_t end =
        length < op.counts.size() ? static_cast<size_t>(op.counts[length]) : op.pool.size();
    const bool wanted = static_cast<int64_t>(length) >= op.minLength &&
                        static_cast<int64_t>(length) <= op.maxLength;
    for (size_t at = first; at + length <= end; at += length, ++id)
      if (wanted)
        grams[{op.pool.begin() + static_cast<ptrdiff_t>(at),
               op.pool.begin() + static_cast<ptrdiff_t>(at + length)}] = op.indexes.at(id);
  }
  return grams;
}

}  // namespace

static void infer(const TfIdf& op, InferContext& context) {
  const Shape& x = context.shape(0);
  context.require(isInteger(context.dtype(0)) && (x.rank() == 1 || x.rank() == 2),
                  fmt::format("input {}", context.type(0).toString()),
                  "integers [length] or [rows, length]");
  context.require(
      op.minLength >= 1 && op.maxLength >= op.minLength && op.maxLength <= kMostItems &&
          op.maxSkip >= 0,
      fmt::format("n-grams of {} to {} items, {} skipped", op.minLength, op.maxLength, op.maxSkip),
      fmt::format("1 to {} items", kMostItems));
  int64_t start = 0, grams = 0;
  for (size_t i = 0; i <= op.counts.size(); ++i) {
    const auto size = static_cast<int64_t>(op.pool.size());
    const int64_t end = i < op.counts.size() ? op.counts[i] : size;
    context.require(end >= start && end <= size && (i > 0 || end == 0 || op.counts.empty()),
                    fmt::format("n-grams that start at {} of {} items", end, size),
                    "ascending places within the pool, from 0");
    if (i > 0) grams += (end - start) / static_cast<int64_t>(i);
    start = end;
  }
  context.require(grams <= static_cast<int64_t>(op.indexes.size()) && !op.indexes.empty(),
                  fmt::format("{} indexes of {} n-grams", op.indexes.size(), grams), "one each");
  for (int64_t index : op.indexes)
    context.require(index >= 0 && index < kMostSize, fmt::format("index {}", index),
                    fmt::format("0 to {}", kMostSize - 1));
  const int64_t size = sizeOf(op);
  context.require(op.weights.empty() || static_cast<int64_t>(op.weights.size()) >= size,
                  fmt::format("{} weights", op.weights.size()), fmt::format("{}", size));
  context.setOutput(0, DType::F32, x.rank() == 1 ? Shape{size} : Shape{x[0], size});
}

static void reference(const TfIdf& op, const ReferenceContext& context) {
  const std::vector<int64_t> x = loadInts(context.in(0));
  const int64_t length = context.in(0).dims.back(), size = sizeOf(op);
  const int64_t rows = context.in(0).dims.size() == 1 ? 1 : context.in(0).dims[0];
  const auto grams = nGrams(op);
  std::vector<int64_t> gram;
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<double> counts(static_cast<size_t>(size), 0);
    for (int64_t n = op.minLength; n <= op.maxLength; ++n)
      // One item has no distance to a next one.
      for (int64_t step = 1; step <= (n == 1 ? 1 : op.maxSkip + 1); ++step) {
        if (n > 1 && step > length) break;
        for (int64_t at = 0; at + (n - 1) * step < length; ++at) {
          gram.clear();
          for (int64_t i = 0; i < n; ++i)
            gram.push_back(x[static_cast<size_t>(row * length + at + i * step)]);
          if (auto found = grams.find(gram); found != grams.end())
            ++counts[static_cast<size_t>(found->second)];
        }
      }
    for (int64_t i = 0; i < size; ++i) {
      double value = counts[static_cast<size_t>(i)];
      if (op.mode == TfIdfMode::Idf) value = value > 0 ? 1 : 0;
      if (op.mode != TfIdfMode::Tf && !op.weights.empty())
        value *= op.weights[static_cast<size_t>(i)];
      context.out(0).storeDouble(row * size + i, value);
    }
  }
}

static Cost cost(const TfIdf& op, const CostContext& context) {
  const double items = static_cast<double>(op.maxLength) * static_cast<double>(op.maxSkip + 1);
  const auto dims = context.inputs[0].shape.concrete();
  return {.flops = items * static_cast<double>(elementCount(dims)), .bytes = context.allBytes()};
}

static void importTfIdf(OnnxNode& node) {
  if (node.hasAttribute("pool_strings")) node.unsupported("n-grams of strings", "of integers");
  const std::string mode = node.attributeString("mode", "");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF")
    throw Error(ErrorCode::InvalidModel, fmt::format("mode \"{}\"", mode), "TF, IDF or TFIDF");
  TfIdf op{.minLength = node.attributeInt("min_gram_length", 1),
           .maxLength = node.attributeInt("max_gram_length", 1),
           .maxSkip = node.attributeInt("max_skip_count", 0),
           .mode = mode == "TF"    ? TfIdfMode::Tf
                   : mode == "IDF" ? TfIdfMode::Idf
                                   : TfIdfMode::TfIdf,
           .counts = node.attributeInts("ngram_counts"),
           .indexes = node.attributeInts("ngram_indexes"),
           .pool = node.attributeInts("pool_int64s"),
           .weights = node.attributeFloats("weights")};
  node.setOutput(0, node.emit(Operator::of(std::move(op)), {node.requireInput(0)}));
}

template <>
const OpDef& definitionOf<TfIdf>() {
  static const OpDef kRow =
      defineOperator<TfIdf>("TfIdf", Access::Opaque, {{"", "TfIdfVectorizer", 9, 0, importTfIdf}});
  return kRow;
}

}  // namespace carnot
