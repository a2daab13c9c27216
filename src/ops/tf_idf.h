#pragma once

#include "ops/operator.h"

namespace carnot {

enum class TfIdfMode : uint8_t { Tf, Idf, TfIdf };
constexpr TfIdfMode lastOf(TfIdfMode) { return TfIdfMode::TfIdf; }

// Counts the n-grams of a pool in rows of integers.
// Input: x [length] or [rows, length], integers. Output: float32 [size] or [rows, size]: at
// indexes[i] how often the pool's n-gram i stands in the row, its items 1 to maxSkip + 1 apart (for
// n above 1); Idf: whether it does, times weights, TfIdf: the count times weights, one for each
// element of the output. counts[n - 1] is where n-grams of length n start in the pool.
struct TfIdf {
  int64_t minLength = 1, maxLength = 1, maxSkip = 0;
  TfIdfMode mode = TfIdfMode::Tf;
  std::vector<int64_t> counts, indexes, pool;
  std::vector<double> weights;  // empty: ones

  void visit(auto& fields) {
    fields("min_length", minLength);
    fields("max_length", maxLength);
    fields("max_skip", maxSkip);
    fields("mode", mode);
    fields("counts", counts);
    fields("indexes", indexes);
    fields("pool", pool);
    fields("weights", weights);
  }
};
template <>
const OpDef& definitionOf<TfIdf>();

}  // namespace carnot
