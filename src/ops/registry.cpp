#include <algorithm>
#include <map>

#include "ops/onnx_mappings.h"
#include "ops/onnx_microsoft.h"
#include "ops/operator.h"

namespace carnot {

#define CARNOT_OPERATOR(T) \
  struct T;                \
  template <>              \
  const OpDef& definitionOf<T>();
#include "ops/ops.inc"
#undef CARNOT_OPERATOR

std::span<const OpDef* const> allOperators() {
  static const OpDef* const kRows[] = {
#define CARNOT_OPERATOR(T) &definitionOf<T>(),
#include "ops/ops.inc"
#undef CARNOT_OPERATOR
  };
  return kRows;
}

const OpDef* findOperator(std::string_view name) {
  static const auto kByName = [] {
    std::map<std::string_view, const OpDef*> rows;
    for (const OpDef* row : allOperators()) rows.emplace(row->name, row);
    return rows;
  }();
  auto found = kByName.find(name);
  return found == kByName.end() ? nullptr : found->second;
}

namespace {

using TypeKey = std::pair<std::string_view, std::string_view>;

const std::multimap<TypeKey, const OnnxMapping*>& mappings() {
  static const auto kMappings = [] {
    std::multimap<TypeKey, const OnnxMapping*> all;
    auto add = [&](std::span<const OnnxMapping> list) {
      for (const OnnxMapping& mapping : list)
        all.emplace(TypeKey{mapping.domain, mapping.type}, &mapping);
    };
    for (const OpDef* row : allOperators()) add(row->onnx);
    add(onnxAliases());
    add(microsoftMappings());
    return all;
  }();
  return kMappings;
}

std::string_view canonicalDomain(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view{} : domain;
}

bool covers(const OnnxMapping& mapping, int opset) {
  return opset >= mapping.sinceOpset && (mapping.untilOpset == 0 || opset <= mapping.untilOpset);
}

}  // namespace

const OnnxMapping* findOnnxMapping(std::string_view domain, std::string_view type, int opset) {
  auto [first, last] = mappings().equal_range({canonicalDomain(domain), type});
  for (auto row = first; row != last; ++row)
    if (covers(*row->second, opset)) return row->second;
  return nullptr;
}

std::vector<std::string> supportedOnnxTypes(std::string_view domain, int opset) {
  std::vector<std::string> types;
  for (const auto& [key, mapping] : mappings()) {
    if (key.first != canonicalDomain(domain)) continue;
    if (opset != 0 && !covers(*mapping, opset)) continue;
    if (types.empty() || types.back() != key.second) types.emplace_back(key.second);
  }
  return types;
}

}  // namespace carnot
