#pragma once

#include "ops/attention.h"
#include "ops/onnx_node.h"

namespace carnot {

// What the attention operators of ONNX and of com.microsoft share: each fills in one of these.
struct AttentionCall {
  using Ref = OnnxNode::Ref;

  Ref q, k, v;  // [batch, heads, length, size]; the heads of k and v divide those of q
  double scale = 0;
  double softcap = 0;             // 0: none; else scores are softcap * tanh(scores / softcap)
  Ref mask = {};                  // Bool, or added to the scores; broadcasts over them
  bool causal = false;            // query i sees keys up to offset + i
  int64_t left = -1, right = -1;  // keys a query sees beside its own position; -1: all
  Dim offset = 0;                 // position of the first query among the keys
  Ref starts = {};                // [batch], the offset of each sequence, in place of `offset`
  Ref sinks = {};    // of each head or of all: a score beside the keys', whose weight goes nowhere
  Ref lengths = {};  // [batch], keys that count; the queries are the last of them
};

enum class ScoresOutput : uint8_t { Products = 0, Capped = 1, Biased = 2, Probabilities = 3 };

// 1 / sqrt(size of a head); refuses a symbolic one.
double attentionScale(const OnnxNode& node, OnnxNode::Ref q);
// [batch, length, heads * size] as [batch, heads, length, size], and back. Throws Error
// (InvalidModel) naming the attribute that says `heads`.
OnnxNode::Ref splitHeads(OnnxNode& node, OnnxNode::Ref x, int64_t heads, const char* attribute);
OnnxNode::Ref joinHeads(OnnxNode& node, OnnxNode::Ref x);

// [batch, heads, queries, size of a value].
OnnxNode::Ref emitAttention(OnnxNode& node, const AttentionCall& call);
struct AttentionResult {
  OnnxNode::Ref y, scores;  // scores [batch, heads, queries, keys]
};
// The batched product of heads that share their keys or values: a [batch, h, m, n] and b
// [batch, h / shared, n, p], or [batch, h / shared, p, n] transposed.
OnnxNode::Ref emitHeadsProduct(OnnxNode& node, OnnxNode::Ref a, OnnxNode::Ref b, bool transposed);
AttentionResult emitAttentionWithScores(OnnxNode& node, const AttentionCall& call,
                                        ScoresOutput output);

}  // namespace carnot
