#include <carnot/names.h>
#include <fmt/format.h>

#include "base/error.h"
#include "devices/device.h"

namespace carnot {
namespace {

struct IsaName {
  Isa isa;
  std::string_view name;
  uint32_t below;  // what a processor with this one has too
};

constexpr uint32_t bitOf(Isa isa) { return static_cast<uint32_t>(isa); }
constexpr uint32_t kAvx512AndBelow = bitOf(Isa::Avx2) | bitOf(Isa::Avx512);

constexpr IsaName kNames[] = {
    {Isa::Avx2, "avx2", 0},
    {Isa::Avx512, "avx512", bitOf(Isa::Avx2)},
    {Isa::AvxVnni, "avx_vnni", bitOf(Isa::Avx2)},
    {Isa::Avx512Vnni, "avx512_vnni", kAvx512AndBelow},
    {Isa::Avx512Bf16, "avx512_bf16", kAvx512AndBelow},
    {Isa::Avx512Fp16, "avx512_fp16", kAvx512AndBelow},
    {Isa::AmxInt8, "amx_int8", kAvx512AndBelow},
    {Isa::AmxBf16, "amx_bf16", kAvx512AndBelow},
};

IsaSet parseOne(std::string_view name) {
  if (name == "portable") return {};
  if (name == "native") return hostIsa();
  std::vector<std::string> known = {"portable", "native"};
  for (const IsaName& row : kNames) {
    if (row.name == name) return {bitOf(row.isa) | row.below};
    known.emplace_back(row.name);
  }
  const std::string near = closest(name, known);
  throw Error(ErrorCode::InvalidArgument, fmt::format("instruction set \"{}\"", name),
              fmt::format("one or more, joined by '+', of {}", fmt::join(known, ", ")),
              near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
}

}  // namespace

std::string isaNames(IsaSet set) {
  std::string text;
  for (const IsaName& row : kNames)
    if (set.has(row.isa)) text += (text.empty() ? "" : "+") + std::string(row.name);
  return text.empty() ? "portable" : text;
}

IsaSet parseIsa(std::string_view text) {
  IsaSet set;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('+', begin), text.size());
    set.bits |= parseOne(text.substr(begin, end - begin)).bits;
    begin = end + 1;
  }
  return set;
}

}  // namespace carnot
