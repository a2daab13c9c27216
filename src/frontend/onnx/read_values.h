#pragma once

#include <string_view>

#include "frontend/onnx/model.h"

namespace carnot {

// From the bytes of one message each; throw Error (InvalidModel).
OnnxTensor readTensor(std::string_view message);
OnnxSparseTensor readSparseTensor(std::string_view message);
OnnxValueInfo readValueInfo(std::string_view message);

}  // namespace carnot
