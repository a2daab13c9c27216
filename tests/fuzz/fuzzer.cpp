// The program of the target named CARNOT_FUZZ_TARGET, for libFuzzer.
#include <carnot/error.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace carnot;
  static const fuzz::Target& target =
      *std::ranges::find(fuzz::kTargets, std::string_view(CARNOT_FUZZ_TARGET), &fuzz::Target::name);
  try {
    target.run(std::as_bytes(std::span(data, size)));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Internal) __builtin_trap();
  }
  return 0;
}
