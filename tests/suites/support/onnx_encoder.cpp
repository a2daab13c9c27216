#include "suites/support/onnx_encoder.h"

#include <protozero/pbf_writer.hpp>

namespace carnot::test {

namespace {

using protozero::pbf_writer;

template <typename T>
void packed(pbf_writer& out, uint32_t field, const std::vector<T>& values) {
  if (values.empty()) return;
  if constexpr (std::is_same_v<T, float>)
    out.add_packed_float(field, values.begin(), values.end());
  else if constexpr (std::is_same_v<T, double>)
    out.add_packed_double(field, values.begin(), values.end());
  else
    out.add_packed_int64(field, values.begin(), values.end());
}

std::string encodeAttribute(const EncodedNode::Named& attribute) {
  std::string bytes;
  pbf_writer out(bytes);
  out.add_string(1, attribute.name);
  if (!attribute.refers.empty()) out.add_string(21, attribute.refers);
  // TypeProto's numbers of the kinds, in the variant's order.
  constexpr int kTypes[] = {2, 1, 3, 7, 6, 4, 5};
  int type = kTypes[attribute.value.index()];
  if (attribute.refers.empty()) {
    if (auto* v = std::get_if<int64_t>(&attribute.value)) out.add_int64(3, *v);
    if (auto* v = std::get_if<float>(&attribute.value)) out.add_float(2, *v);
    if (auto* v = std::get_if<const char*>(&attribute.value)) out.add_string(4, *v);
    if (auto* v = std::get_if<std::vector<int64_t>>(&attribute.value))
      for (int64_t value : *v) out.add_int64(8, value);
    if (auto* v = std::get_if<std::vector<float>>(&attribute.value)) packed(out, 7, *v);
    if (auto* v = std::get_if<EncodedTensor>(&attribute.value)) out.add_message(5, v->encode());
    if (auto* v = std::get_if<EncodedGraph>(&attribute.value)) out.add_message(6, v->encode());
  }
  out.add_int32(20, type);
  return bytes;
}

}  // namespace

std::string EncodedTensor::encode() const {
  std::string bytes;
  pbf_writer out(bytes);
  packed(out, 1, dims);
  out.add_int32(2, type);
  packed(out, 4, floats);
  packed(out, 5, std::vector<int64_t>(int32s.begin(), int32s.end()));
  packed(out, 7, int64s);
  if (!name.empty()) out.add_string(8, name);
  if (!raw.empty()) out.add_bytes(9, raw);
  packed(out, 10, doubles);
  packed(out, 11, std::vector<int64_t>(uint64s.begin(), uint64s.end()));
  for (const auto& [key, value] : external) {
    pbf_writer entry(out, 13);
    entry.add_string(1, key);
    entry.add_string(2, value);
  }
  if (!external.empty()) out.add_int32(14, 1);
  return bytes;
}

std::string EncodedNode::encode() const {
  std::string bytes;
  pbf_writer out(bytes);
  for (const std::string& input : inputs) out.add_string(1, input);
  for (const std::string& output : outputs) out.add_string(2, output);
  if (!name.empty()) out.add_string(3, name);
  out.add_string(4, type);
  for (const Named& attribute : attributes) out.add_message(5, encodeAttribute(attribute));
  if (!domain.empty()) out.add_string(7, domain);
  return bytes;
}

std::string EncodedValue::encode() const {
  // As strings, since a nested writer leaves out messages that are empty.
  std::string shape, tensor, typeProto, bytes;
  for (const auto& dim : dims) {
    std::string one;
    pbf_writer out(one);
    if (auto* value = std::get_if<int64_t>(&dim)) {
      out.add_int64(1, *value);
    } else if (!std::get<std::string>(dim).empty()) {
      out.add_string(2, std::get<std::string>(dim));
    }
    pbf_writer(shape).add_message(1, one);
  }
  pbf_writer(tensor).add_int32(1, type);
  if (!noShape) pbf_writer(tensor).add_message(2, shape);
  pbf_writer(typeProto).add_message(1, tensor);
  for (int i = 0; i < sequences + optionals; ++i) {
    std::string held, outer;
    pbf_writer(held).add_message(1, typeProto);
    pbf_writer(outer).add_message(i < sequences ? 4 : 9, held);
    typeProto = outer;
  }
  pbf_writer(bytes).add_string(1, name);
  pbf_writer(bytes).add_message(2, typeProto);
  return bytes;
}

std::string EncodedGraph::encode() const {
  std::string bytes;
  pbf_writer out(bytes);
  for (const EncodedNode& node : nodes) out.add_message(1, node.encode());
  out.add_string(2, "test");
  for (const EncodedTensor& tensor : initializers) out.add_message(5, tensor.encode());
  for (const std::string& tensor : sparseInitializers) out.add_message(15, tensor);
  for (const EncodedValue& value : inputs) out.add_message(11, value.encode());
  for (const EncodedValue& value : outputs) out.add_message(12, value.encode());
  return bytes;
}

std::string EncodedFunction::encode() const {
  std::string bytes;
  pbf_writer out(bytes);
  out.add_string(1, name);
  for (const std::string& input : inputs) out.add_string(4, input);
  for (const std::string& output : outputs) out.add_string(5, output);
  for (const std::string& attribute : attributes) out.add_string(6, attribute);
  for (const EncodedNode& node : nodes) out.add_message(7, node.encode());
  out.add_string(10, domain);
  for (const EncodedNode::Named& value : defaults) out.add_message(11, encodeAttribute(value));
  return bytes;
}

std::string EncodedModel::encode() const {
  std::string bytes;
  pbf_writer out(bytes);
  out.add_int64(1, irVersion);
  out.add_string(2, "tests");
  out.add_message(7, graph.encode());
  for (const EncodedFunction& function : functions) out.add_message(25, function.encode());
  for (const std::string& domain : domains) {
    pbf_writer one(out, 8);
    one.add_string(1, domain);
    one.add_int64(2, 1);
  }
  {
    pbf_writer one(out, 8);
    one.add_string(1, "");
    one.add_int64(2, opset);
  }
  return bytes;
}

std::string encodeSparse(const EncodedTensor& values, const EncodedTensor& indices,
                         const std::vector<int64_t>& dims) {
  std::string bytes;
  pbf_writer out(bytes);
  out.add_message(1, values.encode());
  out.add_message(2, indices.encode());
  packed(out, 3, dims);
  return bytes;
}

}  // namespace carnot::test
