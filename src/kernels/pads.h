#pragma once

#include <vector>

#include "base/error.h"
#include "kernels/one_step.h"

namespace carnot {

// A Pad's begins and ends, of every axis, once the shapes are known: they are constant or follow
// from the shapes (supportsStep refuses others).
inline std::vector<int64_t> padsOf(const OneStep& step, size_t rank) {
  const TensorDesc& desc = step.desc(1);
  std::vector<int64_t> pads;
  if (desc.constant && !desc.constant->empty())
    pads = desc.constant->toInts();
  else if (desc.contents)
    pads = Shape(*desc.contents).concrete();
  if (pads.size() != 2 * rank)
    throwBadParameters("the pads are not a begin and an end for each axis");
  return pads;
}

}  // namespace carnot
