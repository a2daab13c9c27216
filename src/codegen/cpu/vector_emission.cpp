#include "codegen/cpu/vector_emission.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace carnot {

using Xbyak::Address;
using Xbyak::Opmask;
using Xbyak::RegExp;

ValueClass classOf(DType type) {
  switch (type) {
    case DType::F32:
    case DType::F16:
    case DType::BF16:
      return ValueClass::F32;
    case DType::F64:
      return ValueClass::F64;
    case DType::I64:
    case DType::U64:
      return ValueClass::I64;
    case DType::Bool:
      return ValueClass::Mask;
    default:
      return ValueClass::I32;
  }
}

bool isUnsigned(DType type) { return isInteger(type) && !isSigned(type); }

bool VectorPlan::isWideProgram(const ScalarProgram& lowered) {
  return std::ranges::any_of(lowered.nodes,
                             [](const ScalarNode& node) { return isWide(classOf(node.dtype)); });
}

VectorPlan::VectorPlan(const ScalarProgram& lowered, int bytes, bool wide)
    : program(lowered), vectorBytes(bytes), uses(lowered.nodes.size()) {
  for (uint32_t i = 0; i < program.nodes.size(); ++i) {
    const ScalarNode& node = program.nodes[i];
    for (int arg = 0; arg < scalarArity(node.op); ++arg) {
      auto& list = uses[node.args[arg]];
      if (list.empty() || list.back() != i) list.push_back(i);
    }
  }
  for (uint16_t output : program.outputs)
    if (uses[output].empty() || uses[output].back() < program.nodes.size())
      uses[output].push_back(static_cast<uint32_t>(program.nodes.size()));
  lanes = vectorBytes / (wide ? 8 : 4);
  // An input takes a register from its first use on.
  std::vector<int> change(program.nodes.size() + 2, 0);
  for (uint32_t i = 0; i < program.nodes.size(); ++i) {
    if (uses[i].empty() || program.nodes[i].op == ScalarOp::Constant) continue;
    ++change[program.nodes[i].op == ScalarOp::Input ? uses[i].front() : i];
    --change[uses[i].back()];
  }
  for (int alive = 0; int delta : change) peak = std::max(peak, alive += delta);
}

VectorEmission::VectorEmission(Assembler& assembler, const VectorPlan& plan,
                               const EmitterRegisters& registers, const VectorTail& tail)
    : a_(assembler),
      plan_(plan),
      registers_(registers),
      tail_(tail),
      avx512_(assembler.avx512()),
      values_(plan.program.nodes.size()),
      sources_(plan.program.nodes.size()),
      storedOnly_(plan.program.nodes.size(), false) {
  vectors_.holder.fill(kReserved);
  masks_.holder.fill(kReserved);
  for (int reg : registers.vectors) vectors_.holder[reg] = kFree;
  if (avx512_)
    for (int reg : registers.masks) masks_.holder[reg] = kFree;
}

uint32_t VectorEmission::nextUse(int node) const {
  const auto& uses = plan_.uses[node];
  auto next = std::lower_bound(uses.begin(), uses.end(), position_);
  return next == uses.end() ? 0 : *next;
}

int VectorEmission::take(ValueClass kind) {
  Bank& bank = bankOf(kind);
  int victim = -1;
  uint32_t farthest = 0;
  for (int reg = 0; reg < 32; ++reg) {
    const int holder = bank.holder[reg];
    if (holder == kFree) return reg;
    if (holder < 0 || (bank.pinned >> reg & 1)) continue;
    if (victim < 0 || nextUse(holder) > farthest) {
      victim = reg;
      farthest = nextUse(holder);
    }
  }
  ensure(victim >= 0, "an emitted program has enough vector registers");
  evict(bank, victim);
  return victim;
}

int VectorEmission::takeSlot() {
  auto free = std::find(slots_.begin(), slots_.end(), false);
  if (free == slots_.end()) free = slots_.insert(slots_.end(), false);
  *free = true;
  return static_cast<int>(free - slots_.begin());
}

RegExp VectorEmission::slotAddress(int slot) const {
  return registers_.stack + kScratches * kScratchBytes + slot * plan_.vectorBytes;
}

RegExp VectorEmission::scratch(int index) const { return registers_.stack + index * kScratchBytes; }

void VectorEmission::moveSlot(int node, int slot, bool load) {
  const RegExp where = slotAddress(slot);
  const ValueClass kind = classAt(node);
  if (inMaskBank(kind)) {
    if (load)
      a_.kmovw(Opmask(values_[node].reg), a_.ptr[where]);
    else
      a_.kmovw(a_.ptr[where], Opmask(values_[node].reg));
  } else if (load) {
    a_.vmovups(view(values_[node].reg, kind), a_.ptr[where]);
  } else {
    a_.vmovups(a_.ptr[where], view(values_[node].reg, kind));
  }
}

void VectorEmission::evict(Bank& bank, int reg) {
  const int node = bank.holder[reg];
  Value& value = values_[node];
  const bool remade = nodeAt(node).op == ScalarOp::Constant;
  if (!remade && value.slot < 0) {
    value.slot = takeSlot();
    moveSlot(node, value.slot, false);
  }
  value.reg = -1;
  bank.holder[reg] = kFree;
}

void VectorEmission::bind(int node, int reg) {
  Bank& bank = bankOf(classAt(node));
  bank.holder[reg] = node;
  bank.pinned |= 1u << reg;
  values_[node].reg = reg;
}

void VectorEmission::release(int node) {
  Value& value = values_[node];
  Bank& bank = bankOf(classAt(node));
  if (value.reg >= 0) {
    bank.holder[value.reg] = kFree;
    bank.pinned &= ~(1u << value.reg);
  }
  if (value.slot >= 0) slots_[value.slot] = false;
  value = {};
}

int VectorEmission::regOf(int node) {
  const ValueClass kind = classAt(node);
  if (values_[node].reg < 0) {
    bind(node, take(kind));
    const int reg = values_[node].reg;
    if (values_[node].slot >= 0) {
      moveSlot(node, values_[node].slot, true);
    } else if (nodeAt(node).op == ScalarOp::Constant) {
      if (inMaskBank(kind))
        std::get<int64_t>(nodeAt(node).value) ? a_.kxnorw(Opmask(reg), Opmask(reg), Opmask(reg))
                                              : a_.kxorw(Opmask(reg), Opmask(reg), Opmask(reg));
      else
        loadConstant(node, view(reg, kind));
    } else if (kind == ValueClass::Mask) {
      loadMask(reg, sources_[node]);
    } else {
      loadVector(nodeAt(node).dtype, view(reg, kind), sources_[node]);
    }
  }
  bankOf(kind).pinned |= 1u << values_[node].reg;
  return values_[node].reg;
}

VectorEmission::Xmm VectorEmission::temporary(ValueClass kind) {
  ensure(!inMaskBank(kind), "a temporary vector is no opmask");
  const int reg = take(kind);
  vectors_.holder[reg] = kTemporary;
  return view(reg, kind);
}

Opmask VectorEmission::temporaryMask() {
  const int reg = take(ValueClass::Mask);
  masks_.holder[reg] = kTemporary;
  return Opmask(reg);
}

int VectorEmission::releaseDying(int node) {
  int freed = -1;
  for (int arg = 0; arg < scalarArity(nodeAt(node).op); ++arg) {
    const int operand = nodeAt(node).args[arg];
    if (plan_.uses[operand].back() != static_cast<uint32_t>(node)) continue;
    if (inMaskBank(classAt(operand)) == inMaskBank(classAt(node)) && values_[operand].reg >= 0)
      freed = values_[operand].reg;
    release(operand);
  }
  return freed;
}

VectorEmission::Xmm VectorEmission::defineOver(int node) {
  const int freed = releaseDying(node);
  if (freed < 0) return defineApart(node);
  bind(node, freed);
  return view(freed, classAt(node));
}

VectorEmission::Xmm VectorEmission::defineApart(int node) {
  bind(node, take(classAt(node)));
  return view(values_[node].reg, classAt(node));
}

Opmask VectorEmission::defineMask(int node) {
  bind(node, take(ValueClass::Mask));
  return Opmask(values_[node].reg);
}

void VectorEmission::finishNode(int node) {
  releaseDying(node);
  for (Bank* bank : {&vectors_, &masks_}) {
    for (int& holder : bank->holder)
      if (holder == kTemporary) holder = kFree;
    bank->pinned = 0;
  }
  if (plan_.uses[node].empty()) release(node);
}

bool VectorEmission::inMemory(int node) const {
  if (values_[node].reg >= 0) return false;
  if (nodeAt(node).op == ScalarOp::Constant) return classAt(node) != ValueClass::Mask;
  if (nodeAt(node).op != ScalarOp::Input || tail_.active || plan_.uses[node].size() != 1)
    return false;
  const DType type = nodeAt(node).dtype;
  return sources_[node].kind == VectorSource::Kind::Dense && values_[node].slot < 0 &&
         type != DType::Bool && dtypeBits(type) == (isWide(classOf(type)) ? 64 : 32);
}

VectorEmission::LastSource VectorEmission::operandOf(int node) {
  if (!inMemory(node)) return vectorOf(node);
  if (nodeAt(node).op == ScalarOp::Constant) return constantOf(node);
  return Address(a_.ptr[sources_[node].address()]);
}

uint64_t VectorEmission::constantBits(int node) const {
  const ScalarNode& constant = nodeAt(node);
  switch (classOf(constant.dtype)) {
    case ValueClass::F32:
      return std::bit_cast<uint32_t>(static_cast<float>(std::get<double>(constant.value)));
    case ValueClass::F64:
      return std::bit_cast<uint64_t>(std::get<double>(constant.value));
    case ValueClass::Mask:
      return std::get<int64_t>(constant.value) ? 0xffffffffu : 0;
    case ValueClass::I64:
      return static_cast<uint64_t>(std::get<int64_t>(constant.value));
    case ValueClass::I32:
      break;
  }
  return static_cast<uint32_t>(std::get<int64_t>(constant.value));
}

Address VectorEmission::constantOf(int node) {
  return isWide(classAt(node)) ? a_.constant64(constantBits(node))
                               : a_.constant32(static_cast<uint32_t>(constantBits(node)));
}

void VectorEmission::loadConstant(int node, const Xmm& dst) {
  if (isWide(classAt(node)))
    a_.loadConstant64(dst, constantBits(node));
  else
    a_.loadConstant32(dst, static_cast<uint32_t>(constantBits(node)));
}

void VectorEmission::serve(int output, const VectorSink& sink) {
  const int node = plan_.program.outputs[output];
  if (sink.kind == VectorSink::Kind::Memory) {
    // Asked for last: spills that bring the value in do not disturb what the address computes.
    if (inMaskBank(classAt(node)) || nodeAt(node).dtype == DType::Bool) {
      regOf(node);
      storeMask(node, sink.address());
    } else {
      const Xmm value = vectorOf(node);
      storeVector(nodeAt(node).dtype, value, sink.address());
    }
    return;
  }
  ensure(nodeAt(node).dtype != DType::Bool, "a Bool output goes to memory");
  if (sink.kind == VectorSink::Kind::Function) {
    sink.function(vectorOf(node));
    return;
  }
  const int holder = vectors_.holder[sink.reg];
  if (holder >= 0 && holder != node) evict(vectors_, sink.reg);
  const Xmm value = vectorOf(node);
  if (value.getIdx() != sink.reg) a_.vmovaps(view(sink.reg, classAt(node)), value);
  vectors_.holder[sink.reg] = kReserved;  // what lies there now stays
}

void VectorEmission::run(std::span<const VectorSource> sources, std::span<const VectorSink> sinks) {
  const auto& nodes = plan_.program.nodes;
  ensure(sinks.size() == plan_.program.outputs.size(), "one sink for each output");
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].op != ScalarOp::Input || plan_.uses[i].empty()) continue;
    sources_[i] = sources[nodes[i].index];
    if (sources_[i].kind == VectorSource::Kind::Register)
      bind(static_cast<int>(i), sources_[i].reg);
  }
  vectors_.pinned = 0;
  for (size_t i = 0; i < sinks.size(); ++i) {
    const int node = plan_.program.outputs[i];
    storedOnly_[node] = plan_.uses[node].front() == nodes.size();
  }
  for (size_t i = 0; i < sinks.size(); ++i)
    if (sinks[i].kind != VectorSink::Kind::Memory) storedOnly_[plan_.program.outputs[i]] = false;
  for (position_ = 0; position_ < nodes.size(); ++position_) {
    const int node = static_cast<int>(position_);
    if (nodes[node].op == ScalarOp::Input || nodes[node].op == ScalarOp::Constant) continue;
    if (plan_.uses[node].empty()) continue;
    emitNode(node);
    finishNode(node);
  }
  for (size_t i = 0; i < sinks.size(); ++i) {
    serve(static_cast<int>(i), sinks[i]);
    for (Bank* bank : {&vectors_, &masks_}) {
      for (int& holder : bank->holder)
        if (holder == kTemporary) holder = kFree;
      bank->pinned = 0;
    }
  }
}

}  // namespace carnot
