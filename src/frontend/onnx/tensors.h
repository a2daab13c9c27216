#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/files.h"
#include "base/tensor.h"
#include "frontend/onnx/model.h"

namespace carnot {

// TensorProto.DataType to our types; throws Error (Unsupported, or InvalidModel for numbers that
// ONNX does not have).
DType onnxDType(int64_t dataType);
// The same by its name in ONNX ("FLOAT", "INT64"), as Cast of opset 1 writes it.
DType onnxDTypeNamed(std::string_view name);

// Makes tensors of what a model holds. Raw bytes that lie aligned in the model's memory or in an
// external file are borrowed, all others copied.
class OnnxTensorLoader {
 public:
  explicit OnnxTensorLoader(const OnnxModel& model) : model_(model) {}

  // Throws Error: InvalidModel when dims, type and data disagree, or external data is not within
  // the model's folder; Io.
  Tensor load(const OnnxTensor& tensor);
  Tensor load(const OnnxSparseTensor& tensor);  // dense

 private:
  Tensor read(const OnnxTensor& tensor);
  Tensor external(const OnnxTensor& tensor, DType dtype);
  std::shared_ptr<MappedFile> openExternal(std::string_view location);

  const OnnxModel& model_;
  std::map<std::string, std::shared_ptr<MappedFile>, std::less<>> files_;
};

}  // namespace carnot
