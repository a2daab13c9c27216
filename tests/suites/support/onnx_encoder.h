#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace carnot::test {

// Writes ONNX models as bytes: the few fields that tests need, and `raw` for anything else.

struct EncodedTensor {
  std::string name = {};
  int type = 1;  // TensorProto.DataType
  std::vector<int64_t> dims = {};
  std::vector<float> floats = {};      // float_data
  std::vector<int32_t> int32s = {};    // int32_data
  std::vector<int64_t> int64s = {};    // int64_data
  std::vector<double> doubles = {};    // double_data
  std::vector<uint64_t> uint64s = {};  // uint64_data
  std::string raw = {};                // raw_data
  std::vector<std::pair<std::string, std::string>> external = {};
  std::string encode() const;
};

struct EncodedGraph;

struct EncodedNode {
  using Attribute = std::variant<int64_t, float, const char*, std::vector<int64_t>,
                                 std::vector<float>, EncodedTensor, EncodedGraph>;
  struct Named;
  std::string type = {};
  std::vector<std::string> inputs = {};
  std::vector<std::string> outputs = {};
  std::vector<Named> attributes = {};
  std::string name = {};
  std::string domain = {};
  std::string encode() const;
};

struct EncodedValue {
  std::string name = {};
  int type = 1;
  // Numbers, or names; {} with `noShape` leaves the shape out.
  std::vector<std::variant<int64_t, std::string>> dims = {};
  bool noShape = false;
  int sequences = 0;  // around the tensor
  int optionals = 0;  // around these
  std::string encode() const;
};

struct EncodedGraph {
  std::vector<EncodedValue> inputs = {};
  std::vector<EncodedValue> outputs = {};
  std::vector<EncodedNode> nodes = {};
  std::vector<EncodedTensor> initializers = {};
  std::vector<std::string> sparseInitializers = {};  // encoded
  std::string encode() const;
};

struct EncodedNode::Named {
  std::string name = {};
  Attribute value = {};
  std::string refers = {};  // inside a function: the function's attribute
};

struct EncodedFunction {
  std::string name = {};
  std::string domain = {};
  std::vector<std::string> inputs = {};
  std::vector<std::string> outputs = {};
  std::vector<std::string> attributes = {};
  std::vector<EncodedNode::Named> defaults = {};
  std::vector<EncodedNode> nodes = {};
  std::string encode() const;
};

struct EncodedModel {
  EncodedGraph graph;
  int64_t opset = 17;
  int64_t irVersion = 8;
  std::vector<EncodedFunction> functions = {};
  std::vector<std::string> domains = {};  // beside ai.onnx, of version 1
  // The opset last: a model cut off anywhere is incomplete.
  std::string encode() const;
};

std::string encodeSparse(const EncodedTensor& values, const EncodedTensor& indices,
                         const std::vector<int64_t>& dims);

}  // namespace carnot::test
