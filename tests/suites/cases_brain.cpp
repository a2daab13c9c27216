#include <algorithm>

#include "kernel_cases.h"

namespace carnot::test {
namespace {

// Every mention of float16 that is not part of bfloat16 becomes that.
std::string inBrainFloat(const std::string& text) {
  static constexpr std::string_view kHalf = "float16";
  std::string result;
  for (size_t at = 0; at < text.size();) {
    if (text.compare(at, kHalf.size(), kHalf) != 0 || (at > 0 && text[at - 1] == 'b')) {
      result += text[at++];
      continue;
    }
    result += "bfloat16";
    at += kHalf.size();
  }
  return result;
}

}  // namespace

// The cases in half precision again in bfloat16, whose steps are eight times as wide.
std::span<const KernelCase> brainCases() {
  static const std::vector<KernelCase> cases = [] {
    std::vector<KernelCase> made;
    for (std::span<const KernelCase> table :
         {attentionCases(), halfCases(), matMulCases(), loopCases()})
      for (const KernelCase& half : table) {
        KernelCase brain = half;
        brain.name = "brain_" + half.name;
        brain.region = inBrainFloat(half.region);
        for (std::string& input : brain.inputs) input = inBrainFloat(input);
        if (brain.region == half.region && brain.inputs == half.inputs) continue;
        brain.supportedBy.clear();
        if (brain.tolerance > 1e-5) brain.tolerance = 8 * half.tolerance;
        made.push_back(std::move(brain));
      }
    return made;
  }();
  return cases;
}

}  // namespace carnot::test
