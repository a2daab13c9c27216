#include "suites/support/vector_function.h"

#include "codegen/cpu/scalar_emitter.h"

namespace carnot::test {
namespace {

using Xbyak::Label;
using Xbyak::RegExp;

int inputCount(const ScalarProgram& program) {
  int count = 0;
  for (const ScalarNode& node : program.nodes)
    if (node.op == ScalarOp::Input) count = std::max(count, node.index + 1);
  return count;
}

}  // namespace

VectorFunction::VectorFunction(const ScalarProgram& program, IsaSet isa, int vectors) {
  Assembler a(isa);
  ScalarEmitter emitter(a, program);
  EmitterRegisters registers;
  const int available = vectors ? vectors : a.vectorRegisters();
  for (int i = 0; i < available; ++i) registers.vectors.push_back(a.vectorRegisters() - 1 - i);
  registers.stack = RegExp(a.rsp);

  const auto index = a.r12, end = a.r13, pointer = a.r8, arguments = a.r14, rest = a.r15;
  auto element = [&](int operand, DType type) {
    return [&a, operand, type, arguments, pointer, index] {
      a.mov(pointer, a.ptr[arguments + 8 * operand]);
      return RegExp(pointer) + index * (dtypeBits(type) / 8);
    };
  };
  const int inputs = inputs_ = inputCount(program);
  std::vector<VectorSource> sources(inputs);
  for (const ScalarNode& node : program.nodes)
    if (node.op == ScalarOp::Input)
      sources[node.index] = VectorSource::dense(element(node.index, node.dtype));
  std::vector<VectorSink> sinks;
  for (size_t i = 0; i < program.outputs.size(); ++i)
    sinks.push_back(VectorSink::memory(
        element(inputs + static_cast<int>(i), program.nodes[program.outputs[i]].dtype)));

  a.pushCalleeSaved();
  a.sub(a.rsp, emitter.stackBytes());
  a.mov(arguments, a.rdi);
  a.mov(end, a.rsi);
  a.xor_(index, index);
  Label loop, tail, done;
  a.L(loop);
  a.lea(rest, a.ptr[index + emitter.lanes()]);
  a.cmp(rest, end);
  a.jg(tail, Assembler::T_NEAR);
  emitter.emit(registers, sources, sinks);
  a.mov(index, rest);
  a.jmp(loop, Assembler::T_NEAR);
  a.L(tail);
  a.mov(rest, end);
  a.sub(rest, index);
  a.jz(done, Assembler::T_NEAR);
  if (a.avx512()) {
    a.mov(a.ecx, rest.cvt32());
    a.mov(a.eax, 1);
    a.shl(a.eax, a.cl);
    a.dec(a.eax);
    a.kmovw(a.k1, a.eax);
  }
  emitter.emit(registers, sources, sinks, {.active = true, .mask = a.k1, .count = rest});
  a.L(done);
  a.add(a.rsp, emitter.stackBytes());
  a.vzeroupper();
  a.popCalleeSaved();
  a.ret();
  code_ = a.finish();
}

void VectorFunction::run(std::span<const void* const> inputs, std::span<void* const> outputs,
                         int64_t count) const {
  std::vector<const void*> arguments(inputs.begin(), inputs.begin() + inputs_);
  arguments.insert(arguments.end(), outputs.begin(), outputs.end());
  code_->entry<void (*)(const void* const*, int64_t)>()(arguments.data(), count);
}

}  // namespace carnot::test
