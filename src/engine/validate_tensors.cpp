#include "base/limits.h"
#include "base/shape.h"
#include "engine/validator.h"

namespace carnot {
void Validator::checkWeight(const EngineWeight& weight) {
  for (int64_t dim : weight.dims) require(dim >= 0, "a negative dimension", "0 or more");
  size_t bytes = dtypeBytes(weight.dtype, elementCount(weight.dims));
  if (weight.data.empty() || weight.data.bytes() != bytes)
    refuse(fmt::format("{} bytes", weight.data.empty() ? 0 : weight.data.bytes()),
           fmt::format("{} bytes, as type and dims say", bytes));
}

void Validator::checkTensor(const EngineTensor& tensor) const {
  if (tensor.dims.size() > kMaxRank)
    refuse(fmt::format("rank {}", tensor.dims.size()), fmt::format("rank {} at most", kMaxRank));
  for (const DimProgram& dim : tensor.dims) dim.validate(symbols_);
  require(tensor.layout.isPlain() || (tensor.dims.size() >= 3 && tensor.layout.block >= 1),
          "a layout over channels", "rank 3 or more and a block of 1 or more");
  require((tensor.weight >= 0) == (tensor.kind == Kind::Constant),
          "a weight on what is no constant, or none on a constant", "one on each constant");
  require(tensor.contents.empty() || tensor.kind == Kind::Shape, "contents",
          "contents on shape tensors only");
  switch (tensor.kind) {
    case Kind::Input:
    case Kind::Output:
    case Kind::State:
      if (!tensor.layout.isPlain())
        refuse("an input, output or state in " + layoutName(tensor.layout), "the plain layout");
      break;
    case Kind::Activation:
    case Kind::Packed:
      break;
    case Kind::Found:
      if (!tensor.layout.isPlain())
        refuse("a tensor of unknown dims in " + layoutName(tensor.layout), "the plain layout");
      break;
    case Kind::Constant:
      checkConstant(tensor);
      break;
    case Kind::Shape:
      checkShapeTensor(tensor);
      break;
  }
  if (tensor.viewOf < 0) return;
  require(tensor.kind == Kind::Activation || tensor.kind == Kind::Output,
          "a view that owns its contents", "an activation or an output");
  require(isTensor(tensor.viewOf), "a view of a tensor beyond the last", "a tensor's index");
  const EngineTensor& base = engine_.tensors[tensor.viewOf];
  require(tensor.kind == Kind::Output || base.viewOf < 0, "a view of a view",
          "a view of a tensor that is none");
  require(base.kind != Kind::Packed, "a view of a tensor without memory", "one that has some");
  require(base.kind != Kind::Output || base.viewOf < 0, "a view of an output that is a copy",
          "a view of what the output copies");
  if (tensor.kind == Kind::Output)
    require(base.layout.isPlain() && base.dtype == tensor.dtype,
            "an output that copies another type or layout", "a copy of its own type, plain");
  else
    tensor.viewOffset.validate(symbols_);
}

std::vector<int64_t> Validator::fixedDims(const EngineTensor& tensor) const {
  std::vector<int64_t> dims;
  for (const DimProgram& program : tensor.dims) {
    std::optional<int64_t> dim = program.constant();
    require(dim && *dim >= 0, "a constant or shape tensor whose dims vary", "fixed dims");
    dims.push_back(*dim);
  }
  return dims;
}

void Validator::checkConstant(const EngineTensor& tensor) const {
  require(isWeight(tensor.weight), "a weight section beyond the last", "a section's index");
  const EngineWeight& weight = weights_[tensor.weight];
  size_t bytes = dtypeBytes(tensor.dtype, physicalCount(tensor.layout, fixedDims(tensor)));
  if (weight.dtype != tensor.dtype || weight.data.bytes() != bytes)
    refuse(fmt::format("a weight section of {} bytes of {}", weight.data.bytes(),
                       dtypeName(weight.dtype)),
           fmt::format("{} bytes of {}", bytes, dtypeName(tensor.dtype)));
}

void Validator::checkShapeTensor(const EngineTensor& tensor) const {
  if (!tensor.layout.isPlain() || (!isInteger(tensor.dtype) && tensor.dtype != DType::Bool))
    refuse(fmt::format("a shape tensor of {}", dtypeName(tensor.dtype)),
           "integers or bool in the plain layout");
  for (const DimProgram& program : tensor.contents) program.validate(symbols_);
  if (static_cast<uint64_t>(elementCount(fixedDims(tensor))) != tensor.contents.size())
    refuse(fmt::format("{} contents", tensor.contents.size()), "one for each element");
}

}  // namespace carnot
