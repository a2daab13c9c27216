#include "frontend/onnx/read_values.h"

#include "frontend/onnx/proto.h"

namespace carnot {

static void readExternalEntry(std::string_view message, OnnxTensor& tensor) {
  std::string_view key, value;
  for (ProtoReader in(message); in.next();) {
    if (in.field() == 1)
      key = in.text();
    else if (in.field() == 2)
      value = in.text();
    else
      in.skip();
  }
  if (key == "location") tensor.location = value;
  if (key == "offset") tensor.offset = value;
  if (key == "length") tensor.length = value;
}

OnnxTensor readTensor(std::string_view message) {
  OnnxTensor tensor;
  tensor.message = message;
  for (ProtoReader in(message); in.next();) {
    switch (in.field()) {
      case 1:
        in.integers(tensor.dims);
        break;
      case 2:
        tensor.dataType = in.integer();
        break;
      case 3:
        throw Error(ErrorCode::Unsupported, "a tensor in segments", "whole tensors");
      case 8:
        tensor.name = in.text();
        break;
      case 9:
        tensor.hasRawData = true;
        tensor.rawData = in.bytes();
        break;
      case 13:
        readExternalEntry(in.bytes(), tensor);
        break;
      case 14:
        tensor.isExternal = in.integer() == 1;
        break;
      default:
        in.skip();
    }
  }
  return tensor;
}

OnnxSparseTensor readSparseTensor(std::string_view message) {
  OnnxSparseTensor tensor;
  for (ProtoReader in(message); in.next();) {
    if (in.field() == 1)
      tensor.values = readTensor(in.bytes());
    else if (in.field() == 2)
      tensor.indices = readTensor(in.bytes());
    else if (in.field() == 3)
      in.integers(tensor.dims);
    else
      in.skip();
  }
  return tensor;
}

static OnnxDim readDim(std::string_view message) {
  OnnxDim dim;
  for (ProtoReader in(message); in.next();) {
    if (in.field() == 1)
      dim.value = in.integer();
    else if (in.field() == 2)
      dim.symbol = in.text();
    else
      in.skip();
  }
  return dim;
}

static std::vector<OnnxDim> readShape(std::string_view message) {
  std::vector<OnnxDim> dims;
  for (ProtoReader in(message); in.next();) {
    if (in.field() == 1)
      dims.push_back(readDim(in.bytes()));
    else
      in.skip();
  }
  return dims;
}

// Deeper types are refused, whatever they hold.
static constexpr int kMostHeld = 4;

static OnnxType readType(std::string_view message, int depth = 0) {
  OnnxType type;
  for (ProtoReader in(message); in.next();) {
    switch (in.field()) {
      case 1:
      case 8: {
        type.kind = in.field() == 1 ? OnnxType::Kind::Tensor : OnnxType::Kind::SparseTensor;
        for (ProtoReader tensor(in.bytes()); tensor.next();) {
          if (tensor.field() == 1)
            type.elementType = tensor.integer();
          else if (tensor.field() == 2)
            type.shape = readShape(tensor.bytes());
          else
            tensor.skip();
        }
        break;
      }
      case 4:
      case 9:
        type.kind = in.field() == 4 ? OnnxType::Kind::Sequence : OnnxType::Kind::Optional;
        for (ProtoReader outer(in.bytes()); outer.next();) {
          if (outer.field() == 1 && depth < kMostHeld)
            type.held = std::make_shared<const OnnxType>(readType(outer.bytes(), depth + 1));
          else
            outer.skip();
        }
        break;
      // Of the others the kind says enough to refuse them.
      case 5:
        type.kind = OnnxType::Kind::Map;
        in.skip();
        break;
      case 7:
        type.kind = OnnxType::Kind::Opaque;
        in.skip();
        break;
      default:
        in.skip();
    }
  }
  return type;
}

OnnxValueInfo readValueInfo(std::string_view message) {
  OnnxValueInfo info;
  for (ProtoReader in(message); in.next();) {
    if (in.field() == 1)
      info.name = in.text();
    else if (in.field() == 2)
      info.type = readType(in.bytes());
    else
      in.skip();
  }
  return info;
}

}  // namespace carnot
