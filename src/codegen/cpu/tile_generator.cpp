#include "codegen/cpu/tile_generator.h"

#include <carnot/error.h>

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "base/error.h"

namespace carnot {

using Xbyak::Label;
using Xbyak::Xmm;

#define ARGUMENT(field) (ptr[args + static_cast<int>(offsetof(TileArguments, field))])

std::optional<std::string> epilogueRefusal(const ScalarProgram& epilogue, IsaSet isa) {
  for (const ScalarNode& node : epilogue.nodes)
    if (dtypeBits(node.dtype) == 64) return "computes in 64 bits behind the products";
  for (uint16_t output : epilogue.outputs)
    if (epilogue.nodes[output].dtype != DType::F32) return "gives another type than float32";
  return ScalarEmitter::refusal(epilogue, isa);
}

TileGenerator::TileGenerator(IsaSet isa, const TileSpec& tile) : Assembler(isa), tile_(tile) {
  ensure(tile.rows >= 1 && tile.vectors >= 1 && sums() < vectorRegisters(),
         "a tile fits in the vector registers");
  ensure(tile.addends == 0 || !tile.accumulate, "sums start from one thing");
  ensure(!tile.streams || !tile.maskLast, "what streams is whole vectors");
  ensure(!tile.partial || tile.epilogue.outputs.empty(), "partial sums have no epilogue");
  if (tile.epilogue.outputs.empty()) return;
  if (auto reason = epilogueRefusal(tile.epilogue, isa))
    throw Error(ErrorCode::Unsupported, *reason);
  emitter_ = std::make_unique<ScalarEmitter>(*this, tile.epilogue, vectorBytes());
}

std::shared_ptr<const MachineCode> TileGenerator::generateTiles(const std::function<void()>& before,
                                                                const std::function<void()>& body) {
  // Room for every sum, then the emitter's own.
  const int stackBytes = emitter_ ? sums() * vectorBytes() + emitter_->stackBytes() : 0;
  pushCalleeSaved();
  if (stackBytes) sub(rsp, stackBytes);
  mov(tiles, ARGUMENT(tiles));
  mov(rowStride, ARGUMENT(rowStride));
  mov(vectorStride, ARGUMENT(vectorStride));
  if (tile_.maskLast && avx512()) {
    mov(rcx, ARGUMENT(tailLanes));
    mov(eax, -1);
    bzhi(eax, eax, ecx);
    kmovd(k1, eax);
  }
  xor_(offset, offset);
  xor_(rowPlace, rowPlace);
  before();
  Label nextTile;
  align(32);
  L(nextTile);
  initializeSums();
  body();
  if (emitter_)
    finishSums();
  else
    storeSums();
  dec(tiles);
  jnz(nextTile, T_NEAR);
  if (tile_.streams) sfence();  // other threads read it next
  if (stackBytes) add(rsp, stackBytes);
  popCalleeSaved();
  vzeroupper();
  ret();
  return finish();
}

// `place` leads from a pointer of the arguments to a vector's elements. Leaves `offset` at the row
// after the tile.
void TileGenerator::forEachPlace(const std::function<void(int row, int v)>& body) {
  for (int row = 0; row < tile_.rows; ++row) {
    mov(place, offset);
    for (int v = 0; v < tile_.vectors; ++v) {
      body(row, v);
      if (v + 1 < tile_.vectors) add(place, vectorStride);
    }
    add(offset, rowStride);
  }
}

Xmm TileGenerator::tailMask() {
  Xmm mask = wide(vectorRegisters() - 1);
  if (avx512() || !tile_.maskLast) return mask;
  mov(rcx, ARGUMENT(tailLanes));
  neg(rcx);
  lea(rax, ptr[rip + laneMaskEnd()]);
  vmovups(mask, ptr[rax + rcx * 4]);
  return mask;
}

// Leaves in `place` where this tile starts in partial sums.
void TileGenerator::placeOfPartials() {
  mov(place, ARGUMENT(tiles));
  sub(place, tiles);
  imul(place, place, sums() * vectorBytes());
}

void TileGenerator::addPartials() {
  placeOfPartials();
  for (int addend = 0; addend < tile_.addends; ++addend) {
    mov(scratch, ptr[args + static_cast<int>(offsetof(TileArguments, addends) +
                                             static_cast<size_t>(addend) * sizeof(void*))]);
    for (int i = 0; i < sums(); ++i) {
      const Xbyak::Address from = ptr[scratch + place + i * vectorBytes()];
      if (addend == 0)
        vmovups(wide(i), from);
      else
        vaddps(wide(i), wide(i), from);
    }
  }
}

void TileGenerator::initializeSums() {
  if (tile_.addends > 0) return addPartials();
  if (!tile_.accumulate) {
    for (int i = 0; i < sums(); ++i) {
      if (i < 16)
        vxorps(Xmm(i), Xmm(i), Xmm(i));
      else
        vpxord(wide(i), wide(i), wide(i));
    }
    return;
  }
  Xmm mask = tailMask();
  mov(pointers, ARGUMENT(pointers));
  mov(scratch, ptr[pointers]);
  forEachPlace([&](int row, int v) {
    if (!masked(v))
      vmovups(sum(row, v), ptr[scratch + place]);
    else if (avx512())
      vmovups(sum(row, v) | k1 | T_z, ptr[scratch + place]);
    else
      vmaskmovps(sum(row, v), mask, ptr[scratch + place]);
  });
  imul(scratch, rowStride, tile_.rows);
  sub(offset, scratch);
}

void TileGenerator::storeSums() {
  if (tile_.partial) {
    placeOfPartials();
    mov(scratch, ARGUMENT(partial));
    for (int i = 0; i < sums(); ++i) vmovups(ptr[scratch + place + i * vectorBytes()], wide(i));
    return;
  }
  Xmm mask = tailMask();
  mov(pointers, ARGUMENT(pointers));
  mov(scratch, ptr[pointers]);
  forEachPlace([&](int row, int v) {
    if (!masked(v))
      storeVector(sum(row, v));
    else if (avx512())
      vmovups(ptr[scratch + place] | k1, sum(row, v));
    else
      vmaskmovps(ptr[scratch + place], mask, sum(row, v));
  });
}

int TileGenerator::pointerAt(size_t operand) const {
  return static_cast<int>((tile_.epilogue.outputs.size() + operand) * sizeof(void*));
}

VectorSource TileGenerator::operandSource(size_t operand, int v) {
  const int at = pointerAt(operand);
  auto pointer = [this, at] { mov(scratch, ptr[pointers + at]); };
  switch (tile_.operands[operand]) {
    case EpilogueOperand::Scalar:
      return VectorSource::splat([=, this] { return pointer(), Xbyak::RegExp(scratch); });
    case EpilogueOperand::Column:
      return VectorSource::dense([=, this] { return pointer(), scratch + v * vectorBytes(); });
    case EpilogueOperand::Row:
      return VectorSource::splat([=, this] { return pointer(), scratch + rowPlace; });
    case EpilogueOperand::Element:
      return VectorSource::dense([=, this] { return pointer(), scratch + place; });
  }
  throwInternal("an epilogue's operand is of an unknown kind");
}

void TileGenerator::storeVector(const Xmm& value) {
  if (tile_.streams)
    vmovntps(ptr[scratch + place], value);
  else
    vmovups(ptr[scratch + place], value);
}

VectorSink TileGenerator::outputSink(size_t output) {
  auto pointer = [this, at = static_cast<int>(output * sizeof(void*))] {
    mov(scratch, ptr[pointers + at]);
  };
  if (!tile_.streams) return VectorSink::memory([=, this] { return pointer(), scratch + place; });
  return VectorSink::call([=, this](const Xmm& value) { pointer(), storeVector(value); });
}

void TileGenerator::fetchOperands() {
  if (tile_.fetchAhead == 0) return;
  for (size_t operand = 0; operand < tile_.operands.size(); ++operand) {
    if (tile_.operands[operand] != EpilogueOperand::Element) continue;
    mov(scratch, ptr[pointers + pointerAt(operand)]);
    prefetcht0(ptr[scratch + place + tile_.fetchAhead]);
  }
}

// Runs the epilogue over one sum after the other. The last sums wait in memory where the emitter
// needs their registers, and come back to that of the first, which is done by then.
void TileGenerator::finishSums() {
  const int needed = std::min(std::max(ScalarEmitter::kMinVectors, emitter_->registersNeeded()),
                              vectorRegisters() - 1);
  const int waiting = std::max(0, needed - (vectorRegisters() - sums()));
  const int firstWaiting = sums() - waiting;
  auto stackAt = [&](int i) { return ptr[rsp + i * vectorBytes()]; };
  for (int i = firstWaiting; i < sums(); ++i) vmovups(stackAt(i), wide(i));

  EmitterRegisters registers;
  registers.vectors.resize(static_cast<size_t>(vectorRegisters() - firstWaiting));
  std::iota(registers.vectors.begin(), registers.vectors.end(), firstWaiting);
  registers.stack = rsp + sums() * vectorBytes();
  const bool rowOperands =
      std::ranges::find(tile_.operands, EpilogueOperand::Row) != tile_.operands.end();

  mov(pointers, ARGUMENT(pointers));
  if (tile_.maskLast) mov(tailLanes, ARGUMENT(tailLanes));
  forEachPlace([&](int row, int v) {
    const int i = row * tile_.vectors + v;
    const int reg = i < firstWaiting ? i : 0;
    if (i >= firstWaiting) vmovups(wide(reg), stackAt(i));
    std::vector<VectorSource> sources{VectorSource::inRegister(reg)};
    for (size_t operand = 0; operand < tile_.operands.size(); ++operand)
      sources.push_back(operandSource(operand, v));
    std::vector<VectorSink> sinks;
    for (size_t output = 0; output < tile_.epilogue.outputs.size(); ++output)
      sinks.push_back(outputSink(output));
    fetchOperands();
    emitter_->emit(registers, sources, sinks,
                   {.active = masked(v), .mask = k1, .count = tailLanes});
    if (rowOperands && v + 1 == tile_.vectors) add(rowPlace, ARGUMENT(rowOperandStride));
  });
}

#undef ARGUMENT

}  // namespace carnot
