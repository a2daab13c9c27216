#pragma once

#include <carnot/dtype.h>

#include <cstdint>
#include <string>
#include <vector>

namespace carnot {

// An input or output of an engine, as declared.
struct TensorInfo {
  std::string name;
  DType dtype = DType::F32;
  // Each dimension as text: a number ("224"), a symbol that the shapes given to a run decide
  // ("batch"), or an expression of symbols ("floordiv(width + 1, 2)").
  std::vector<std::string> dims;
  // Of an output: its dims depend on the inputs' data, so that they are known once a run gave it.
  bool dependsOnData = false;

  bool isDynamic() const;
  std::string toString() const;  // "float32[batch, 3, 224, 224]"
};

}  // namespace carnot
