// Loops without rows: each thread takes packs of neighbours.

#include "codegen/cuda/loop_writer.h"

namespace carnot::cuda {
namespace {

class FlatWriter final : public LoopWriter {
 public:
  using LoopWriter::LoopWriter;

  std::string function(const char* name, int vector) {
    line(
        "extern \"C\" __global__ void __launch_bounds__({}) {}(const __grid_constant__ Arguments "
        "a) {{",
        kLoopBlock, name);
    ++indent_;
    line("waitForInputs();");
    line("const Index length = (Index)a.length, chunks = (length + {}) / {};", vector - 1, vector);
    line("const Index step = (Index)gridDim.x * blockDim.x;");
    line(
        "for (Index unit = blockIdx.x * (Index)blockDim.x + threadIdx.x; unit < (Index)a.units; "
        "unit += step) {{");
    ++indent_;
    line("const Index row = a.units == chunks ? 0 : unit / chunks;");
    line("const Index i = (unit - row * chunks) * {};", vector);
    line("const int count = length - i < {0} ? (int)(length - i) : {0};", vector);
    line("const bool whole = count == {};", vector);
    writeBases("");
    const Loop::Code& code = loop_.passes.front().elements;
    std::vector<bool> done(loop_.operands.size());
    writeVectorLoads(code, vector, done);
    for (const Place& place : code.outputs)
      line("Pack<{}, {}> out{};", memoryType(loop_.operands[place.index].dtype), vector,
           place.index);
    line("#pragma unroll");
    line("for (int v = 0; v < {}; ++v) {{", vector);
    ++indent_;
    text_ += scalarStatements(
        code.program, "e",
        [&](const ScalarNode& node) {
          const auto k = static_cast<size_t>(code.inputs[node.index].index);
          const Loop::Operand& operand = loop_.operands[k];
          if (operand.kind == Kind::Count) return countValue(operand.dtype);
          return loaded(operand.dtype,
                        variant_.fixed[k] ? fmt::format("one{}", k) : fmt::format("in{}.at[v]", k));
        },
        indentation());
    for (size_t i = 0; i < code.outputs.size(); ++i) {
      const int k = code.outputs[i].index;
      line("out{}.at[v] = {};", k,
           stored(loop_.operands[k].dtype, fmt::format("e{}", code.program.outputs[i])));
    }
    --indent_;
    line("}}");
    for (const Place& place : code.outputs)
      line("out{0}.store(p{0} + (long long)i * {1}, whole, count);", place.index,
           dtypeBits(loop_.operands[place.index].dtype) / 8);
    close(2);
    return std::move(text_);
  }

 private:
  // All of a thread's elements of an operand at once.
  void writeVectorLoads(const Loop::Code& code, int vector, std::vector<bool>& done) {
    for (const Place& place : code.inputs) {
      const auto k = static_cast<size_t>(place.index);
      if (done[k] || loop_.operands[k].kind == Kind::Count) continue;
      done[k] = true;
      const std::string type = memoryType(loop_.operands[k].dtype);
      if (variant_.fixed[k]) {
        line("const {0} one{1} = *(const {0}*)p{1};", type, k);
      } else {
        line("Pack<{}, {}> in{};", type, vector, k);
        line("in{0}.load(p{0} + (long long)i * {1}, whole, count);", k,
             dtypeBits(loop_.operands[k].dtype) / 8);
      }
    }
  }
};

}  // namespace

std::string flatFunction(const Loop& loop, const LoopVariant& variant, const char* name,
                         int vector) {
  return FlatWriter(loop, variant).function(name, vector);
}

}  // namespace carnot::cuda
