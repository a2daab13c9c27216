#include <filesystem>

#include "base/files.h"
#include "frontend/onnx/model.h"
#include "frontend/onnx/proto.h"
#include "frontend/onnx/read_values.h"

namespace carnot {

namespace {

// Graphs within graphs, and types within types.
constexpr int kMostNested = 32;

void requireShallow(int depth) {
  if (depth > kMostNested)
    throw Error(ErrorCode::Unsupported, fmt::format("more than {} levels of nesting", kMostNested),
                "a flatter model");
}

std::string nth(std::string_view what, size_t index, std::string_view name = {}) {
  return name.empty() ? fmt::format("{} {}", what, index) : fmt::format("{} {}", what, name);
}

OnnxGraph readGraph(std::string_view message, int depth);

// Files of IR version 1 may leave the type out.
OnnxAttributeType typeFromFields(const OnnxAttribute& attribute, uint32_t lastField) {
  using enum OnnxAttributeType;
  if (!attribute.reals.empty()) return Floats;
  if (!attribute.integers.empty()) return Ints;
  if (!attribute.strings.empty()) return Strings;
  switch (lastField) {
    case 2:
      return Float;
    case 3:
      return Int;
    case 4:
      return String;
    case 5:
      return Tensor;
    case 6:
      return Graph;
    default:
      return Undefined;
  }
}

OnnxAttribute readAttribute(std::string_view message, int depth) {
  OnnxAttribute attribute;
  uint32_t valueField = 0;
  for (ProtoReader in(message); in.next();) {
    uint32_t field = in.field();
    if (field >= 2 && field <= 6) valueField = field;
    switch (field) {
      case 1:
        attribute.name = in.text();
        break;
      case 2:
        attribute.real = in.real();
        break;
      case 3:
        attribute.integer = in.integer();
        break;
      case 4:
        attribute.string = in.bytes();
        break;
      case 5:
      case 10:
        attribute.tensors.push_back(readTensor(in.bytes()));
        break;
      case 6:
      case 11:
        attribute.graphs.push_back(readGraph(in.bytes(), depth + 1));
        break;
      case 7:
        in.reals(attribute.reals);
        break;
      case 8:
        in.integers(attribute.integers);
        break;
      case 9:
        attribute.strings.push_back(in.bytes());
        break;
      case 20: {
        int64_t type = in.integer();
        if (type < 0 || type > static_cast<int64_t>(OnnxAttributeType::TypeProtos))
          throw Error(ErrorCode::InvalidModel, fmt::format("attribute type {}", type), "0 to 14");
        attribute.type = static_cast<OnnxAttributeType>(type);
        break;
      }
      case 21:
        attribute.referred = in.text();
        break;
      case 22:
      case 23:
        attribute.sparseTensors.push_back(readSparseTensor(in.bytes()));
        break;
      default:
        in.skip();
    }
  }
  if (attribute.type == OnnxAttributeType::Undefined)
    attribute.type = typeFromFields(attribute, valueField);
  return attribute;
}

OnnxNodeProto readNode(std::string_view message, int depth) {
  OnnxNodeProto node;
  for (ProtoReader in(message); in.next();) {
    switch (in.field()) {
      case 1:
        node.inputs.push_back(in.text());
        break;
      case 2:
        node.outputs.push_back(in.text());
        break;
      case 3:
        node.name = in.text();
        break;
      case 4:
        node.type = in.text();
        break;
      case 5:
        inFrame([&] { return nth("attribute", node.attributes.size()); },
                [&] { node.attributes.push_back(readAttribute(in.bytes(), depth)); });
        break;
      case 7:
        node.domain = in.text();
        break;
      case 8:
        node.overload = in.text();
        break;
      default:
        in.skip();
    }
  }
  return node;
}

void readNodeInto(std::vector<OnnxNodeProto>& nodes, std::string_view message, int depth) {
  inFrame([&] { return nth("node", nodes.size()); },
          [&] { nodes.push_back(readNode(message, depth)); });
}

OnnxGraph readGraph(std::string_view message, int depth) {
  requireShallow(depth);
  OnnxGraph graph;
  for (ProtoReader in(message); in.next();) {
    switch (in.field()) {
      case 1:
        readNodeInto(graph.nodes, in.bytes(), depth);
        break;
      case 2:
        graph.name = in.text();
        break;
      case 5:
        inFrame([&] { return nth("initializer", graph.initializers.size()); },
                [&] { graph.initializers.push_back(readTensor(in.bytes())); });
        break;
      case 11:
        inFrame([&] { return nth("input", graph.inputs.size()); },
                [&] { graph.inputs.push_back(readValueInfo(in.bytes())); });
        break;
      case 12:
        inFrame([&] { return nth("output", graph.outputs.size()); },
                [&] { graph.outputs.push_back(readValueInfo(in.bytes())); });
        break;
      case 15:
        inFrame([&] { return nth("sparse initializer", graph.sparseInitializers.size()); },
                [&] { graph.sparseInitializers.push_back(readSparseTensor(in.bytes())); });
        break;
      default:
        in.skip();
    }
  }
  return graph;
}

OnnxOpset readOpset(std::string_view message) {
  OnnxOpset opset;
  for (ProtoReader in(message); in.next();) {
    if (in.field() == 1)
      opset.domain = in.text();
    else if (in.field() == 2)
      opset.version = in.integer();
    else
      in.skip();
  }
  return opset;
}

OnnxFunction readFunction(std::string_view message) {
  OnnxFunction function;
  for (ProtoReader in(message); in.next();) {
    switch (in.field()) {
      case 1:
        function.name = in.text();
        break;
      case 4:
        function.inputs.push_back(in.text());
        break;
      case 5:
        function.outputs.push_back(in.text());
        break;
      case 7:
        readNodeInto(function.nodes, in.bytes(), 0);
        break;
      case 9:
        function.opsets.push_back(readOpset(in.bytes()));
        break;
      case 10:
        function.domain = in.text();
        break;
      case 11:
        function.defaults.push_back(readAttribute(in.bytes(), 0));
        break;
      case 13:
        function.overload = in.text();
        break;
      default:
        in.skip();
    }
  }
  return function;
}

void readModel(std::string_view message, OnnxModel& model) {
  bool hasGraph = false;
  for (ProtoReader in(message); in.next();) {
    switch (in.field()) {
      case 1:
        model.irVersion = in.integer();
        break;
      case 2:
        model.producer = in.text();
        break;
      case 3:
        model.producerVersion = in.text();
        break;
      case 4:
        model.domain = in.text();
        break;
      case 5:
        model.version = in.integer();
        break;
      case 7:
        hasGraph = true;
        model.graph =
            inFrame([] { return std::string("graph"); }, [&] { return readGraph(in.bytes(), 0); });
        break;
      case 8:
        model.opsets.push_back(readOpset(in.bytes()));
        break;
      case 14: {
        std::pair<std::string_view, std::string_view> entry;
        for (ProtoReader pair(in.bytes()); pair.next();) {
          if (pair.field() == 1)
            entry.first = pair.text();
          else if (pair.field() == 2)
            entry.second = pair.text();
          else
            pair.skip();
        }
        model.metadata.push_back(entry);
        break;
      }
      case 25:
        inFrame([&] { return nth("function", model.functions.size()); },
                [&] { model.functions.push_back(readFunction(in.bytes())); });
        break;
      default:
        in.skip();
    }
  }
  if (!hasGraph)
    throw Error(ErrorCode::InvalidModel,
                message.empty() ? "no bytes at all" : "no graph in the data", "an ONNX model",
                "export or download the file again");
}

}  // namespace

std::string_view onnxAttributeTypeName(OnnxAttributeType type) {
  constexpr std::string_view kNames[] = {"undefined",
                                         "a number",
                                         "an integer",
                                         "a string",
                                         "a tensor",
                                         "a graph",
                                         "a list of numbers",
                                         "a list of integers",
                                         "a list of strings",
                                         "a list of tensors",
                                         "a list of graphs",
                                         "a sparse tensor",
                                         "a list of sparse tensors",
                                         "a type",
                                         "a list of types"};
  return kNames[static_cast<size_t>(type)];
}

OnnxModel readOnnxBytes(std::span<const std::byte> bytes, std::shared_ptr<void> keepAlive,
                        std::string folder, std::string source) {
  OnnxModel model;
  model.source = std::move(source);
  model.folder = std::move(folder);
  model.keepAlive = std::move(keepAlive);
  inFrame([&] { return model.source; },
          [&] {
            readModel({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, model);
          });
  return model;
}

OnnxModel readOnnxFile(const std::string& path) {
  auto file = MappedFile::open(path);
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  return readOnnxBytes(file->bytes(), file, folder.empty() ? "." : folder.string(),
                       fmt::format("file {}", path));
}

}  // namespace carnot
