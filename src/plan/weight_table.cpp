#include "plan/weight_table.h"

namespace carnot {

int32_t WeightTable::indexOf(const Tensor& tensor) {
  const uint64_t hash = tensor.hash();
  auto [first, last] = byHash_.equal_range(hash);
  for (auto it = first; it != last; ++it)
    if (weights_[static_cast<size_t>(it->second)].data.sameBytes(tensor)) return it->second;
  const auto index = static_cast<int32_t>(weights_.size());
  weights_.push_back({tensor.dtype(), tensor.dims(), tensor});
  byHash_.emplace(hash, index);
  return index;
}

void WeightTable::dropFrom(size_t count) {
  std::erase_if(byHash_,
                [&](const auto& entry) { return static_cast<size_t>(entry.second) >= count; });
  weights_.resize(count);
}

}  // namespace carnot
