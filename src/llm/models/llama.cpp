#include "llm/models/llama.h"

#include <fmt/format.h>

#include <cmath>

#include "ops/cast.h"
#include "ops/concat.h"
#include "ops/gather.h"
#include "ops/mat_mul.h"
#include "ops/paged_attention.h"
#include "ops/pointwise_activation.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/reshape.h"
#include "ops/rms_norm.h"
#include "ops/slice.h"

namespace carnot {

namespace {

class LlamaWriter {
 public:
  LlamaWriter(const LlamaConfig& config, const Safetensors& weights, const LlamaOptions& options)
      : config_(config), weights_(weights), options_(options) {}

  Graph write() {
    graph_.name = "llama";
    const Dim sequences = Dim::symbol("sequences");
    Value* ids = integers("token_ids", {tokens_});
    Value* positions = integers("positions", {tokens_});
    tables_ = integers("block_tables", {sequences, Dim::symbol("blocks_of_sequence")});
    starts_ = integers("starts", {sequences + Dim(1)});
    lengths_ = integers("lengths", {sequences});
    Value* rows = integers("logit_rows", {Dim::symbol("rows")});

    Value* embeddings = weight("model.embed_tokens.weight", {config_.vocabulary, config_.hidden});
    Value* x = add("model.embed_tokens", Gather{0}, {embeddings, ids});
    turn(positions);
    for (int64_t layer = 0; layer < config_.layers; ++layer) x = decode(x, layer);
    x = add("logit_rows", Gather{0}, {x, rows});
    x = norm("model.norm", x);
    Value* head = config_.tiedEmbeddings
                      ? embeddings
                      : weight("lm_head.weight", {config_.vocabulary, config_.hidden});
    x = add("lm_head", MatMul{.transposeB = true}, {x, head});
    if (options_.type != DType::F32) x = add("lm_head", Cast{DType::F32}, {x});
    graph_.outputs.push_back(x);
    graph_.outputNames.push_back("logits");
    graph_.eraseUnusedValues();
    return std::move(graph_);
  }

 private:
  Value* integers(const char* name, Shape shape) {
    return graph_.addInput(name, {DType::I32, std::move(shape)});
  }

  Value* weight(const std::string& name, const std::vector<int64_t>& dims) {
    return graph_.addConstant(name, weights_.read(name, dims, options_.type));
  }

  template <typename Op>
  Node* addNode(const std::string& origin, Op op, std::vector<Value*> inputs, size_t outputs = 1) {
    Node* node = graph_.addNode(origin, Operator::of(std::move(op)), std::move(inputs), outputs);
    node->origins = {origin};
    return node;
  }
  template <typename Op>
  Value* add(const std::string& origin, Op op, std::vector<Value*> inputs) {
    return addNode(origin, std::move(op), std::move(inputs))->outputs[0];
  }

  Value* norm(const std::string& name, Value* x) {
    return add(name, RmsNorm{.axis = 1, .epsilon = config_.normEpsilon},
               {x, weight(name + ".weight", {config_.hidden})});
  }

  Value* linear(const std::string& name, Value* x, int64_t from, int64_t to, bool bias) {
    Value* y = add(name, MatMul{.transposeB = true}, {x, weight(name + ".weight", {to, from})});
    return bias ? add(name, Add{}, {y, weight(name + ".bias", {to})}) : y;
  }

  // Cosines and sines of each token's position, [tokens, 1, headSize / 2].
  void turn(Value* positions) {
    const std::string name = "model.rotary_emb";
    const auto pairs = static_cast<int64_t>(config_.frequencies.size());
    Value* angles = add(name, Cast{DType::F32}, {positions});
    angles = add(name, Reshape{{tokens_, Dim(1), Dim(1)}}, {angles});
    Value* frequencies = graph_.addConstant(name + ".frequencies",
                                            Tensor::ofFloats({1, 1, pairs}, config_.frequencies));
    angles = add(name, Mul{}, {angles, frequencies});
    cosines_ = add(name, Cos{}, {angles});
    sines_ = add(name, Sin{}, {angles});
    if (options_.type == DType::F32) return;
    cosines_ = add(name, Cast{options_.type}, {cosines_});
    sines_ = add(name, Cast{options_.type}, {sines_});
  }

  Value* half(const std::string& name, Value* x, int64_t begin) {
    const int64_t end = begin + config_.headSize / 2;
    auto at = [&](int64_t index) {
      return graph_.addConstant(name, Tensor::ofInts({1}, std::vector<int64_t>{index}));
    };
    return add(name, Slice{.axes = {2}, .steps = {1}}, {x, at(begin), at(end)});
  }

  // The first half of a head and the second turn against each other (Su and others, "RoFormer").
  Value* rotate(const std::string& name, Value* x) {
    Value *first = half(name, x, 0), *second = half(name, x, config_.headSize / 2);
    auto times = [&](Value* a, Value* b) { return add(name, Mul{}, {a, b}); };
    Value* a = add(name, Sub{}, {times(first, cosines_), times(second, sines_)});
    Value* b = add(name, Add{}, {times(second, cosines_), times(first, sines_)});
    return add(name, Concat{2}, {a, b});
  }

  Value* attend(const std::string& name, Value* x, int64_t layer) {
    auto heads = [&](const char* which, int64_t count) {
      const std::string full = name + which;
      Value* y = linear(full, x, config_.hidden, count * config_.headSize, config_.attentionBias);
      return add(full, Reshape{{tokens_, Dim(count), Dim(config_.headSize)}}, {y});
    };
    Value* q = rotate(name + ".q_proj", heads(".q_proj", config_.heads));
    Value* k = rotate(name + ".k_proj", heads(".k_proj", config_.kvHeads));
    Value* v = heads(".v_proj", config_.kvHeads);
    Value* cache = graph_.addState(fmt::format("cache.{}", layer),
                                   {options_.cacheType,
                                    {Dim::symbol("blocks"), Dim(2), Dim(config_.kvHeads),
                                     Dim(options_.blockSize), Dim(config_.headSize)}});
    const double scale = 1 / std::sqrt(static_cast<double>(config_.headSize));
    Node* attention = addNode(name, PagedAttention{scale},
                              {q, k, v, cache, tables_, starts_, lengths_}, paged::kOutputs);
    graph_.states.back().after = attention->outputs[paged::kUpdated];
    const int64_t width = config_.heads * config_.headSize;
    Value* y = add(name, Reshape{{tokens_, Dim(width)}}, {attention->outputs[paged::kMixed]});
    return linear(name + ".o_proj", y, width, config_.hidden, config_.attentionBias);
  }

  Value* feedForward(const std::string& name, Value* x) {
    auto wide = [&](const char* which) {
      return linear(name + which, x, config_.hidden, config_.intermediate, config_.mlpBias);
    };
    Value* gate = add(name, Silu{}, {wide(".gate_proj")});
    Value* y = add(name, Mul{}, {gate, wide(".up_proj")});
    return linear(name + ".down_proj", y, config_.intermediate, config_.hidden, config_.mlpBias);
  }

  Value* decode(Value* x, int64_t layer) {
    const std::string name = fmt::format("model.layers.{}", layer);
    Value* y = attend(name + ".self_attn", norm(name + ".input_layernorm", x), layer);
    x = add(name + ".self_attn", Add{}, {x, y});
    y = feedForward(name + ".mlp", norm(name + ".post_attention_layernorm", x));
    return add(name + ".mlp", Add{}, {x, y});
  }

  const LlamaConfig& config_;
  const Safetensors& weights_;
  const LlamaOptions& options_;
  const Dim tokens_ = Dim::symbol("tokens");
  Graph graph_;
  Value *tables_ = nullptr, *starts_ = nullptr, *lengths_ = nullptr;
  Value *cosines_ = nullptr, *sines_ = nullptr;
};

}  // namespace

Graph llamaGraph(const LlamaConfig& config, const Safetensors& weights,
                 const LlamaOptions& options) {
  return LlamaWriter(config, weights, options).write();
}

}  // namespace carnot
