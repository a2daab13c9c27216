#pragma once

#include "ops/operator.h"

namespace carnot {

// One step of causal attention over sequences whose keys and values lie in blocks of a cache. The
// new tokens of all sequences are one list of rows, sequence after sequence: one row a sequence
// when decoding, several for a prompt or a part of it, none for a sequence that waits.
//
// Inputs: q [tokens, heads, size]; k, v [tokens, kvHeads, size], kvHeads dividing heads; cache
// [blocks, 2, kvHeads, blockSize, size] of float32, float16 or bfloat16, keys before values, which
// is updated; int32 blockTables [sequences, mostBlocks], starts [sequences + 1] and lengths
// [sequences].
// Sequence s has rows starts[s] to starts[s + 1] - 1, which are its last ones: it has lengths[s]
// tokens in all, this run's among them. Its token at position p lies in slot p % blockSize of block
// blockTables[s][p / blockSize]. Rows from starts[sequences] on belong to no sequence: they give
// zeros and leave the cache as it is.
// First every row's key and value go to their slots, rounded to the cache's type; then the row at
// position p gives the mix of the values 0 to p: softmax(scale * q k^T) v; query head h reads key
// head h / (heads / kvHeads).
// Outputs: [tokens, heads, size]; the cache.
// On the host, contents that reach outside (rows, blocks, lengths) throw Error (InvalidArgument)
// before anything is written; kernels of other devices leave out what lies outside.
struct PagedAttention {
  double scale = 1;  // explicit: 1 / sqrt(size) is written out

  void visit(auto& fields) { fields("scale", scale); }
};
template <>
const OpDef& definitionOf<PagedAttention>();

// Where operands and outputs stand.
namespace paged {
enum Input : size_t { kQueries, kKeys, kValues, kCache, kBlockTables, kStarts, kLengths, kInputs };
enum Output : size_t { kMixed, kUpdated, kOutputs };
}  // namespace paged

// The extents and the integer operands of one run.
struct PagedBatch {
  int64_t tokens = 0, heads = 0, kvHeads = 0, size = 0;
  int64_t blocks = 0, blockSize = 0, sequences = 0, mostBlocks = 0;
  const int32_t *blockTables = nullptr, *starts = nullptr, *lengths = nullptr;

  // From the dims of q, the cache and the tables.
  static PagedBatch of(std::span<const int64_t> q, std::span<const int64_t> cache,
                       std::span<const int64_t> tables);
  // Throws Error (InvalidArgument) for what reaches outside.
  void check() const;

  // Tokens that a sequence's blocks hold, as far as a length can count them.
  int64_t capacity() const;
  int64_t rowsOf(int64_t sequence) const { return starts[sequence + 1] - starts[sequence]; }
  // Of the sequence's row: 0 is the first of this run.
  int64_t positionOf(int64_t sequence, int64_t row) const {
    return lengths[sequence] - rowsOf(sequence) + row;
  }
  // Element of the cache where a token's key (0) or value (1) begins.
  int64_t slotOf(int64_t sequence, int64_t position, int64_t which, int64_t kvHead) const {
    const int64_t block = blockTables[sequence * mostBlocks + position / blockSize];
    return (((block * 2 + which) * kvHeads + kvHead) * blockSize + position % blockSize) * size;
  }
};

// Why a kernel that is made for fixed heads, block size and size refuses those of a query and a
// cache; empty: it need not.
std::string whyNotFixed(const Shape& q, const Shape& cache, int64_t mostSize);

}  // namespace carnot
