#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace carnot {

// How the elements of a tensor of logical dims [N, C, spatial...] lie in memory.
//   Plain:          row-major over the logical dims.
//   ChannelsLast:   [N, spatial..., C].
//   ChannelBlocked: [N, ceil(C / block), spatial..., block]. Lanes beyond C hold unspecified bits; no
//                   kernel may let them reach a real lane.
// ChannelsLast and ChannelBlocked need rank >= 3.
struct Layout {
  enum class Kind : uint8_t { Plain, ChannelsLast, ChannelBlocked };
  Kind kind = Kind::Plain;
  uint8_t block = 1;

  static constexpr Layout plain() { return {}; }
  static constexpr Layout channelsLast() { return {Kind::ChannelsLast, 1}; }
  static constexpr Layout channelBlocked(int block) {
    return {Kind::ChannelBlocked, static_cast<uint8_t>(block)};
  }
  bool isPlain() const { return kind == Kind::Plain; }
  friend bool operator==(const Layout&, const Layout&) = default;
};

std::string layoutName(Layout layout);  // "plain", "channels_last", "blocked16"
// The dims as stored, innermost last; [N, C, H, W] blocked by 16 gives [N, ceil(C/16), H, W, 16].
std::vector<int64_t> physicalDims(Layout layout, std::span<const int64_t> logicalDims);
int64_t physicalCount(Layout layout, std::span<const int64_t> logicalDims);

}  // namespace carnot
