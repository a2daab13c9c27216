#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace carnot {

using Json = nlohmann::json;

// A value of a foreign file for a message: lists and objects, which may nest without end, by their
// kind alone.
inline std::string shown(const Json& json) {
  return json.is_structured() ? std::string("a list or object") : json.dump();
}

}  // namespace carnot
