#include "engine/packer.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"

namespace carnot {
namespace {

constexpr int64_t kAlignment = 64;
// Comparisons of buffers that the search may spend after the first orders were tried: bounds its
// time, whatever the machine, so that the result stays the same.
constexpr int64_t kSearchComparisons = 80'000;
// Pairs of buffers that live at once; with more of them nothing is searched, since their number may
// be the square of the buffers'.
constexpr size_t kMostPairs = size_t{1} << 23;

struct Block {
  int64_t bytes;
  int32_t first, last;
  size_t index;  // into the lifetimes given
};

int64_t roundUp(int64_t bytes) {
  if (bytes < 0) throw Error(ErrorCode::Internal, "a buffer of negative size");
  int64_t rounded;
  if (__builtin_add_overflow(bytes, kAlignment - 1, &rounded))
    throw Error(ErrorCode::OutOfMemory, "a buffer that overflows 64 bits", "smaller shapes");
  return rounded / kAlignment * kAlignment;
}

// Buffers that take memory, sizes rounded up.
std::vector<Block> blocksOf(std::span<const Lifetime> lifetimes) {
  std::vector<Block> blocks;
  blocks.reserve(lifetimes.size());
  int64_t sum = 0;
  for (size_t i = 0; i < lifetimes.size(); ++i) {
    const Lifetime& life = lifetimes[i];
    ensure(life.first <= life.last, "a buffer dies before it is born");
    int64_t bytes = roundUp(life.bytes);
    if (__builtin_add_overflow(sum, bytes, &sum))
      throw Error(ErrorCode::OutOfMemory, "buffers that together overflow 64 bits",
                  "smaller shapes");
    if (bytes > 0) blocks.push_back({bytes, life.first, life.last, i});
  }
  return blocks;
}

int64_t boundOf(std::span<const Block> blocks) {
  struct Change {
    int64_t step, bytes;
  };
  std::vector<Change> changes;
  changes.reserve(2 * blocks.size());
  for (const Block& block : blocks) {
    changes.push_back({block.first, block.bytes});
    changes.push_back({int64_t{block.last} + 1, -block.bytes});
  }
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
    return a.step != b.step ? a.step < b.step : a.bytes < b.bytes;
  });
  int64_t live = 0, most = 0;
  for (const Change& change : changes) most = std::max(most, live += change.bytes);
  return most;
}

using Pairs = std::vector<std::pair<int32_t, int32_t>>;

std::vector<int32_t> orderOfBirth(std::span<const Block> blocks) {
  std::vector<int32_t> order(blocks.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return blocks[a].first != blocks[b].first ? blocks[a].first < blocks[b].first : a < b;
  });
  return order;
}

// Who lives with whom; nothing when they are too many.
std::optional<Pairs> pairsOf(std::span<const Block> blocks) {
  const std::vector<int32_t> byFirst = orderOfBirth(blocks);
  Pairs pairs;
  for (size_t i = 0; i < byFirst.size(); ++i)
    for (size_t j = i + 1; j < byFirst.size(); ++j) {
      if (blocks[byFirst[j]].first > blocks[byFirst[i]].last) break;
      if (pairs.size() == kMostPairs) return std::nullopt;
      pairs.emplace_back(byFirst[i], byFirst[j]);
    }
  return pairs;
}

// Places blocks as they are born, each into the tightest gap of those that the dead left.
class Sweep {
 public:
  explicit Sweep(std::span<const Block> blocks) : offsets_(blocks.size()) {
    std::multimap<int32_t, int32_t> living;  // by their last step
    for (int32_t id : orderOfBirth(blocks)) {
      while (!living.empty() && living.begin()->first < blocks[id].first) {
        const int32_t dead = living.begin()->second;
        release(offsets_[dead], offsets_[dead] + blocks[dead].bytes);
        living.erase(living.begin());
      }
      offsets_[id] = take(blocks[id].bytes);
      living.emplace(blocks[id].last, id);
    }
  }
  const std::vector<int64_t>& offsets() const { return offsets_; }
  int64_t total() const { return total_; }

 private:
  int64_t take(int64_t bytes) {
    auto found = bySize_.lower_bound({bytes, 0});
    if (found == bySize_.end()) return std::exchange(total_, total_ + bytes);
    const auto [size, begin] = *found;
    remove(gaps_.find(begin));
    if (size > bytes) add(begin + bytes, begin + size);
    return begin;
  }

  void release(int64_t begin, int64_t end) {
    auto next = gaps_.lower_bound(begin);
    if (next != gaps_.end() && next->first == end) {
      end = next->second;
      next = remove(next);
    }
    if (next != gaps_.begin() && std::prev(next)->second == begin) {
      begin = std::prev(next)->first;
      remove(std::prev(next));
    }
    add(begin, end);
  }

  using Gaps = std::map<int64_t, int64_t>;  // their ends by their begins
  void add(int64_t begin, int64_t end) {
    gaps_.emplace(begin, end);
    bySize_.emplace(end - begin, begin);
  }
  Gaps::iterator remove(Gaps::iterator gap) {
    bySize_.erase({gap->second - gap->first, gap->first});
    return gaps_.erase(gap);
  }

  std::vector<int64_t> offsets_;
  int64_t total_ = 0;
  Gaps gaps_;
  std::set<std::pair<int64_t, int64_t>> bySize_;
};

// Places blocks one after another, each into the tightest gap among those that live with it.
class Placer {
 public:
  Placer(std::span<const Block> blocks, const Pairs& pairs)
      : blocks_(blocks), offsets_(blocks.size()), placed_(blocks.size()) {
    findNeighbours(pairs);
  }

  // Gives up, with INT64_MAX, once the total exceeds `limit`.
  int64_t place(std::span<const int32_t> order, int64_t limit) {
    std::fill(placed_.begin(), placed_.end(), 0);
    int64_t total = 0;
    for (int32_t id : order) {
      offsets_[id] = offsetFor(id);
      placed_[id] = 1;
      total = std::max(total, offsets_[id] + blocks_[id].bytes);
      if (total > limit) return INT64_MAX;
    }
    return total;
  }

  const std::vector<int64_t>& offsets() const { return offsets_; }
  int64_t comparisons() const { return comparisons_; }

 private:
  struct Range {
    int64_t begin, end;
  };

  // Who lives with whom: neighbours_[starts_[id] … starts_[id + 1]].
  void findNeighbours(const Pairs& pairs) {
    starts_.assign(blocks_.size() + 1, 0);
    for (auto [a, b] : pairs) ++starts_[a + 1], ++starts_[b + 1];
    std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
    neighbours_.resize(2 * pairs.size());
    std::vector<size_t> next(starts_.begin(), starts_.end() - 1);
    for (auto [a, b] : pairs) {
      neighbours_[next[a]++] = b;
      neighbours_[next[b]++] = a;
    }
  }

  int64_t offsetFor(int32_t id) {
    taken_.clear();
    for (size_t i = starts_[id]; i < starts_[id + 1]; ++i)
      if (int32_t other = neighbours_[i]; placed_[other])
        taken_.push_back({offsets_[other], offsets_[other] + blocks_[other].bytes});
    std::sort(taken_.begin(), taken_.end(),
              [](const Range& a, const Range& b) { return a.begin < b.begin; });
    comparisons_ += static_cast<int64_t>(starts_[id + 1] - starts_[id]);
    int64_t end = 0, best = -1, tightest = INT64_MAX;
    for (const Range& range : taken_) {
      int64_t gap = range.begin - end;
      if (gap >= blocks_[id].bytes && gap < tightest) {
        tightest = gap;
        best = end;
      }
      end = std::max(end, range.end);
    }
    return best >= 0 ? best : end;
  }

  std::span<const Block> blocks_;
  std::vector<int64_t> offsets_;
  std::vector<char> placed_;
  std::vector<size_t> starts_;
  std::vector<int32_t> neighbours_;
  std::vector<Range> taken_;
  int64_t comparisons_ = 0;
};

template <typename Less>
std::vector<int32_t> sortedOrder(std::span<const Block> blocks, Less less) {
  std::vector<int32_t> order(blocks.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return less(blocks[a], blocks[b]); });
  return order;
}

int64_t lengthOf(const Block& block) { return int64_t{block.last} - block.first + 1; }

// Tries orders and keeps the best. Then moves blocks that end above the bound ahead of the others,
// since what is placed late pays for the gaps left before it.
class Search {
 public:
  Search(std::span<const Block> blocks, const Pairs& pairs)
      : blocks_(blocks), placer_(blocks, pairs), bound_(boundOf(blocks)) {}

  void run() {
    std::vector<int32_t> bySize = sortedOrder(blocks_, [](const Block& a, const Block& b) {
      return a.bytes != b.bytes ? a.bytes > b.bytes : lengthOf(a) > lengthOf(b);
    });
    attempt(bySize);
    if (done()) return;
    attempt(sortedOrder(blocks_, [](const Block& a, const Block& b) {
      return static_cast<double>(a.bytes) * lengthOf(a) >
             static_cast<double>(b.bytes) * lengthOf(b);
    }));
    if (done()) return;
    attempt(sortedOrder(blocks_, [](const Block& a, const Block& b) {
      return lengthOf(a) != lengthOf(b) ? lengthOf(a) > lengthOf(b) : a.bytes > b.bytes;
    }));
    if (done()) return;
    improve();
  }

  const std::vector<int64_t>& offsets() const { return offsets_; }
  int64_t total() const { return total_; }

 private:
  bool done() const { return total_ == bound_; }

  // Takes an order that is no worse: equals let the search wander.
  void attempt(const std::vector<int32_t>& order) {
    int64_t total = placer_.place(order, total_);
    if (total == INT64_MAX) return;
    total_ = total;
    order_ = order;
    offsets_ = placer_.offsets();
  }

  // A linear congruential generator (Knuth's MMIX constants): the same moves everywhere.
  uint32_t random(uint32_t limit) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>((state_ >> 33) % limit);
  }

  void improve() {
    std::vector<int32_t> order, high;
    while (!done() && placer_.comparisons() < kSearchComparisons) {
      high.clear();
      for (int32_t id : order_)
        if (offsets_[id] + blocks_[id].bytes > bound_) high.push_back(id);
      int32_t moved = high[random(static_cast<uint32_t>(high.size()))];
      order = order_;
      auto from = std::find(order.begin(), order.end(), moved);
      auto to = order.begin() + random(static_cast<uint32_t>(from - order.begin()) + 1);
      std::rotate(to, from, from + 1);
      // A second swap lets the search leave orders that no single move improves.
      if (random(2) == 0) {
        auto n = static_cast<uint32_t>(order.size());
        std::swap(order[random(n)], order[random(n)]);
      }
      attempt(order);
    }
  }

  std::span<const Block> blocks_;
  Placer placer_;
  int64_t bound_;
  int64_t total_ = INT64_MAX;
  std::vector<int32_t> order_;
  std::vector<int64_t> offsets_;
  uint64_t state_ = 1;
};

}  // namespace

int64_t liveBytesBound(std::span<const Lifetime> lifetimes) { return boundOf(blocksOf(lifetimes)); }

Packing packOffsets(std::span<const Lifetime> lifetimes) {
  Packing packing;
  packing.offsets.assign(lifetimes.size(), 0);
  std::vector<Block> blocks = blocksOf(lifetimes);
  if (blocks.empty()) return packing;
  auto keep = [&](const auto& placed) {
    packing.totalBytes = placed.total();
    for (size_t i = 0; i < blocks.size(); ++i)
      packing.offsets[blocks[i].index] = placed.offsets()[i];
  };
  const std::optional<Pairs> pairs = pairsOf(blocks);
  if (!pairs) {
    keep(Sweep(blocks));
    return packing;
  }
  Search search(blocks, *pairs);
  search.run();
  keep(search);
  return packing;
}

}  // namespace carnot
