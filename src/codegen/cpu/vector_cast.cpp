// Conversions between the classes of values. To F16 and BF16 only from F32: lower_math sees to it.

#include "base/error.h"
#include "codegen/cpu/vector_emission.h"

namespace carnot {

using Xbyak::Opmask;
using Xbyak::Ymm;

namespace {

constexpr uint64_t kTwo32 = 0x41f0000000000000;  // as doubles
constexpr uint64_t kTwo52 = 0x4330000000000000;

}  // namespace

void VectorEmission::copy(int node) {
  const Xmm x = vectorOf(nodeAt(node).args[0]);
  const Xmm d = defineOver(node);
  if (d.getIdx() != x.getIdx()) a_.vmovaps(d, x);
}

// A float in `d` rounded to a 16-bit type's values.
void VectorEmission::roundToStorage(DType to, const Xmm& d) {
  if (to == DType::F16) {
    const int bytes = d.getBit() / 16;
    const Xmm low = Assembler::vector(d.getIdx(), bytes < 16 ? 16 : bytes);
    a_.vcvtps2ph(low, d, 0);
    a_.vcvtph2ps(d, low);
  } else if (to == DType::BF16) {
    const Xmm bits = temporary(ValueClass::I32);
    roundToBfloat16(bits, d);
    bitwise(ScalarOp::And, d, bits, a_.constant32(0xffff0000u), false);
  }
}

// Signed or unsigned 64-bit integers to double, rounded once. AVX2 has no instruction: the halves
// are exact doubles, joined by one fused multiply-add.
void VectorEmission::int64ToDouble(const Xmm& d, const Xmm& x, bool unsignedValue) {
  if (avx512_) return unsignedValue ? a_.vcvtuqq2pd(d, x) : a_.vcvtqq2pd(d, x);
  const Xmm high = temporary(ValueClass::F64);
  if (unsignedValue) {
    a_.vpsrlq(high, x, 32);
    a_.vpor(high, high, a_.constant64(kTwo52));
    a_.vsubpd(high, high, a_.constant64(kTwo52));
  } else {
    const Xbyak::Xmm words(high.getIdx()), upper(temporary(ValueClass::I32).getIdx());
    a_.vextracti128(upper, Ymm(x.getIdx()), 1);
    a_.vshufps(words, Xbyak::Xmm(x.getIdx()), upper, 0xdd);
    a_.vcvtdq2pd(high, words);
  }
  a_.vpand(d, x, a_.constant64(0xffffffffu));
  a_.vpor(d, d, a_.constant64(kTwo52));
  a_.vsubpd(d, d, a_.constant64(kTwo52));
  a_.vfmadd231pd(d, high, a_.constant64(kTwo32));
}

void VectorEmission::doubleToInt64(const Xmm& d, const Xmm& x) {
  if (avx512_) return a_.vcvttpd2qq(d, x);
  a_.vmovups(a_.ptr[scratch(0)], x);
  for (int lane = 0; lane < plan_.lanes; ++lane) {
    a_.vcvttsd2si(a_.rax, a_.qword[scratch(0) + 8 * lane]);
    a_.mov(a_.qword[scratch(0) + 8 * lane], a_.rax);
  }
  a_.vmovups(d, a_.ptr[scratch(0)]);
}

// The low halves of 64-bit lanes.
void VectorEmission::narrow64(const Xmm& d, const Xmm& x) {
  if (avx512_) return a_.vpmovqd(d, x);
  narrowMask(d, x);
}

void VectorEmission::emitCast(int node) {
  const ScalarNode& n = nodeAt(node);
  const DType from = nodeAt(n.args[0]).dtype;
  if (n.dtype == DType::Bool) return castToBool(node);
  switch (classOf(from)) {
    case ValueClass::F32:
      return castFromFloat(node, n.dtype);
    case ValueClass::F64:
      return castFromDouble(node, n.dtype);
    case ValueClass::I32:
      return castFromInt32(node, n.dtype);
    case ValueClass::I64:
      return castFromInt64(node, n.dtype);
    case ValueClass::Mask:
      return castFromMask(node, n.dtype);
  }
}

void VectorEmission::castToBool(int node) {
  const int arg = nodeAt(node).args[0];
  const ValueClass from = classAt(arg);
  const bool wide = isWide(from), isFloatKind = from == ValueClass::F32 || from == ValueClass::F64;
  constexpr int kNotEqual = 0x04;  // true for NaN
  if (avx512_) {
    if (from == ValueClass::Mask) {
      const Opmask x = maskOf(arg);
      return a_.kmovw(defineMask(node), x);
    }
    const Xmm x = vectorOf(arg);
    const Opmask d = defineMask(node);
    if (isFloatKind)
      return wide ? a_.vcmppd(d, x, a_.constant64(0), kNotEqual)
                  : a_.vcmpps(d, x, a_.constant32(0), kNotEqual);
    return wide ? a_.vptestmq(d, x, x) : a_.vptestmd(d, x, x);
  }
  if (from == ValueClass::Mask) return copy(node);
  const Xmm x = vectorOf(arg), d = defineApart(node);
  const Xmm lanes = wide ? temporary(from) : d;
  if (isFloatKind) {
    wide ? a_.vcmppd(lanes, x, a_.constant64(0), kNotEqual)
         : a_.vcmpps(lanes, x, a_.constant32(0), kNotEqual);
  } else {
    wide ? a_.vpcmpeqq(lanes, x, a_.constant64(0)) : a_.vpcmpeqd(lanes, x, a_.constant32(0));
  }
  if (wide) narrowMask(d, lanes);
  if (!isFloatKind) a_.vpxor(d, d, a_.constant32(~0u));
}

void VectorEmission::castFromFloat(int node, DType to) {
  const int arg = nodeAt(node).args[0];
  switch (classOf(to)) {
    case ValueClass::F32: {
      // A store rounds by itself.
      if (to == DType::F32 || to == nodeAt(arg).dtype || storedOnly_[node]) return copy(node);
      const Xmm x = vectorOf(arg), d = defineApart(node);
      a_.vmovaps(d, x);
      return roundToStorage(to, d);
    }
    case ValueClass::F64: {
      const Xmm x = vectorOf(arg);
      return a_.vcvtps2pd(defineApart(node), x);
    }
    case ValueClass::I64: {
      const Xmm x = vectorOf(arg), d = defineApart(node), t = temporary(ValueClass::F64);
      a_.vcvtps2pd(t, x);
      if (to == DType::U64 && avx512_) return a_.vcvttpd2uqq(d, t);
      return doubleToInt64(d, t);
    }
    default:
      break;
  }
  const Xmm x = vectorOf(arg), d = defineApart(node);
  if (to != DType::U32) {
    a_.vcvttps2dq(d, x);
    return wrap(to, d);
  }
  // From 2^31 on: as a signed number after taking 2^31 off.
  const Xmm upper = temporary(ValueClass::F32), bits = temporary(ValueClass::I32);
  const Xbyak::Address limit = a_.constant32(0x4f000000), sign = a_.constant32(0x80000000u);
  a_.vsubps(upper, x, limit);
  a_.vcvttps2dq(upper, upper);
  bitwise(ScalarOp::Xor, upper, upper, sign, false);
  a_.vcvttps2dq(bits, x);
  if (avx512_) {
    const Opmask large = temporaryMask();
    a_.vcmpps(large, x, limit, 0x1d);
    a_.vblendmps(d | large, bits, upper);
  } else {
    const Xmm large = temporary(ValueClass::F32);
    a_.vcmpps(large, x, limit, 0x1d);
    a_.vblendvps(d, bits, upper, large);
  }
}

void VectorEmission::castFromDouble(int node, DType to) {
  const int arg = nodeAt(node).args[0];
  const Xmm x = vectorOf(arg);
  switch (classOf(to)) {
    case ValueClass::F64:
      return copy(node);
    case ValueClass::F32: {
      const Xmm d = defineApart(node);
      return a_.vcvtpd2ps(d, x);
    }
    case ValueClass::I64: {
      const Xmm d = defineApart(node);
      if (to == DType::U64 && avx512_) return a_.vcvttpd2uqq(d, x);
      return doubleToInt64(d, x);
    }
    default: {
      const Xmm d = defineApart(node), t = temporary(ValueClass::I64);
      doubleToInt64(t, x);
      narrow64(d, t);
      return wrap(to, d);
    }
  }
}

void VectorEmission::castFromInt32(int node, DType to) {
  const int arg = nodeAt(node).args[0];
  const DType from = nodeAt(arg).dtype;
  const bool unsigned32 = from == DType::U32;
  const Xmm x = vectorOf(arg);
  switch (classOf(to)) {
    case ValueClass::F32: {
      const Xmm d = defineApart(node);
      if (!unsigned32) {
        a_.vcvtdq2ps(d, x);
      } else if (avx512_) {
        a_.vcvtudq2ps(d, x);
      } else {  // the upper and the lower 16 bits are exact; one rounding joins them
        const Xmm upper = temporary(ValueClass::I32);
        a_.vpsrld(upper, x, 16);
        a_.vcvtdq2ps(upper, upper);
        a_.vpand(d, x, a_.constant32(0xffff));
        a_.vcvtdq2ps(d, d);
        a_.vfmadd231ps(d, upper, a_.constant32(0x47800000));
      }
      return;
    }
    case ValueClass::F64: {
      const Xmm d = defineApart(node);
      if (!unsigned32) return a_.vcvtdq2pd(d, x);
      if (avx512_) return a_.vcvtudq2pd(d, x);
      a_.vpmovzxdq(d, Xbyak::Xmm(x.getIdx()));
      a_.vpor(d, d, a_.constant64(kTwo52));
      return a_.vsubpd(d, d, a_.constant64(kTwo52));
    }
    case ValueClass::I64: {
      const Xmm d = defineApart(node);
      return unsigned32 ? a_.vpmovzxdq(d, x) : a_.vpmovsxdq(d, x);
    }
    default: {
      const Xmm d = defineApart(node);
      a_.vmovaps(d, x);
      return wrap(to, d);
    }
  }
}

void VectorEmission::castFromInt64(int node, DType to) {
  const int arg = nodeAt(node).args[0];
  const bool unsigned64 = nodeAt(arg).dtype == DType::U64;
  const Xmm x = vectorOf(arg), d = defineApart(node);
  switch (classOf(to)) {
    case ValueClass::F32:
      if (avx512_) {
        unsigned64 ? a_.vcvtuqq2ps(d, x) : a_.vcvtqq2ps(d, x);
      } else {
        const Xmm t = temporary(ValueClass::F64);
        int64ToDouble(t, x, unsigned64);
        a_.vcvtpd2ps(d, t);
      }
      return;
    case ValueClass::F64:
      return int64ToDouble(d, x, unsigned64);
    case ValueClass::I64:
      return a_.vmovaps(d, x);
    default:
      narrow64(d, x);
      return wrap(to, d);
  }
}

void VectorEmission::castFromMask(int node, DType to) {
  const int arg = nodeAt(node).args[0];
  const ValueClass kind = classOf(to);
  const bool wide = isWide(kind);
  const uint64_t one = kind == ValueClass::F32   ? 0x3f800000
                       : kind == ValueClass::F64 ? 0x3ff0000000000000
                                                 : 1;
  if (avx512_) {
    const Opmask x = maskOf(arg);
    const Xmm d = defineApart(node);
    const auto zeroed = d | x | Xbyak::util::T_z;
    if (wide)
      a_.loadConstant64(d, one);
    else
      a_.loadConstant32(d, static_cast<uint32_t>(one));
    return wide ? a_.vmovapd(zeroed, d) : a_.vmovaps(zeroed, d);
  }
  Xmm x = vectorOf(arg);
  if (wide) x = widenedMask(x);
  const Xmm d = defineApart(node);
  a_.vpand(d, x, wide ? a_.constant64(one) : a_.constant32(static_cast<uint32_t>(one)));
}

}  // namespace carnot
