// Any bytes as an ONNX model: they are imported.
#include "frontend/onnx/import.h"
#include "fuzz/targets.h"

void carnot::fuzz::onnxImport(Bytes bytes) { importOnnx(readOnnxBytes(bytes)); }
