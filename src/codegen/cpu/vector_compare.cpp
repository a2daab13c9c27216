// Comparisons, logic and selection: what makes masks and what they choose.

#include "codegen/cpu/vector_emission.h"

namespace carnot {

using Xbyak::Address;
using Xbyak::Opmask;
using Xbyak::Ymm;

// 64-bit lanes of ones and zeros to 32-bit lanes, for AVX2.
void VectorEmission::narrowMask(const Xmm& dst, const Xmm& wide) {
  const Xbyak::Xmm low(dst.getIdx());
  const Xbyak::Xmm high(temporary(ValueClass::I32).getIdx());
  a_.vextracti128(high, Ymm(wide.getIdx()), 1);
  a_.vshufps(low, Xbyak::Xmm(wide.getIdx()), high, 0x88);
}

VectorEmission::Xmm VectorEmission::widenedMask(const Xmm& mask) {
  const Xmm wide = temporary(ValueClass::I64);
  a_.vpmovsxdq(wide, Xbyak::Xmm(mask.getIdx()));
  return wide;
}

void VectorEmission::emitCompare(int node) {
  const ScalarNode& n = nodeAt(node);
  const ValueClass kind = classAt(n.args[0]);
  const bool wide = isWide(kind), isFloatKind = kind == ValueClass::F32 || kind == ValueClass::F64;
  if (!isFloatKind && !avx512_) return compareIntegers(node, defineApart(node));
  // Ordered and quiet: false when either is NaN.
  int predicate = n.op == ScalarOp::Equal ? 0x00 : n.op == ScalarOp::Less ? 0x11 : 0x12;
  if (n.op == ScalarOp::IsNan) predicate = 0x03;
  int left = n.args[0], right = n.op == ScalarOp::IsNan ? n.args[0] : n.args[1];
  if (n.op == ScalarOp::Equal && inMemory(left) && !inMemory(right)) std::swap(left, right);
  const Xmm x = vectorOf(left);
  const auto y = operandOf(right);
  if (avx512_) {
    const Opmask d = defineMask(node);
    if (isFloatKind) return wide ? a_.vcmppd(d, x, *y, predicate) : a_.vcmpps(d, x, *y, predicate);
    const int relation = n.op == ScalarOp::Equal ? 0 : n.op == ScalarOp::Less ? 1 : 2;
    if (isUnsigned(nodeAt(left).dtype))
      return wide ? a_.vpcmpuq(d, x, *y, relation) : a_.vpcmpud(d, x, *y, relation);
    return wide ? a_.vpcmpq(d, x, *y, relation) : a_.vpcmpd(d, x, *y, relation);
  }
  if (!wide) return a_.vcmpps(defineApart(node), x, *y, predicate);
  const Xmm lanes = temporary(kind);
  a_.vcmppd(lanes, x, *y, predicate);
  narrowMask(defineApart(node), lanes);
}

void VectorEmission::compareIntegers(int node, const Xmm& d) {
  const ScalarNode& n = nodeAt(node);
  const ValueClass kind = classAt(n.args[0]);
  const bool wide = kind == ValueClass::I64;
  Xmm x = vectorOf(n.args[0]), y = vectorOf(n.args[1]);
  const Xmm lanes = wide ? temporary(kind) : d;
  if (n.op == ScalarOp::Equal) {
    wide ? a_.vpcmpeqq(lanes, x, y) : a_.vpcmpeqd(lanes, x, y);
    if (wide) narrowMask(d, lanes);
    return;
  }
  const DType type = nodeAt(n.args[0]).dtype;
  if (isUnsigned(type) && dtypeBits(type) >= 32) {  // to signed order
    const Xmm p = temporary(kind), q = temporary(kind);
    const Address sign = wide ? a_.constant64(uint64_t{1} << 63) : a_.constant32(uint32_t{1} << 31);
    a_.vpxor(p, x, sign);
    a_.vpxor(q, y, sign);
    x = p;
    y = q;
  }
  // a < b is b > a; a <= b is not a > b.
  if (n.op == ScalarOp::LessEqual) std::swap(x, y);
  wide ? a_.vpcmpgtq(lanes, y, x) : a_.vpcmpgtd(lanes, y, x);
  if (wide) narrowMask(d, lanes);
  if (n.op == ScalarOp::LessEqual) a_.vpxor(d, d, a_.constant32(~0u));
}

void VectorEmission::emitLogic(int node) {
  const ScalarNode& n = nodeAt(node);
  if (avx512_) {
    const Opmask x = maskOf(n.args[0]);
    const Opmask y = scalarArity(n.op) > 1 ? maskOf(n.args[1]) : x;
    const Opmask d = defineMask(node);
    switch (n.op) {
      case ScalarOp::And:
        return a_.kandw(d, x, y);
      case ScalarOp::Or:
        return a_.korw(d, x, y);
      case ScalarOp::Xor:
        return a_.kxorw(d, x, y);
      case ScalarOp::Equal:
        return a_.kxnorw(d, x, y);
      default:
        return a_.knotw(d, x);
    }
  }
  const Xmm x = vectorOf(n.args[0]);
  const Xmm y = scalarArity(n.op) > 1 ? vectorOf(n.args[1]) : x;
  const Xmm d = defineApart(node);
  switch (n.op) {
    case ScalarOp::And:
      return a_.vpand(d, x, y);
    case ScalarOp::Or:
      return a_.vpor(d, x, y);
    case ScalarOp::Xor:
      return a_.vpxor(d, x, y);
    case ScalarOp::Equal:
      return a_.vpcmpeqd(d, x, y);
    default:
      return a_.vpxor(d, x, a_.constant32(~0u));
  }
}

void VectorEmission::emitSelect(int node) {
  const ScalarNode& n = nodeAt(node);
  const ValueClass kind = classAt(node);
  const bool wide = isWide(kind);
  if (kind == ValueClass::Mask) {  // (c & a) | (b & ~c)
    if (avx512_) {
      const Opmask c = maskOf(n.args[0]), x = maskOf(n.args[1]), y = maskOf(n.args[2]);
      const Opmask t = temporaryMask(), d = defineMask(node);
      a_.kandw(t, c, x);
      a_.kandnw(d, c, y);
      return a_.korw(d, d, t);
    }
    const Xmm c = vectorOf(n.args[0]), x = vectorOf(n.args[1]), y = vectorOf(n.args[2]);
    return a_.vblendvps(defineApart(node), y, x, c);
  }
  if (avx512_) {
    const Opmask c = maskOf(n.args[0]);
    const Xmm y = vectorOf(n.args[2]);
    const auto x = operandOf(n.args[1]);
    const Xmm d = defineOver(node);
    return wide ? a_.vblendmpd(d | c, y, *x) : a_.vblendmps(d | c, y, *x);
  }
  Xmm c = vectorOf(n.args[0]);
  const Xmm y = vectorOf(n.args[2]);
  const auto x = operandOf(n.args[1]);
  if (!wide) return a_.vblendvps(defineApart(node), y, *x, c);
  c = widenedMask(c);
  a_.vblendvpd(defineApart(node), y, *x, c);
}

}  // namespace carnot
