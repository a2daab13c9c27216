#include "codegen/cpu/assembler.h"

#include <bit>

#include "base/error.h"

namespace carnot {
namespace {

// Reserved address space; pages are touched as code is written.
constexpr size_t kMaxCodeBytes = 4 << 20;

}  // namespace

Assembler::Assembler(IsaSet isa)
    : Xbyak::CodeGenerator(kMaxCodeBytes, Xbyak::DontSetProtectRWE), isa_(isa) {
  ensure(isa.has(Isa::Avx2), "generated x86 code starts at AVX2");
}

Xbyak::Xmm Assembler::vector(int index, int bytes) {
  if (bytes == 64) return Xbyak::Zmm(index);
  if (bytes == 32) return Xbyak::Ymm(index);
  return Xbyak::Xmm(index);
}

Assembler::Constant& Assembler::pooled(uint64_t bits, int bytes) {
  Constant& constant = constants_[{bits, bytes}];
  constant.bytes = bytes;
  return constant;
}

Xbyak::Address Assembler::constant32(uint32_t bits) {
  const Xbyak::RegRip where = rip + pooled(bits, 4).label;
  return avx512() ? ptr_b[where] : ptr[where];
}

Xbyak::Address Assembler::constant64(uint64_t bits) {
  const Xbyak::RegRip where = rip + pooled(bits, 8).label;
  return avx512() ? ptr_b[where] : ptr[where];
}

Xbyak::Address Assembler::constantFloat(float value) {
  return constant32(std::bit_cast<uint32_t>(value));
}

void Assembler::loadConstant32(const Xbyak::Xmm& dst, uint32_t bits) {
  if (bits == 0 && dst.getIdx() < 16)
    vpxor(Xbyak::Xmm(dst.getIdx()), Xbyak::Xmm(dst.getIdx()), Xbyak::Xmm(dst.getIdx()));
  else
    vbroadcastss(dst, ptr[rip + pooled(bits, 4).label]);
}

void Assembler::loadConstant64(const Xbyak::Xmm& dst, uint64_t bits) {
  if (bits == 0 && dst.getIdx() < 16)
    vpxor(Xbyak::Xmm(dst.getIdx()), Xbyak::Xmm(dst.getIdx()), Xbyak::Xmm(dst.getIdx()));
  else
    vpbroadcastq(dst, ptr[rip + pooled(bits, 8).label]);
}

const Xbyak::Label& Assembler::laneMaskEnd() {
  laneMaskUsed_ = true;
  return laneMaskEnd_;
}

void Assembler::pushCalleeSaved() {
  for (const Xbyak::Reg64& reg : {rbx, rbp, r12, r13, r14, r15}) push(reg);
}

void Assembler::popCalleeSaved() {
  for (const Xbyak::Reg64& reg : {r15, r14, r13, r12, rbp, rbx}) pop(reg);
}

std::shared_ptr<const MachineCode> Assembler::finish() {
  align(64);
  for (auto& [key, constant] : constants_) {
    L(constant.label);
    const int copies = avx512() ? 1 : 32 / constant.bytes;
    for (int i = 0; i < copies; ++i) {
      if (constant.bytes == 4)
        dd(static_cast<uint32_t>(key.first));
      else
        dq(key.first);
    }
  }
  if (laneMaskUsed_) {
    for (int i = 0; i < 8; ++i) dd(~0u);
    L(laneMaskEnd_);
    for (int i = 0; i < 8; ++i) dd(0);
  }
  ready();
  return MachineCode::make({getCode(), getSize()});
}

}  // namespace carnot
