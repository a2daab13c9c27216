#include "ops/paged_attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/requirements.h"

namespace carnot {

using namespace paged;

static void infer(const PagedAttention&, InferContext& context) {
  const Shape &q = context.shape(kQueries), &k = context.shape(kKeys), &v = context.shape(kValues);
  const Shape &cache = context.shape(kCache), &tables = context.shape(kBlockTables);
  context.require(q.rank() == 3 && k.rank() == 3 && v.rank() == 3,
                  fmt::format("{}, {} and {}", q.toString(), k.toString(), v.toString()),
                  "[tokens, heads, size] each");
  context.require(cache.rank() == 5 && tables.rank() == 2,
                  fmt::format("cache {} and tables {}", cache.toString(), tables.toString()),
                  "[blocks, 2, heads, block size, size] and [sequences, blocks]");
  requireFloat(context, kQueries);
  context.requireSameDType(kQueries, kKeys);
  context.requireSameDType(kQueries, kValues);
  const DType type = context.dtype(kCache);
  context.require(type == DType::F32 || type == DType::F16 || type == DType::BF16,
                  fmt::format("a cache of {}", dtypeName(type)), "float32, float16 or bfloat16");
  for (Input index : {kBlockTables, kStarts, kLengths})
    context.require(context.dtype(index) == DType::I32,
                    std::string(dtypeName(context.dtype(index))),
                    "int32 for block tables, starts and lengths");
  context.require(context.rank(kStarts) == 1 && context.rank(kLengths) == 1,
                  fmt::format("starts {} and lengths {}", context.shape(kStarts).toString(),
                              context.shape(kLengths).toString()),
                  "vectors");
  context.requireEqual(k[0], q[0], "numbers of keys and queries");
  context.requireEqual(v[0], q[0], "numbers of values and queries");
  context.requireEqual(v[1], k[1], "heads of keys and values");
  context.requireEqual(k[2], q[2], "sizes of a key and of a query");
  context.requireEqual(v[2], q[2], "sizes of a value and of a query");
  context.requireEqual(cache[1], Dim(2), "keys and values in the cache");
  context.requireEqual(cache[2], k[1], "heads of the cache and of the keys");
  context.requireEqual(cache[4], q[2], "sizes of a cached key and of a query");
  context.requireEqual(context.shape(kStarts)[0], tables[0] + Dim(1), "starts, one more than");
  context.requireEqual(context.shape(kLengths)[0], tables[0], "lengths, one a sequence");
  if (k[1] != q[1])
    context.requireEqual(floorMod(q[1], k[1]), Dim(0),
                         "query heads left over by the key heads, and none");
  context.setOutput(kMixed, context.dtype(kQueries), q);
  context.setOutput(kUpdated, type, cache);
}

PagedBatch PagedBatch::of(std::span<const int64_t> q, std::span<const int64_t> cache,
                          std::span<const int64_t> tables) {
  return {.tokens = q[0],
          .heads = q[1],
          .kvHeads = cache[2],
          .size = q[2],
          .blocks = cache[0],
          .blockSize = cache[3],
          .sequences = tables[0],
          .mostBlocks = tables[1]};
}

int64_t PagedBatch::capacity() const {
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  return blockSize > 0 && mostBlocks > most / blockSize ? most : mostBlocks * blockSize;
}

std::string whyNotFixed(const Shape& q, const Shape& cache, int64_t mostSize) {
  constexpr int64_t kMostHeads = 1 << 16, kMostBlockSize = 1 << 20;
  const std::pair<Dim, int64_t> extents[] = {
      {q[1], kMostHeads}, {cache[2], kMostHeads}, {cache[3], kMostBlockSize}, {cache[4], mostSize}};
  for (const auto& [dim, most] : extents)
    if (!dim.isConstant() || dim.constant() < 1 || dim.constant() > most)
      return fmt::format(
          "heads, block size and size that are numbers, here 1 to {}, not {} of {} and {}", most,
          dim.toString(), q.toString(), cache.toString());
  return {};
}

void PagedBatch::check() const {
  auto refuse = [](std::string has, std::string needs) {
    throw Error(ErrorCode::InvalidArgument, std::move(has), std::move(needs),
                "give tables, starts and lengths that agree");
  };
  if (starts[0] != 0) refuse(fmt::format("rows that start at {}", starts[0]), "0");
  for (int64_t s = 0; s < sequences; ++s) {
    const int64_t rows = rowsOf(s), length = lengths[s];
    if (rows < 0 || starts[s + 1] > tokens)
      refuse(fmt::format("rows {} to {} of sequence {}", starts[s], starts[s + 1], s),
             fmt::format("starts that rise to {} at most", tokens));
    if (rows == 0) continue;  // its table is not looked at
    if (length < rows || length > capacity())
      refuse(fmt::format("length {} of sequence {}", length, s),
             fmt::format("{}, its rows, to {}, what {} blocks hold", rows, capacity(), mostBlocks));
    for (int64_t i = 0; i * blockSize < length; ++i)
      if (const int32_t block = blockTables[s * mostBlocks + i]; block < 0 || block >= blocks)
        refuse(fmt::format("block {} in the table of sequence {}", block, s),
               fmt::format("0 to {}", blocks - 1));
  }
}

static void reference(const PagedAttention& attention, const ReferenceContext& context) {
  const TensorView &cache = context.out(kUpdated), &y = context.out(kMixed);
  PagedBatch batch = PagedBatch::of(context.in(kQueries).dims, context.in(kCache).dims,
                                    context.in(kBlockTables).dims);
  batch.blockTables = context.in(kBlockTables).as<int32_t>();
  batch.starts = context.in(kStarts).as<int32_t>();
  batch.lengths = context.in(kLengths).as<int32_t>();
  batch.check();
  if (cache.data != context.in(kCache).data && cache.bytes() > 0)
    std::memcpy(cache.data, context.in(kCache).data, cache.bytes());
  zeroElements(y);

  const int64_t size = batch.size, shared = batch.kvHeads ? batch.heads / batch.kvHeads : 1;
  for (int64_t s = 0; s < batch.sequences; ++s)
    for (int64_t row = 0; row < batch.rowsOf(s); ++row)
      for (int64_t which = 0; which < 2; ++which)
        for (int64_t head = 0; head < batch.kvHeads; ++head) {
          const int64_t to = batch.slotOf(s, batch.positionOf(s, row), which, head);
          const int64_t from = ((batch.starts[s] + row) * batch.kvHeads + head) * size;
          for (int64_t i = 0; i < size; ++i)
            cache.storeDouble(to + i, context.in(kKeys + which).loadDouble(from + i));
        }

  std::vector<double> scores, mixed(static_cast<size_t>(size));
  for (int64_t s = 0; s < batch.sequences; ++s)
    for (int64_t row = 0; row < batch.rowsOf(s); ++row)
      for (int64_t head = 0; head < batch.heads; ++head) {
        const int64_t at = ((batch.starts[s] + row) * batch.heads + head) * size;
        double most = -std::numeric_limits<double>::infinity(), sum = 0;
        scores.clear();
        for (int64_t p = 0; p <= batch.positionOf(s, row); ++p) {
          const int64_t key = batch.slotOf(s, p, 0, head / shared);
          double dot = 0;
          for (int64_t i = 0; i < size; ++i)
            dot += context.in(kQueries).loadDouble(at + i) * cache.loadDouble(key + i);
          scores.push_back(attention.scale * dot);
          most = std::max(most, scores.back());
        }
        std::ranges::fill(mixed, 0.0);
        for (size_t p = 0; p < scores.size(); ++p) {
          const int64_t value = batch.slotOf(s, static_cast<int64_t>(p), 1, head / shared);
          const double weight = std::exp(scores[p] - most);
          sum += weight;
          for (int64_t i = 0; i < size; ++i)
            mixed[static_cast<size_t>(i)] += weight * cache.loadDouble(value + i);
        }
        for (int64_t i = 0; i < size; ++i)
          y.storeDouble(at + i, mixed[static_cast<size_t>(i)] / sum);
      }
}

// Lengths are data: a run is counted as if each row saw half of what its sequence's table holds.
static Cost cost(const PagedAttention&, const CostContext& context) {
  const std::vector<int64_t> q = context.inputs[kQueries].shape.concrete();
  const std::vector<int64_t> cache = context.inputs[kCache].shape.concrete();
  const std::vector<int64_t> tables = context.inputs[kBlockTables].shape.concrete();
  const double keys = static_cast<double>(tables[1] * cache[3]) / 2;
  const double perKey = static_cast<double>(2 * cache[2] * cache[4]) *
                        static_cast<double>(dtypeBits(context.inputs[kCache].dtype)) / 8;
  const double rows = static_cast<double>(dtypeBytes(context.outputs[0].dtype, q[0] * q[1] * q[2]));
  return {.flops = static_cast<double>(q[0] * q[1]) * keys * static_cast<double>(4 * q[2] + 5),
          .bytes = static_cast<double>(tables[0]) * keys * perKey + 4 * rows};
}

template <>
const OpDef& definitionOf<PagedAttention>() {
  static const OpDef kRow = [] {
    OpDef row = defineOperator<PagedAttention>("PagedAttention", Access::Opaque, {});
    row.updates = {{kCache, kUpdated}};
    return row;
  }();
  return kRow;
}

}  // namespace carnot
