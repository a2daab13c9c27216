#include "runtime/step_names.h"

#include "ops/region.h"

namespace carnot {

std::string operatorsOf(const EngineStep& step) {
  switch (step.control) {
    case EngineStep::Control::If:
      return "If";
    case EngineStep::Control::Loop:
      return "Loop";
    case EngineStep::Control::None:
      break;
  }
  return step.region.empty() ? "" : Region::parse(step.region).label();
}

std::string_view kernelOf(const EngineStep& step, int variant) {
  if (step.variants.empty()) return "bodies";
  return step.variants[static_cast<size_t>(variant)].kernel;
}

}  // namespace carnot
