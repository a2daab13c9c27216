// Loops over rows: a warp, a block or a column of threads shares a row and folds it together.

#include <utility>

#include "codegen/cuda/loop_writer.h"

namespace carnot::cuda {

const char* const kReductionPrelude = R"(
template <typename T> __device__ inline T shuffled(T value, int by) {
  if constexpr (sizeof(T) < 4) return (T)__shfl_down_sync(~0u, (int)value, by);
  else return __shfl_down_sync(~0u, value, by);
}
template <typename T> __device__ inline T first(T value) {
  if constexpr (sizeof(T) < 4) return (T)__shfl_sync(~0u, (int)value, 0);
  else return __shfl_sync(~0u, value, 0);
}
)";

namespace {

constexpr int kMostHeldBytes = 48;  // of an input that only a later pass reads, by thread

std::string identityOf(Fold fold, DType type) {
  const bool real = isFloat(type);
  const int bits = dtypeBits(type);
  switch (fold) {
    case Fold::Sum:
      return literal(type, int64_t{0});
    case Fold::Prod:
      return literal(type, int64_t{1});
    case Fold::Max:
      if (real)
        return type == DType::F64 ? "-__longlong_as_double(0x7ff0000000000000ll)"
                                  : "-__int_as_float(0x7f800000)";
      return literal(type, isSigned(type) ? -1 - ((int64_t{1} << (bits - 1)) - 1) : int64_t{0});
    case Fold::Min:
      break;
  }
  if (real)
    return type == DType::F64 ? "__longlong_as_double(0x7ff0000000000000ll)"
                              : "__int_as_float(0x7f800000)";
  const int used = bits - (isSigned(type) ? 1 : 0);
  return literal(type, used == 64 ? int64_t{-1} : (int64_t{1} << used) - 1);
}

std::string folded(Fold fold, DType type, const std::string& a, const std::string& b) {
  switch (fold) {
    case Fold::Sum:
      return fmt::format("({})({} + {})", valueType(type), a, b);
    case Fold::Prod:
      return fmt::format("({})({} * {})", valueType(type), a, b);
    case Fold::Max:
      return fmt::format("({0} > {1} ? {0} : {1})", a, b);
    case Fold::Min:
      break;
  }
  return fmt::format("({0} < {1} ? {0} : {1})", a, b);
}

class RowWriter final : public LoopWriter {
 public:
  using LoopWriter::LoopWriter;

  std::string function(const char* name, int vector) {
    vector_ = vector;
    const int threads = variant_.alongLanes || warp() ? kLoopBlock : variant_.threads;
    line(
        "extern \"C\" __global__ void __launch_bounds__({}) {}(const __grid_constant__ Arguments "
        "a) {{",
        threads, name);
    ++indent_;
    line("waitForInputs();");
    line("const Index elements = (Index)(a.length * a.repeats);");
    if (variant_.alongLanes) {
      line("const unsigned x = threadIdx.x % {0}, y = threadIdx.x / {0};", kLanesBlock);
      line("const Index laneBlocks = ((Index)a.lanes + {}) / {};", kLanesBlock - 1, kLanesBlock);
      line("const Index slot = blockIdx.x, slots = gridDim.x;");
    } else if (warp()) {
      line("const unsigned y = threadIdx.x % 32;");
      line("const unsigned warps = blockDim.x / 32;");
      line("const Index slot = blockIdx.x * warps + threadIdx.x / 32, slots = gridDim.x * warps;");
    } else {
      line("const unsigned y = threadIdx.x;");
      line("const Index slot = blockIdx.x, slots = gridDim.x;");
    }
    for (size_t t = 0; t < loop_.temporaries.size(); ++t) {
      const std::string type = valueType(loop_.temporaries[t]);
      if (inRegisters())
        line("{} t{}[{}];", type, t, variant_.perThread);
      else if (variant_.alongLanes)
        line("{0}* t{1} = ({0}*)a.temporaries[{1}] + slot * elements * {2} + x;", type, t,
             kLanesBlock);
      else
        line("{0}* t{1} = ({0}*)a.temporaries[{1}] + slot * elements;", type, t);
    }
    line("for (Index unit = slot; unit < (Index)a.units; unit += slots) {{");
    ++indent_;
    if (variant_.alongLanes) {
      line("const Index row = unit / laneBlocks;");
      line("const Index lane = (unit - row * laneBlocks) * {} + x;", kLanesBlock);
      line("const bool active = lane < (Index)a.lanes;");
      writeBases("(active ? lane : 0)");
    } else {
      line("const Index row = unit;");
      line("const bool active = true;");
      writeBases("");
    }
    for (size_t s = 0; s < loop_.scalars.size(); ++s)
      line("{} s{} = 0;", valueType(loop_.scalars[s]), s);
    if (inRegisters()) writePreloads();
    for (size_t p = 0; p < loop_.passes.size(); ++p) {
      line("{{");
      ++indent_;
      writeRowCode(loop_.passes[p].row, p);
      writeElements(loop_.passes[p], p);
      --indent_;
      line("}}");
    }
    close(2);
    return std::move(text_);
  }

 private:
  bool warp() const { return !variant_.alongLanes && variant_.threads == 32; }
  bool inRegisters() const { return variant_.perThread > 0; }

  std::string input(const Loop::Code& code, const ScalarNode& node, const std::string& offset,
                    bool element) const {
    const Place& place = code.inputs[node.index];
    if (place.kind == Place::Kind::Scalar) return fmt::format("s{}", place.index);
    if (place.kind == Place::Kind::Temporary) return temporary(place.index);
    const Loop::Operand& operand = loop_.operands[place.index];
    if (operand.kind == Kind::Count) return countValue(operand.dtype);
    const std::string at = element ? fmt::format(fmt::runtime(offset), place.index) : "";
    return loadedFrom(static_cast<size_t>(place.index), at);
  }

  std::string temporary(int index) const {
    if (inRegisters()) return fmt::format("t{}[j]", index);
    return fmt::format("t{}[e * {}]", index, variant_.alongLanes ? kLanesBlock : 1);
  }

  std::string elementOffset() const {
    std::string offset = " + a.operands[{0}].element * (long long)i";
    if (variant_.nested) offset += " + a.operands[{0}].repeat * (long long)r";
    return offset;
  }

  void writeRowCode(const Loop::Code& code, size_t pass) {
    if (code.empty()) return;
    const std::string prefix = fmt::format("r{}_", pass);
    text_ += scalarStatements(
        code.program, prefix, [&](const ScalarNode& node) { return input(code, node, "", false); },
        indentation());
    for (size_t i = 0; i < code.outputs.size(); ++i) {
      const std::string value = fmt::format("{}{}", prefix, code.program.outputs[i]);
      const Place& place = code.outputs[i];
      if (place.kind == Place::Kind::Scalar) {
        line("s{} = {};", place.index, value);
      } else {
        const DType type = loop_.operands[place.index].dtype;
        line("if (y == 0 && active) *({}*)p{} = {};", memoryType(type), place.index,
             stored(type, value));
      }
    }
  }

  // ---- Elements kept in registers: packs of `vector_` neighbours, one group a thread after
  // another.

  int groups() const { return variant_.perThread / vector_; }

  // Whether an operand's elements move as packs: densely, at the same place as the loop's.
  bool inPacks(int operand) const { return vector_ > 1 && !variant_.fixed[operand]; }

  // Whether an input is loaded before the first pass: when several passes read it, or when a later
  // one does and it takes few registers, so that nothing waits for it between passes.
  bool isPreloaded(int operand) const {
    if (!inRegisters() || variant_.fixed[operand]) return false;
    if (loop_.operands[operand].kind != Kind::Input) return false;
    int passes = 0;
    bool first = false;
    for (size_t p = 0; p < loop_.passes.size(); ++p) {
      bool reads = false;
      for (const Place& place : loop_.passes[p].elements.inputs)
        reads |= place.kind == Place::Kind::Operand && place.index == operand;
      passes += reads;
      first |= reads && p == 0;
    }
    const int bytes = variant_.perThread * dtypeBits(loop_.operands[operand].dtype) / 8;
    return passes > 1 || (passes == 1 && !first && bytes <= kMostHeldBytes);
  }

  void openPacks() {
    line("#pragma unroll");
    line("for (int g = 0; g < {}; ++g) {{", groups());
    line("  const Index start = (g * {} + y) * {};", threadsAcross(), vector_);
    line("  if (start < elements && active) {{");
    indent_ += 2;
  }

  void writePreloads() {
    for (size_t k = 0; k < loop_.operands.size(); ++k)
      if (isPreloaded(static_cast<int>(k)))
        line("Pack<{}, {}> kept{}[{}];", memoryType(loop_.operands[k].dtype), vector_, k, groups());
    openPacks();
    if (variant_.nested) {
      line("const Index r = start / (Index)a.length;");
      line("const Index i = start - r * (Index)a.length;");
    } else {
      line("const Index i = start;");
    }
    for (size_t k = 0; k < loop_.operands.size(); ++k)
      if (isPreloaded(static_cast<int>(k)))
        line("kept{0}[g].load(p{0}{1}, true, {2});", k,
             fmt::format(fmt::runtime(elementOffset()), k), vector_);
    close(2);
  }

  // What only this pass reads, a pack at a time.
  void writePackLoads(const Loop::Code& code) {
    std::vector<bool> done(loop_.operands.size());
    for (const Place& place : code.inputs) {
      if (place.kind != Place::Kind::Operand || !inPacks(place.index)) continue;
      const int k = place.index;
      if (done[k] || isPreloaded(k) || loop_.operands[k].kind == Kind::Count) continue;
      done[k] = true;
      line("Pack<{}, {}> in{};", memoryType(loop_.operands[k].dtype), vector_, k);
      line("in{0}.load(p{0} + (long long)start * {1}, true, {2});", k,
           dtypeBits(loop_.operands[k].dtype) / 8, vector_);
    }
    for (const Place& place : code.outputs)
      if (place.kind == Place::Kind::Operand && inPacks(place.index))
        line("Pack<{}, {}> out{};", memoryType(loop_.operands[place.index].dtype), vector_,
             place.index);
  }

  std::string elementInput(const Loop::Code& code, const ScalarNode& node) const {
    const Place& place = code.inputs[node.index];
    if (place.kind == Place::Kind::Operand && loop_.operands[place.index].kind != Kind::Count) {
      const DType type = loop_.operands[place.index].dtype;
      if (isPreloaded(place.index))
        return loaded(type, fmt::format("kept{}[g].at[v]", place.index));
      if (inPacks(place.index)) return loaded(type, fmt::format("in{}.at[v]", place.index));
    }
    return input(code, node, elementOffset(), true);
  }

  void writeElements(const Loop::Pass& pass, size_t index) {
    const Loop::Code& code = pass.elements;
    if (code.empty()) return;
    const size_t stores = code.outputs.size();
    for (size_t f = 0; f < pass.folds.size(); ++f) {
      const DType type = code.program.nodes[code.program.outputs[stores + f]].dtype;
      line("{} f{}_{} = {};", valueType(type), index, f, identityOf(pass.folds[f].fold, type));
    }
    if (inRegisters()) {
      openPacks();
      writePackLoads(code);
      line("#pragma unroll");
      line("for (int v = 0; v < {}; ++v) {{", vector_);
      ++indent_;
      line("const int j = g * {} + v;", vector_);
      line("const Index e = start + v;");
    } else {
      line("if (active) {{");
      line("  for (Index e = y; e < elements; e += {}) {{", threadsAcross());
      indent_ += 2;
    }
    if (variant_.nested) {
      line("const Index r = e / (Index)a.length;");
      line("const Index i = e - r * (Index)a.length;");
    } else {
      line("const Index i = e;");
    }
    text_ += scalarStatements(
        code.program, "e", [&](const ScalarNode& node) { return elementInput(code, node); },
        indentation());
    for (size_t i = 0; i < stores; ++i) {
      const std::string value = fmt::format("e{}", code.program.outputs[i]);
      const Place& place = code.outputs[i];
      const DType type = code.program.nodes[code.program.outputs[i]].dtype;
      if (place.kind == Place::Kind::Temporary)
        line("{} = {};", temporary(place.index), value);
      else if (inPacks(place.index))
        line("out{}.at[v] = {};", place.index, stored(type, value));
      else
        line("*({}*)(p{}{}) = {};", memoryType(type), place.index,
             fmt::format(fmt::runtime(elementOffset()), place.index), stored(type, value));
    }
    for (size_t f = 0; f < pass.folds.size(); ++f) {
      const uint16_t node = code.program.outputs[stores + f];
      const std::string into = fmt::format("f{}_{}", index, f);
      line("{} = {};", into,
           folded(pass.folds[f].fold, code.program.nodes[node].dtype, into,
                  fmt::format("e{}", node)));
    }
    if (inRegisters()) {
      close(1);
      for (const Place& place : code.outputs)
        if (place.kind == Place::Kind::Operand && inPacks(place.index))
          line("out{0}.store(p{0} + (long long)start * {1}, true, {2});", place.index,
               dtypeBits(loop_.operands[place.index].dtype) / 8, vector_);
    }
    close(2);
    for (size_t f = 0; f < pass.folds.size(); ++f) {
      const DType type = code.program.nodes[code.program.outputs[stores + f]].dtype;
      writeReduction(pass.folds[f], type, fmt::format("f{}_{}", index, f));
    }
  }

  int threadsAcross() const { return variant_.alongLanes ? kLanesThreads : variant_.threads; }

  // The threads' values as one, the same for all of a row.
  void writeReduction(const Loop::Pass::Into& into, DType type, const std::string& value) {
    auto foldWith = [&](const std::string& other) { return folded(into.fold, type, value, other); };
    if (!variant_.alongLanes) {
      line("#pragma unroll");
      line("for (int by = 16; by > 0; by >>= 1) {{");
      line("  const {} other = shuffled({}, by);", valueType(type), value);
      line("  {} = {};", value, foldWith("other"));
      line("}}");
    }
    if (warp()) {
      line("s{} = first({});", into.scalar, value);
      return;
    }
    // Each warp's, or each thread's of a lane, side by side in shared memory.
    const int parts = variant_.alongLanes ? kLanesThreads : variant_.threads / 32;
    const int width = variant_.alongLanes ? kLanesBlock : 1;
    line("{{");
    ++indent_;
    line("__shared__ {} parts[{}];", valueType(type), parts * width);
    if (variant_.alongLanes)
      line("parts[y * {} + x] = {};", kLanesBlock, value);
    else
      line("if (y % 32 == 0) parts[y / 32] = {};", value);
    line("__syncthreads();");
    line("{} = parts[{}];", value, variant_.alongLanes ? "x" : "0");
    line("for (int k = 1; k < {}; ++k) {{", parts);
    line("  const {} other = parts[k * {} + {}];", valueType(type), width,
         variant_.alongLanes ? "x" : "0");
    line("  {} = {};", value, foldWith("other"));
    line("}}");
    line("s{} = {};", into.scalar, value);
    line("__syncthreads();");
    --indent_;
    line("}}");
  }

  int vector_ = 1;
};

}  // namespace

std::string rowFunction(const Loop& loop, const LoopVariant& variant, const char* name,
                        int vector) {
  return RowWriter(loop, variant).function(name, vector);
}

}  // namespace carnot::cuda
