#pragma once

#include <carnot/dtype.h>

#include <cstdint>
#include <optional>

namespace carnot {

// What a layer is asked to compute in, and to give. Float types; others hold only for layers that
// are of them already.
struct LayerPrecision {
  std::optional<DType> compute, output;
};

// What becomes of a layer's precision that cannot be had.
enum class PrecisionConstraints : uint8_t {
  None,    // nothing is asked of any layer
  Prefer,  // a warning
  Obey,    // an Error (Unsupported)
};

}  // namespace carnot
