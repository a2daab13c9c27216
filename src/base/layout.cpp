#include "base/layout.h"

#include <fmt/core.h>

#include "base/error.h"
#include "base/shape.h"

namespace carnot {

std::string layoutName(Layout layout) {
  switch (layout.kind) {
    case Layout::Kind::Plain:
      return "plain";
    case Layout::Kind::ChannelsLast:
      return "channels_last";
    case Layout::Kind::ChannelBlocked:
      return fmt::format("blocked{}", layout.block);
  }
  return "?";
}

std::vector<int64_t> physicalDims(Layout layout, std::span<const int64_t> dims) {
  std::vector<int64_t> out(dims.begin(), dims.end());
  if (layout.isPlain()) return out;
  ensure(dims.size() >= 3, "a layout over channels needs rank 3 or more");
  if (layout.kind == Layout::Kind::ChannelsLast) {
    out.erase(out.begin() + 1);
    out.push_back(dims[1]);
  } else {
    out[1] = (dims[1] + layout.block - 1) / layout.block;
    out.push_back(layout.block);
  }
  return out;
}

int64_t physicalCount(Layout layout, std::span<const int64_t> dims) {
  return elementCount(physicalDims(layout, dims));
}

}  // namespace carnot
