#include <algorithm>
#include <array>

#include "base/error.h"
#include "engine/engine.h"

namespace carnot {
namespace {

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxOperations = 4096;

[[noreturn]] void throwBadProgram(const char* has) {
  throw Error(ErrorCode::InvalidModel, has, "a valid postfix program",
              "the engine is damaged; build it again");
}

[[noreturn]] void throwOverflow() {
  throw Error(ErrorCode::InvalidArgument, "a dimension that overflows 64 bits", "smaller shapes");
}

int64_t floorDivide(int64_t a, int64_t b) {
  if (b == 0)
    throw Error(ErrorCode::InvalidArgument, "a dimension that divides by zero",
                "a shape for which the divisor is not zero");
  if (b == -1) {
    int64_t negated;
    if (__builtin_sub_overflow(int64_t{0}, a, &negated)) throwOverflow();
    return negated;
  }
  int64_t quotient = a / b;
  return quotient - ((a % b != 0) && ((a < 0) != (b < 0)));
}

struct Compiler : Dim::Visitor {
  std::span<const std::string> symbols;
  std::vector<int64_t> code;

  void emit(DimOp op, int64_t operand = 0) {
    code.push_back(static_cast<int64_t>(op));
    code.push_back(operand);
  }
  void constant(int64_t value) override { emit(DimOp::Constant, value); }
  void symbol(const std::string& name) override {
    auto found = std::find(symbols.begin(), symbols.end(), name);
    if (found == symbols.end())
      throw Error(ErrorCode::Unsupported,
                  "a dimension that depends on '" + name + "', which no input's shape gives",
                  "dimensions computed from the inputs' shapes");
    emit(DimOp::Symbol, found - symbols.begin());
  }
  void apply(Dim::Kind kind) override {
    switch (kind) {
      case Dim::Kind::Add:
        return emit(DimOp::Add);
      case Dim::Kind::Mul:
        return emit(DimOp::Mul);
      case Dim::Kind::FloorDiv:
        return emit(DimOp::FloorDiv);
      case Dim::Kind::Max:
        return emit(DimOp::Max);
      case Dim::Kind::Constant:
      case Dim::Kind::Symbol:
        break;
    }
    throwInternal("visitPostfix applied a leaf");
  }
};

}  // namespace

DimProgram DimProgram::compile(const Dim& dim, std::span<const std::string> symbols) {
  Compiler compiler;
  compiler.symbols = symbols;
  dim.visitPostfix(compiler);
  DimProgram program{std::move(compiler.code)};
  program.validate(symbols.size());
  return program;
}

void DimProgram::validate(size_t symbolCount) const {
  if (code.empty() || code.size() % 2 != 0 || code.size() / 2 > kMaxOperations)
    throwBadProgram("a dimension program of a wrong length");
  size_t depth = 0;
  for (size_t i = 0; i < code.size(); i += 2) {
    switch (static_cast<DimOp>(code[i])) {
      case DimOp::Symbol:
        if (code[i + 1] < 0 || static_cast<uint64_t>(code[i + 1]) >= symbolCount)
          throwBadProgram("a dimension program that reads a symbol beyond the last");
        [[fallthrough]];
      case DimOp::Constant:
        if (++depth > kMaxDepth) throwBadProgram("a dimension program nested too deeply");
        break;
      case DimOp::Add:
      case DimOp::Mul:
      case DimOp::FloorDiv:
      case DimOp::Max:
        if (depth < 2) throwBadProgram("a dimension program that lacks operands");
        --depth;
        break;
      default:
        throwBadProgram("a dimension program with an unknown operation");
    }
  }
  if (depth != 1) throwBadProgram("a dimension program that leaves more than one value");
}

int64_t DimProgram::evaluate(std::span<const int64_t> symbolValues) const {
  std::array<int64_t, kMaxDepth> stack;
  size_t top = 0;
  for (size_t i = 0; i < code.size(); i += 2) {
    DimOp op = static_cast<DimOp>(code[i]);
    if (op == DimOp::Constant) {
      stack[top++] = code[i + 1];
      continue;
    }
    if (op == DimOp::Symbol) {
      stack[top++] = symbolValues[static_cast<size_t>(code[i + 1])];
      continue;
    }
    int64_t b = stack[--top];
    int64_t& a = stack[top - 1];
    if (op == DimOp::Add) {
      if (__builtin_add_overflow(a, b, &a)) throwOverflow();
    } else if (op == DimOp::Mul) {
      if (__builtin_mul_overflow(a, b, &a)) throwOverflow();
    } else if (op == DimOp::FloorDiv) {
      a = floorDivide(a, b);
    } else {
      a = std::max(a, b);
    }
  }
  return stack[0];
}

std::optional<int64_t> DimProgram::constant() const {
  if (code.size() == 2 && static_cast<DimOp>(code[0]) == DimOp::Constant) return code[1];
  return std::nullopt;
}

std::optional<int32_t> DimProgram::symbol() const {
  if (code.size() == 2 && static_cast<DimOp>(code[0]) == DimOp::Symbol)
    return static_cast<int32_t>(code[1]);
  return std::nullopt;
}

Dim DimProgram::toDim(std::span<const std::string> symbols) const {
  std::vector<Dim> stack;
  for (size_t i = 0; i < code.size(); i += 2) {
    DimOp op = static_cast<DimOp>(code[i]);
    if (op == DimOp::Constant) {
      stack.emplace_back(code[i + 1]);
      continue;
    }
    if (op == DimOp::Symbol) {
      stack.push_back(Dim::symbol(symbols[static_cast<size_t>(code[i + 1])]));
      continue;
    }
    Dim b = std::move(stack.back());
    stack.pop_back();
    Dim& a = stack.back();
    if (op == DimOp::Add)
      a = a + b;
    else if (op == DimOp::Mul)
      a = a * b;
    else if (op == DimOp::FloorDiv)
      a = floorDiv(a, b);
    else
      a = max(a, b);
  }
  return stack.back();
}

}  // namespace carnot
