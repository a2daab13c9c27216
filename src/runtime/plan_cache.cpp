#include "runtime/plan_cache.h"

#include <algorithm>

#include "base/hash.h"

namespace carnot {

PlanCache::Entry* PlanCache::findLocked(std::span<const int64_t> dims, uint64_t hash) {
  for (Entry& entry : entries_)
    if (entry.hash == hash && std::ranges::equal(entry.dims, dims)) {
      entry.lastUse = ++clock_;
      return &entry;
    }
  return nullptr;
}

std::shared_ptr<const ShapePlan> PlanCache::find(std::span<const int64_t> dims) {
  uint64_t hash = hash64(dims.data(), dims.size_bytes());
  std::lock_guard lock(mutex_);
  Entry* entry = findLocked(dims, hash);
  return entry ? entry->plan : nullptr;
}

std::shared_ptr<const ShapePlan> PlanCache::insert(std::span<const int64_t> dims,
                                                   std::shared_ptr<const ShapePlan> plan) {
  uint64_t hash = hash64(dims.data(), dims.size_bytes());
  std::lock_guard lock(mutex_);
  if (Entry* entry = findLocked(dims, hash)) return entry->plan;
  Entry fresh{hash, ++clock_, {dims.begin(), dims.end()}, plan};
  if (entries_.size() < kCapacity)
    entries_.push_back(std::move(fresh));
  else
    *std::ranges::min_element(entries_, {}, &Entry::lastUse) = std::move(fresh);
  return plan;
}

}  // namespace carnot
