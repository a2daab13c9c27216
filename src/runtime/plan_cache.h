#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace carnot {

struct ShapePlan;

// The plans of the shapes seen last. Safe for concurrent use.
class PlanCache {
 public:
  static constexpr size_t kCapacity = 64;

  // Null when these dims are not among those kept. Allocates nothing.
  std::shared_ptr<const ShapePlan> find(std::span<const int64_t> dims);
  // The plan to use: the one given, or that of a caller who was faster.
  std::shared_ptr<const ShapePlan> insert(std::span<const int64_t> dims,
                                          std::shared_ptr<const ShapePlan> plan);

 private:
  struct Entry {
    uint64_t hash;
    uint64_t lastUse;
    std::vector<int64_t> dims;
    std::shared_ptr<const ShapePlan> plan;
  };
  Entry* findLocked(std::span<const int64_t> dims, uint64_t hash);

  std::mutex mutex_;
  std::vector<Entry> entries_;
  uint64_t clock_ = 0;
};

}  // namespace carnot
