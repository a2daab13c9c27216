// The program of the target named CARNOT_FUZZ_TARGET, for libFuzzer.
#include <carnot/error.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "targets.h"

namespace {

// What became of the inputs, said when the program ends by itself. libFuzzer's own, of no bytes,
// does not count.
struct Outcomes {
  size_t accepted = 0, refused = 0;
  ~Outcomes() { std::fprintf(stderr, "%zu accepted, %zu refused\n", accepted, refused); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace carnot;
  static Outcomes outcomes;
  static const fuzz::Target& target =
      *std::ranges::find(fuzz::kTargets, std::string_view(CARNOT_FUZZ_TARGET), &fuzz::Target::name);
  try {
    target.run(std::as_bytes(std::span(data, size)));
    outcomes.accepted += size > 0;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Internal) {
      std::fprintf(stderr, "%s\n", error.what());
      __builtin_trap();
    }
    outcomes.refused += size > 0;
  }
  return 0;
}
