#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "frontend/onnx/target.h"
#include "ops/reshape.h"

namespace carnot::onnx {

// The one output of an operator appended to the target's graph.
inline Value* emitOne(Target& target, const std::string& name, Operator op,
                      std::vector<Value*> inputs) {
  return target.maker.emit(std::move(op), std::move(inputs), 1, name)[0];
}

// A tensor of one element without dims; null stays.
inline Value* scalarOf(Target& target, const std::string& name, Value* value) {
  if (!value || value->type.shape.rank() == 0) return value;
  return emitOne(target, name, Operator::of(Reshape{Shape{}}), {value});
}

[[noreturn]] inline void invalid(std::string has, std::string needs = {}, std::string remedy = {}) {
  throw Error(ErrorCode::InvalidModel, std::move(has), std::move(needs), std::move(remedy));
}

[[noreturn]] inline void refuse(std::string has, std::string needs, std::string remedy = {}) {
  throw Error(ErrorCode::Unsupported, std::move(has), std::move(needs), std::move(remedy));
}

}  // namespace carnot::onnx
