#pragma once

#include <string>
#include <vector>

#include "ops/operator.h"

namespace carnot {

// An ONNX node whose mapping must see values that only a run has: axes, shapes, scales. Its
// reference imports the node with all inputs constant, by the operators' references. Inputs are the
// node's, then the tensors among its attributes.
struct Deferred {
  std::string domain, type;
  int64_t opset = 1;
  // "name=i:5", "=f:" (a float), "=s:" (text), "=d:" (an element type, beside its "=i:"), "=t:"
  // (the input that holds the tensor); "=I:", "=F:", "=S:" for one element each of a list, "=I",
  // "=F",
  // "=S" for the list itself.
  std::vector<std::string> attributes;
  int64_t inputCount = 0;             // of the node
  std::vector<int64_t> wanted;        // the node's outputs that this gives
  int64_t outputCount = 0;            // of the node
  std::vector<int64_t> types, ranks;  // found.h
  std::vector<int64_t> dims;

  void visit(auto& fields) {
    fields("domain", domain);
    fields("type", type);
    fields("opset", opset);
    fields("attributes", attributes);
    fields("inputCount", inputCount);
    fields("wanted", wanted);
    fields("outputCount", outputCount);
    fields("types", types);
    fields("ranks", ranks);
    fields("dims", dims);
  }
};
template <>
const OpDef& definitionOf<Deferred>();

}  // namespace carnot
