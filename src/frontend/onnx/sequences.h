#pragma once

#include <string>
#include <vector>

#include "frontend/onnx/item.h"
#include "frontend/onnx/model.h"
#include "frontend/onnx/node_view.h"

namespace carnot::onnx {

// A node that the importer itself carries out.
struct OnnxCall {
  const OnnxNodeProto& node;
  const std::string& name;
  const std::vector<Item>& inputs;
  const std::vector<NamedAttribute>& attributes;
};

// Of ai.onnx's types over sequences and optionals, without bodies.
bool isSequenceNode(const OnnxNodeProto& node);
std::vector<Item> importSequenceNode(const OnnxCall& call, Target& target);

// Input i as a sequence (what an optional holds, too); throws Error (InvalidModel).
Item requireSequence(const OnnxCall& call, size_t i);

// The tensor at a position, an int64 or int32 of one element.
Value* sequenceAt(const Item& sequence, Value* position, Target& target, const std::string& name);
// With the tensor put before the position; null: at the end.
Item sequenceInsert(const Item& sequence, Value* tensor, Value* position, Target& target,
                    const std::string& name);
// An int64 without dims.
Value* sequenceLength(const Item& sequence, Target& target, const std::string& name);

}  // namespace carnot::onnx
