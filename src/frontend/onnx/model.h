#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace carnot {

// An ONNX model as it stands in its file: text and tensors' bytes are views into memory that the
// model keeps alive. Nothing is checked but that it can be read; meaning is import.h's matter.

struct OnnxTensor {
  std::string_view name;
  std::vector<int64_t> dims;
  int64_t dataType = 0;  // TensorProto.DataType
  bool hasRawData = false;
  std::string_view rawData;
  std::string_view message;  // the whole, for the fields of typed data
  bool isExternal = false;
  std::string_view location, offset, length;  // external data; numbers are decimal text, or empty
};

struct OnnxSparseTensor {
  OnnxTensor values;  // its name is the whole's
  OnnxTensor indices;
  std::vector<int64_t> dims;
};

struct OnnxGraph;

// AttributeProto.AttributeType.
enum class OnnxAttributeType : uint8_t {
  Undefined = 0,
  Float,
  Int,
  String,
  Tensor,
  Graph,
  Floats,
  Ints,
  Strings,
  Tensors,
  Graphs,
  SparseTensor,
  SparseTensors,
  TypeProto,
  TypeProtos,
};
std::string_view onnxAttributeTypeName(OnnxAttributeType type);

struct OnnxAttribute {
  std::string_view name;
  std::string_view referred;  // inside a function: the function's attribute that this one takes
  OnnxAttributeType type = OnnxAttributeType::Undefined;
  float real = 0;
  int64_t integer = 0;
  std::string_view string;
  std::vector<float> reals;
  std::vector<int64_t> integers;
  std::vector<std::string_view> strings;
  std::vector<OnnxTensor> tensors;  // one for a Tensor
  std::vector<OnnxSparseTensor> sparseTensors;
  std::vector<OnnxGraph> graphs;
};

struct OnnxNodeProto {
  std::string_view name, type, domain, overload;
  std::vector<std::string_view> inputs, outputs;  // empty: omitted
  std::vector<OnnxAttribute> attributes;
};

struct OnnxDim {
  std::optional<int64_t> value;
  std::string_view symbol;
};

struct OnnxType {
  enum class Kind : uint8_t { None, Tensor, SparseTensor, Sequence, Map, Optional, Opaque };
  Kind kind = Kind::None;
  int64_t elementType = 0;
  std::optional<std::vector<OnnxDim>> shape;  // absent: unknown rank
  std::shared_ptr<const OnnxType> held;       // Sequence, Optional: of what it holds
};

struct OnnxValueInfo {
  std::string_view name;
  OnnxType type;
};

struct OnnxGraph {
  std::string_view name;
  std::vector<OnnxNodeProto> nodes;
  std::vector<OnnxTensor> initializers;
  std::vector<OnnxSparseTensor> sparseInitializers;
  std::vector<OnnxValueInfo> inputs, outputs;
};

struct OnnxOpset {
  std::string_view domain;  // "" is ai.onnx
  int64_t version = 0;
};

struct OnnxFunction {
  std::string_view name, domain, overload;
  std::vector<std::string_view> inputs, outputs;
  std::vector<OnnxNodeProto> nodes;
  std::vector<OnnxAttribute> defaults;  // of its attributes; those without one are not listed
  std::vector<OnnxOpset> opsets;
};

struct OnnxModel {
  std::string source;  // its name in messages: "file model.onnx"
  std::string folder;  // where external data may lie; empty: nowhere
  int64_t irVersion = 0;
  std::string_view producer, producerVersion, domain;
  int64_t version = 0;
  OnnxGraph graph;
  std::vector<OnnxOpset> opsets;
  std::vector<OnnxFunction> functions;
  std::vector<std::pair<std::string_view, std::string_view>> metadata;

  std::shared_ptr<void> keepAlive;
};

// Maps the file and reads it. Throws Error: Io, or InvalidModel naming the file and the place.
OnnxModel readOnnxFile(const std::string& path);

// Reads a model in memory that `keepAlive` holds; null: the caller does, for as long as the model
// and every tensor made from it live. `source` is its name in messages.
OnnxModel readOnnxBytes(std::span<const std::byte> bytes, std::shared_ptr<void> keepAlive = nullptr,
                        std::string folder = {}, std::string source = "model");

}  // namespace carnot
