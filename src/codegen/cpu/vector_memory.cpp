// Vectors from and to memory: conversions between storage types and registers, partial last
// vectors.

#include "base/error.h"
#include "codegen/cpu/vector_emission.h"

namespace carnot {

using Xbyak::Address;
using Xbyak::Opmask;
using Xbyak::RegExp;
using Xbyak::Ymm;

namespace {

Xbyak::Xmm half(const Xbyak::Xmm& reg) {
  const int bytes = reg.getBit() / 16;
  return Assembler::vector(reg.getIdx(), bytes < 16 ? 16 : bytes);
}

}  // namespace

// The AVX2 mask of the tail's lanes.
void VectorEmission::laneMask(const Xmm& dst, int elementBytes) {
  a_.mov(a_.rax, tail_.count);
  a_.neg(a_.rax);
  a_.lea(a_.rcx, a_.ptr[a_.rip + a_.laneMaskEnd()]);
  a_.vmovups(dst, a_.ptr[a_.rcx + a_.rax * elementBytes]);
}

// Copies the tail's elements of `bytes` each to scratch 0, zeros behind them.
void VectorEmission::loadTailBytes(int bytes, const RegExp& where) {
  Xbyak::Label next, done;
  a_.lea(a_.rdx, a_.ptr[where]);
  a_.xor_(a_.eax, a_.eax);
  for (int i = 0; i < plan_.lanes * bytes; i += 8) a_.mov(a_.qword[scratch(0) + i], a_.rax);
  a_.xor_(a_.ecx, a_.ecx);
  a_.L(next);
  a_.cmp(a_.rcx, tail_.count);
  a_.jge(done);
  const Xbyak::Reg& data = bytes == 1 ? static_cast<const Xbyak::Reg&>(a_.al) : a_.ax;
  a_.mov(data, a_.ptr[a_.rdx + a_.rcx * bytes]);
  a_.mov(a_.ptr[scratch(0) + a_.rcx * bytes], data);
  a_.inc(a_.rcx);
  a_.jmp(next);
  a_.L(done);
}

void VectorEmission::storeTailBytes(int bytes, const RegExp& where) {
  Xbyak::Label next, done;
  a_.lea(a_.rdx, a_.ptr[where]);
  a_.xor_(a_.ecx, a_.ecx);
  a_.L(next);
  a_.cmp(a_.rcx, tail_.count);
  a_.jge(done);
  const Xbyak::Reg& data = bytes == 1 ? static_cast<const Xbyak::Reg&>(a_.al) : a_.ax;
  a_.mov(data, a_.ptr[scratch(0) + a_.rcx * bytes]);
  a_.mov(a_.ptr[a_.rdx + a_.rcx * bytes], data);
  a_.inc(a_.rcx);
  a_.jmp(next);
  a_.L(done);
}

void VectorEmission::splat(DType type, const Xmm& dst, const RegExp& where) {
  const Xbyak::Xmm low(dst.getIdx());
  switch (dtypeBits(type)) {
    case 64:
      a_.vpbroadcastq(dst, a_.ptr[where]);
      return;
    case 32:
      a_.vbroadcastss(dst, a_.ptr[where]);
      return;
    default:
      break;
  }
  if (type == DType::F16) {
    a_.vpbroadcastw(half(dst), a_.ptr[where]);
    a_.vcvtph2ps(dst, half(dst));
    return;
  }
  switch (type) {
    case DType::I8:
      a_.movsx(a_.eax, a_.byte[where]);
      break;
    case DType::I16:
      a_.movsx(a_.eax, a_.word[where]);
      break;
    case DType::U8:
      a_.movzx(a_.eax, a_.byte[where]);
      break;
    case DType::Bool:  // all ones for any byte but zero
      a_.movzx(a_.eax, a_.byte[where]);
      a_.neg(a_.eax);
      a_.sbb(a_.eax, a_.eax);
      break;
    default:
      a_.movzx(a_.eax, a_.word[where]);
      if (type == DType::BF16) a_.shl(a_.eax, 16);
      break;
  }
  a_.vmovd(low, a_.eax);
  a_.vpbroadcastd(dst, low);
}

void VectorEmission::loadVector(DType type, const Xmm& dst, const VectorSource& source) {
  const RegExp where = source.address();
  if (source.kind == VectorSource::Kind::Splat) return splat(type, dst, where);
  const int elementBytes = dtypeBits(type) / 8;
  if (tail_.active && !avx512_) {
    if (elementBytes >= 4) {
      laneMask(dst, elementBytes);
      if (elementBytes == 4)
        a_.vmaskmovps(dst, dst, a_.ptr[where]);
      else
        a_.vpmaskmovq(dst, dst, a_.ptr[where]);
      return;
    }
    loadTailBytes(elementBytes, where);
  }
  const bool fromScratch = tail_.active && !avx512_;
  const Address memory = a_.ptr[fromScratch ? scratch(0) : where];
  const Xmm to = tail_.active && avx512_ ? dst | tail_.mask | Xbyak::util::T_z : dst;
  switch (type) {
    case DType::F16:
      a_.vcvtph2ps(to, memory);
      break;
    case DType::BF16:
      a_.vpmovzxwd(to, memory);
      a_.vpslld(dst, dst, 16);
      break;
    case DType::I8:
      a_.vpmovsxbd(to, memory);
      break;
    case DType::U8:
    case DType::Bool:
      a_.vpmovzxbd(to, memory);
      break;
    case DType::I16:
      a_.vpmovsxwd(to, memory);
      break;
    case DType::U16:
      a_.vpmovzxwd(to, memory);
      break;
    default:
      if (elementBytes == 8)
        a_.vmovupd(to, memory);
      else
        a_.vmovups(to, memory);
      break;
  }
}

void VectorEmission::loadMask(int reg, const VectorSource& source) {
  if (source.kind == VectorSource::Kind::Partial) {
    ensure(tail_.active, "a partial vector has a tail");
    if (avx512_)
      a_.kmovw(Opmask(reg), tail_.mask);
    else
      laneMask(view(reg, ValueClass::Mask), 4);
    return;
  }
  if (avx512_) {
    const Xmm bytes = temporary(ValueClass::I32);
    loadVector(DType::Bool, bytes, source);
    a_.vptestmd(Opmask(reg), bytes, bytes);
    return;
  }
  const Xmm dst = view(reg, ValueClass::Mask);
  loadVector(DType::Bool, dst, source);
  if (source.kind == VectorSource::Kind::Dense) a_.vpcmpgtd(dst, dst, a_.constant32(0));
}

// The low 8 or 16 bits of each 32-bit lane, next to each other. AVX2's packs saturate, which values
// in their type's range do not notice. Overwrites `src`.
void VectorEmission::packAndStore(const Xmm& src, int elementBytes, bool isSignedValue,
                                  const RegExp& where) {
  const Xbyak::Xmm low(src.getIdx());
  Xbyak::Xmm high = low;
  if (src.isYMM()) {
    high = Xbyak::Xmm(temporary(ValueClass::I32).getIdx());
    a_.vextracti128(high, Ymm(src.getIdx()), 1);
  }
  if (isSignedValue)
    a_.vpackssdw(low, low, high);
  else
    a_.vpackusdw(low, low, high);
  if (elementBytes == 1) {
    if (isSignedValue)
      a_.vpacksswb(low, low, low);
    else
      a_.vpackuswb(low, low, low);
  }
  const int bytes = elementBytes * plan_.lanes;
  const RegExp to = tail_.active ? scratch(0) : where;
  if (bytes == 16)
    a_.vmovups(a_.ptr[to], low);
  else if (bytes == 8)
    a_.vmovq(a_.qword[to], low);
  else
    a_.vmovd(a_.dword[to], low);
  if (tail_.active) storeTailBytes(elementBytes, where);
}

void VectorEmission::roundToBfloat16(const Xmm& dst, const Xmm& src) {
  a_.vpsrld(dst, src, 16);
  if (avx512_)
    a_.vpandd(dst, dst, a_.constant32(1));
  else
    a_.vpand(dst, dst, a_.constant32(1));
  a_.vpaddd(dst, dst, a_.constant32(0x7fff));
  a_.vpaddd(dst, dst, src);
  // A NaN keeps its high bits and stays quiet.
  if (avx512_) {
    const Opmask nan = temporaryMask();
    a_.vcmpps(nan, src, src, 3);
    a_.vpord(dst | nan, src, a_.constant32(0x00400000));
  } else {
    const Xmm nan = temporary(ValueClass::F32), quiet = temporary(ValueClass::F32);
    a_.vcmpps(nan, src, src, 3);
    a_.vpor(quiet, src, a_.constant32(0x00400000));
    a_.vblendvps(dst, dst, quiet, nan);
  }
}

void VectorEmission::storeVector(DType type, const Xmm& src, const RegExp& where) {
  const int elementBytes = dtypeBits(type) / 8;
  if (elementBytes >= 4) {
    if (tail_.active && !avx512_) {
      const Xmm mask = temporary(elementBytes == 8 ? ValueClass::I64 : ValueClass::I32);
      laneMask(mask, elementBytes);
      if (elementBytes == 4)
        a_.vmaskmovps(a_.ptr[where], mask, src);
      else
        a_.vpmaskmovq(a_.ptr[where], mask, src);
      return;
    }
    const Address memory = tail_.active ? a_.ptr[where] | tail_.mask : a_.ptr[where];
    if (elementBytes == 8)
      a_.vmovupd(memory, src);
    else
      a_.vmovups(memory, src);
    return;
  }
  if (avx512_) {
    const Address memory = tail_.active ? a_.ptr[where] | tail_.mask : a_.ptr[where];
    if (type == DType::F16) {
      a_.vcvtps2ph(memory, src, 0);
    } else if (type == DType::BF16) {
      const Xmm bits = temporary(ValueClass::I32);
      roundToBfloat16(bits, src);
      a_.vpsrld(bits, bits, 16);
      a_.vpmovdw(memory, bits);
    } else if (elementBytes == 2) {
      a_.vpmovdw(memory, src);
    } else {
      a_.vpmovdb(memory, src);
    }
    return;
  }
  const Xmm bits = temporary(ValueClass::I32);
  if (type == DType::F16) {
    if (tail_.active) {
      a_.vcvtps2ph(a_.ptr[scratch(0)], src, 0);
      storeTailBytes(2, where);
    } else {
      a_.vcvtps2ph(a_.ptr[where], src, 0);
    }
  } else if (type == DType::BF16) {
    roundToBfloat16(bits, src);
    a_.vpsrld(bits, bits, 16);
    packAndStore(bits, 2, false, where);
  } else {
    a_.vmovaps(bits, src);
    packAndStore(bits, elementBytes, isSigned(type), where);
  }
}

void VectorEmission::storeMask(int node, const RegExp& where) {
  const Xmm ones = temporary(ValueClass::I32);
  if (avx512_)
    a_.vpmovm2d(ones, maskOf(node));
  else
    a_.vmovaps(ones, vectorOf(node));
  a_.vpsrld(ones, ones, 31);
  if (avx512_)
    a_.vpmovdb(tail_.active ? a_.ptr[where] | tail_.mask : a_.ptr[where], ones);
  else
    packAndStore(ones, 1, false, where);
}

}  // namespace carnot
