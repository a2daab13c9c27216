#include "codegen/cuda/loop_writer.h"

namespace carnot::cuda {

void LoopWriter::writeBases(const std::string& lane) {
  line("Index rest = row / (Index)a.rows;");
  line("const Index inner = row - rest * (Index)a.rows;");
  for (size_t k = 0; k < loop_.operands.size(); ++k)
    if (loop_.operands[k].kind != Kind::Count)
      line("char* p{0} = a.operands[{0}].address + a.operands[{0}].row * (long long)inner{1};", k,
           lane.empty() ? "" : fmt::format(" + a.operands[{}].vector * (long long){}", k, lane));
  for (int axis = variant_.outer - 1; axis >= 0; --axis) {
    line("const Index left{0} = rest / (Index)a.extents[{0}];", axis);
    line("const Index at{0} = rest - left{0} * (Index)a.extents[{0}];", axis);
    line("rest = left{};", axis);
    for (size_t k = 0; k < loop_.operands.size(); ++k)
      if (loop_.operands[k].kind != Kind::Count)
        line("p{0} += a.operands[{0}].outer[{1}] * (long long)at{1};", k, axis);
  }
}

std::string LoopWriter::loadedFrom(size_t operand, const std::string& offset) const {
  const DType type = loop_.operands[operand].dtype;
  return loaded(type, fmt::format("*(const {}*)(p{}{})", memoryType(type), operand, offset));
}

std::string LoopWriter::countValue(DType type) const {
  return fmt::format("({})(a.length * a.repeats)", valueType(type));
}

}  // namespace carnot::cuda
