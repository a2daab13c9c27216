// One primitive on one vector.

#include "base/error.h"
#include "codegen/cpu/vector_emission.h"

namespace carnot {

namespace {

bool commutes(ScalarOp op) {
  switch (op) {
    case ScalarOp::Add:
    case ScalarOp::Mul:
    case ScalarOp::Equal:
    case ScalarOp::And:
    case ScalarOp::Or:
    case ScalarOp::Xor:
    case ScalarOp::BitAnd:
    case ScalarOp::BitOr:
    case ScalarOp::BitXor:
      return true;
    default:
      return false;
  }
}

constexpr uint64_t kSign64 = 0x8000000000000000u;

}  // namespace

void VectorEmission::bitwise(ScalarOp op, const Xmm& d, const Xmm& a, const Operand& b, bool wide) {
  switch (op) {
    case ScalarOp::And:
    case ScalarOp::BitAnd:
      avx512_ ? (wide ? a_.vpandq(d, a, b) : a_.vpandd(d, a, b)) : a_.vpand(d, a, b);
      break;
    case ScalarOp::Or:
    case ScalarOp::BitOr:
      avx512_ ? (wide ? a_.vporq(d, a, b) : a_.vpord(d, a, b)) : a_.vpor(d, a, b);
      break;
    default:
      avx512_ ? (wide ? a_.vpxorq(d, a, b) : a_.vpxord(d, a, b)) : a_.vpxor(d, a, b);
      break;
  }
}

void VectorEmission::allOnes(const Xmm& d) {
  if (avx512_)
    a_.vpternlogd(d, d, d, 0xff);
  else
    a_.vpcmpeqd(d, d, d);
}

void VectorEmission::emitNode(int node) {
  const ScalarNode& n = nodeAt(node);
  const ValueClass first = classAt(n.args[0]);
  switch (n.op) {
    case ScalarOp::Equal:
    case ScalarOp::Less:
    case ScalarOp::LessEqual:
    case ScalarOp::IsNan:
      return first == ValueClass::Mask ? emitLogic(node) : emitCompare(node);
    case ScalarOp::And:
    case ScalarOp::Or:
    case ScalarOp::Xor:
    case ScalarOp::Not:
      return emitLogic(node);
    case ScalarOp::Select:
      return emitSelect(node);
    case ScalarOp::Cast:
      return emitCast(node);
    case ScalarOp::Bitcast:
      return copy(node);
    case ScalarOp::Fma:
      return emitFma(node);
    default:
      break;
  }
  if (first == ValueClass::F32 || first == ValueClass::F64) return emitFloat(node);
  emitInteger(node);
}

void VectorEmission::emitFloat(int node) {
  const ScalarNode& n = nodeAt(node);
  const bool wide = classAt(node) == ValueClass::F64;
  auto round = [&](int mode) {
    const Xmm x = vectorOf(n.args[0]), d = defineOver(node);
    const int quiet = mode | 8;  // no inexact exception
    if (avx512_)
      wide ? a_.vrndscalepd(d, x, quiet) : a_.vrndscaleps(d, x, quiet);
    else
      wide ? a_.vroundpd(d, x, quiet) : a_.vroundps(d, x, quiet);
  };
  auto bits = [&](ScalarOp op, uint64_t mask) {
    const Xmm x = vectorOf(n.args[0]), d = defineOver(node);
    bitwise(op, d, x, wide ? a_.constant64(mask) : a_.constant32(static_cast<uint32_t>(mask >> 32)),
            wide);
  };
  switch (n.op) {
    case ScalarOp::Floor:
      return round(1);
    case ScalarOp::Ceil:
      return round(2);
    case ScalarOp::RoundEven:
      return round(0);
    case ScalarOp::Trunc:
      return round(3);
    case ScalarOp::Neg:
      return bits(ScalarOp::BitXor, kSign64);
    case ScalarOp::Abs:
      return bits(ScalarOp::BitAnd, wide ? ~kSign64 : 0x7fffffffull << 32);
    case ScalarOp::Sqrt: {
      const auto x = operandOf(n.args[0]);
      const Xmm d = defineOver(node);
      return wide ? a_.vsqrtpd(d, *x) : a_.vsqrtps(d, *x);
    }
    case ScalarOp::Reciprocal: {
      const Xmm one = temporary(classAt(node));
      if (wide)
        a_.loadConstant64(one, 0x3ff0000000000000);
      else
        a_.loadConstant32(one, 0x3f800000);
      const auto x = operandOf(n.args[0]);
      const Xmm d = defineOver(node);
      return wide ? a_.vdivpd(d, one, *x) : a_.vdivps(d, one, *x);
    }
    default:
      break;
  }
  int left = n.args[0], right = n.args[1];
  if (commutes(n.op) && inMemory(left) && !inMemory(right)) std::swap(left, right);
  const Xmm x = vectorOf(left);
  const auto y = operandOf(right);
  const Xmm d = defineOver(node);
  switch (n.op) {
    case ScalarOp::Add:
      return wide ? a_.vaddpd(d, x, *y) : a_.vaddps(d, x, *y);
    case ScalarOp::Sub:
      return wide ? a_.vsubpd(d, x, *y) : a_.vsubps(d, x, *y);
    case ScalarOp::Mul:
      return wide ? a_.vmulpd(d, x, *y) : a_.vmulps(d, x, *y);
    case ScalarOp::Div:
      return wide ? a_.vdivpd(d, x, *y) : a_.vdivps(d, x, *y);
    case ScalarOp::Min:
      return wide ? a_.vminpd(d, x, *y) : a_.vminps(d, x, *y);
    case ScalarOp::Max:
      return wide ? a_.vmaxpd(d, x, *y) : a_.vmaxps(d, x, *y);
    case ScalarOp::Ldexp:
      return wide ? a_.vscalefpd(d, x, *y) : a_.vscalefps(d, x, *y);
    default:
      throwInternal(fmt::format("{} has no vector code", scalarOpName(n.op)));
  }
}

void VectorEmission::emitFma(int node) {
  const ScalarNode& n = nodeAt(node);
  const ValueClass kind = classAt(node);
  if (kind == ValueClass::I32) {
    const Xmm x = vectorOf(n.args[0]);
    const auto y = operandOf(n.args[1]);
    const Xmm d = defineApart(node);
    a_.vpmulld(d, x, *y);
    a_.vpaddd(d, d, *operandOf(n.args[2]));
    return wrap(n.dtype, d);
  }
  const bool wide = kind == ValueClass::F64;
  auto dies = [&](int value) {
    return !inMemory(value) && nodeAt(value).op != ScalarOp::Constant &&
           plan_.uses[value].back() == static_cast<uint32_t>(node);
  };
  // The destination of vfmadd is one of its sources; only the last source may be in memory.
  int x = n.args[0], y = n.args[1];
  const int z = n.args[2];
  if (inMemory(x)) std::swap(x, y);
  const bool addendOver = dies(z) && z != x && z != y;
  if (addendOver) {
    const Xmm addend = vectorOf(z), first = vectorOf(x);
    const auto second = operandOf(y);
    release(z);
    bind(node, addend.getIdx());
    return wide ? a_.vfmadd231pd(addend, first, *second) : a_.vfmadd231ps(addend, first, *second);
  }
  if (!dies(x) && dies(y)) std::swap(x, y);
  const bool over = dies(x) && x != y && x != z;
  const Xmm first = vectorOf(x);
  Xmm d = first;
  if (over) {
    release(x);
    bind(node, first.getIdx());
  } else {
    d = defineApart(node);
    a_.vmovaps(d, first);
  }
  if (inMemory(z) || !inMemory(y)) {
    const Xmm second = vectorOf(y);
    const auto addend = operandOf(z);
    return wide ? a_.vfmadd213pd(d, second, *addend) : a_.vfmadd213ps(d, second, *addend);
  }
  const Xmm addend = vectorOf(z);
  const auto second = operandOf(y);
  return wide ? a_.vfmadd132pd(d, addend, *second) : a_.vfmadd132ps(d, addend, *second);
}

// Back to the type's own width, for types narrower than their lane.
void VectorEmission::wrap(DType type, const Xmm& reg) {
  const int unused = 32 - dtypeBits(type);
  if (unused <= 0) return;
  a_.vpslld(reg, reg, unused);
  if (isUnsigned(type))
    a_.vpsrld(reg, reg, unused);
  else
    a_.vpsrad(reg, reg, unused);
}

void VectorEmission::emitInteger(int node) {
  const ScalarNode& n = nodeAt(node);
  const bool wide = classAt(node) == ValueClass::I64;
  switch (n.op) {
    case ScalarOp::Div:
    case ScalarOp::FloorMod:
    case ScalarOp::TruncMod:
      return emitDivide(node);
    case ScalarOp::ShiftLeft:
    case ScalarOp::ShiftRight:
      return emitShift(node);
    case ScalarOp::Neg: {
      const Xmm x = vectorOf(n.args[0]), d = defineApart(node);
      bitwise(ScalarOp::BitXor, d, d, d, wide);
      wide ? a_.vpsubq(d, d, x) : a_.vpsubd(d, d, x);
      return wrap(n.dtype, d);
    }
    case ScalarOp::BitNot: {
      const Xmm x = vectorOf(n.args[0]), d = defineApart(node);
      allOnes(d);
      bitwise(ScalarOp::BitXor, d, d, x, wide);
      return wrap(n.dtype, d);
    }
    case ScalarOp::Abs: {
      const Xmm x = vectorOf(n.args[0]);
      if (isUnsigned(n.dtype)) return a_.vmovaps(defineOver(node), x);
      const Xmm d = defineApart(node);
      if (!wide) {
        a_.vpabsd(d, x);
        return wrap(n.dtype, d);
      }
      if (avx512_) return a_.vpabsq(d, x);
      const Xmm sign = temporary(ValueClass::I64);
      a_.vpxor(sign, sign, sign);
      a_.vpcmpgtq(sign, sign, x);
      a_.vpxor(d, x, sign);
      return a_.vpsubq(d, d, sign);
    }
    case ScalarOp::Mul:
      if (wide && !avx512_) return emitMultiply64(node);
      break;
    case ScalarOp::Min:
    case ScalarOp::Max:
      if (wide && !avx512_) return emitMinMax64(node);
      break;
    default:
      break;
  }
  int left = n.args[0], right = n.args[1];
  if (commutes(n.op) && inMemory(left) && !inMemory(right)) std::swap(left, right);
  const Xmm x = vectorOf(left);
  const auto y = operandOf(right);
  const Xmm d = defineOver(node);
  emitIntegerBinary(n.op, n.dtype, d, x, *y);
  if (n.op == ScalarOp::Add || n.op == ScalarOp::Sub || n.op == ScalarOp::Mul) wrap(n.dtype, d);
}

void VectorEmission::emitIntegerBinary(ScalarOp op, DType type, const Xmm& d, const Xmm& a,
                                       const Operand& b) {
  const bool wide = isWide(classOf(type)), noSign = isUnsigned(type);
  switch (op) {
    case ScalarOp::Add:
      return wide ? a_.vpaddq(d, a, b) : a_.vpaddd(d, a, b);
    case ScalarOp::Sub:
      return wide ? a_.vpsubq(d, a, b) : a_.vpsubd(d, a, b);
    case ScalarOp::Mul:
      return wide ? a_.vpmullq(d, a, b) : a_.vpmulld(d, a, b);
    case ScalarOp::Min:
      if (wide) return noSign ? a_.vpminuq(d, a, b) : a_.vpminsq(d, a, b);
      return noSign ? a_.vpminud(d, a, b) : a_.vpminsd(d, a, b);
    case ScalarOp::Max:
      if (wide) return noSign ? a_.vpmaxuq(d, a, b) : a_.vpmaxsq(d, a, b);
      return noSign ? a_.vpmaxud(d, a, b) : a_.vpmaxsd(d, a, b);
    case ScalarOp::BitAnd:
    case ScalarOp::BitOr:
    case ScalarOp::BitXor:
      return bitwise(op, d, a, b, wide);
    default:
      throwInternal(fmt::format("{} has no vector code", scalarOpName(op)));
  }
}

void VectorEmission::emitShift(int node) {
  const ScalarNode& n = nodeAt(node);
  const bool wide = classAt(node) == ValueClass::I64, noSign = isUnsigned(n.dtype);
  const ScalarNode& amount = nodeAt(n.args[1]);
  const bool left = n.op == ScalarOp::ShiftLeft;
  const bool noArithmetic64 = wide && !avx512_ && !left && !noSign;
  const Xmm x = vectorOf(n.args[0]);
  if (amount.op == ScalarOp::Constant && !noArithmetic64) {
    const int64_t by = std::get<int64_t>(amount.value);
    const int count = by < 0 || by > 63 ? 64 : static_cast<int>(by);
    const Xmm d = defineOver(node);
    if (left)
      wide ? a_.vpsllq(d, x, count) : a_.vpslld(d, x, count);
    else if (noSign)
      wide ? a_.vpsrlq(d, x, count) : a_.vpsrld(d, x, count);
    else
      wide ? a_.vpsraq(d, x, count) : a_.vpsrad(d, x, count);
    if (left) wrap(n.dtype, d);
    return;
  }
  const auto by = operandOf(n.args[1]);
  if (noArithmetic64) {  // the sign bits taken out, shifted, put back
    const Xmm sign = temporary(ValueClass::I64), d = defineApart(node);
    a_.vpxor(sign, sign, sign);
    a_.vpcmpgtq(sign, sign, x);
    a_.vpxor(d, x, sign);
    a_.vpsrlvq(d, d, *by);
    return a_.vpxor(d, d, sign);
  }
  const Xmm d = defineOver(node);
  if (left)
    wide ? a_.vpsllvq(d, x, *by) : a_.vpsllvd(d, x, *by);
  else if (noSign)
    wide ? a_.vpsrlvq(d, x, *by) : a_.vpsrlvd(d, x, *by);
  else
    wide ? a_.vpsravq(d, x, *by) : a_.vpsravd(d, x, *by);
  if (left) wrap(n.dtype, d);
}

// AVX2 multiplies 32 bits by 32: low * low + (low * high + high * low) << 32.
void VectorEmission::emitMultiply64(int node) {
  const ScalarNode& n = nodeAt(node);
  const Xmm x = vectorOf(n.args[0]), y = vectorOf(n.args[1]);
  const Xmm t = temporary(ValueClass::I64), d = defineApart(node);
  a_.vpsrlq(d, x, 32);
  a_.vpmuludq(d, d, y);
  a_.vpsrlq(t, y, 32);
  a_.vpmuludq(t, t, x);
  a_.vpaddq(d, d, t);
  a_.vpsllq(d, d, 32);
  a_.vpmuludq(t, x, y);
  a_.vpaddq(d, d, t);
}

void VectorEmission::emitMinMax64(int node) {
  const ScalarNode& n = nodeAt(node);
  const Xmm x = vectorOf(n.args[0]), y = vectorOf(n.args[1]);
  const Xmm greater = temporary(ValueClass::I64), d = defineApart(node);
  if (isUnsigned(n.dtype)) {
    const Xmm other = temporary(ValueClass::I64);
    a_.vpxor(greater, x, a_.constant64(kSign64));
    a_.vpxor(other, y, a_.constant64(kSign64));
    a_.vpcmpgtq(greater, greater, other);
  } else {
    a_.vpcmpgtq(greater, x, y);
  }
  if (n.op == ScalarOp::Min)
    a_.vblendvpd(d, x, y, greater);
  else
    a_.vblendvpd(d, y, x, greater);
}

// No vector instruction divides integers: one lane at a time through rax, rcx and rdx.
void VectorEmission::emitDivide(int node) {
  const ScalarNode& n = nodeAt(node);
  const bool wide = classAt(node) == ValueClass::I64, noSign = isUnsigned(n.dtype);
  const Xmm x = vectorOf(n.args[0]), y = vectorOf(n.args[1]);
  a_.vmovups(a_.ptr[scratch(0)], x);
  a_.vmovups(a_.ptr[scratch(1)], y);
  const int size = wide ? 8 : 4;
  for (int lane = 0; lane < plan_.lanes; ++lane) {
    Xbyak::Label zero, negate, done, same;
    const Xbyak::RegExp dividend = scratch(0) + lane * size, divisor = scratch(1) + lane * size;
    if (wide) {
      a_.mov(a_.rax, a_.qword[dividend]);
      a_.mov(a_.rcx, a_.qword[divisor]);
    } else if (noSign) {
      a_.mov(a_.eax, a_.dword[dividend]);
      a_.mov(a_.ecx, a_.dword[divisor]);
    } else {
      a_.movsxd(a_.rax, a_.dword[dividend]);
      a_.movsxd(a_.rcx, a_.dword[divisor]);
    }
    a_.test(a_.rcx, a_.rcx);
    a_.jz(zero, Xbyak::CodeGenerator::T_NEAR);
    if (noSign) {
      a_.xor_(a_.edx, a_.edx);
      a_.div(a_.rcx);
    } else {
      a_.cmp(a_.rcx, -1);  // the smallest integer by -1 would trap
      a_.je(negate, Xbyak::CodeGenerator::T_NEAR);
      a_.cqo();
      a_.idiv(a_.rcx);
      if (n.op == ScalarOp::FloorMod) {
        a_.test(a_.rdx, a_.rdx);
        a_.jz(same);
        a_.push(a_.rax);
        a_.mov(a_.rax, a_.rdx);
        a_.xor_(a_.rax, a_.rcx);
        a_.pop(a_.rax);
        a_.jns(same);
        a_.add(a_.rdx, a_.rcx);
        a_.L(same);
      }
    }
    a_.jmp(done, Xbyak::CodeGenerator::T_NEAR);
    a_.L(negate);
    a_.neg(a_.rax);
    a_.xor_(a_.edx, a_.edx);
    a_.jmp(done, Xbyak::CodeGenerator::T_NEAR);
    a_.L(zero);
    a_.xor_(a_.eax, a_.eax);
    a_.xor_(a_.edx, a_.edx);
    a_.L(done);
    const Xbyak::Reg64& result = n.op == ScalarOp::Div ? a_.rax : a_.rdx;
    if (wide)
      a_.mov(a_.qword[scratch(2) + lane * size], result);
    else
      a_.mov(a_.dword[scratch(2) + lane * size], result.cvt32());
  }
  const Xmm d = defineOver(node);
  a_.vmovups(d, a_.ptr[scratch(2)]);
  if (!wide) wrap(n.dtype, d);
}

}  // namespace carnot
