#pragma once

// The one header that brings Xbyak in: only files that generate x86 code include it.
#include <xbyak/xbyak.h>

#include <map>
#include <memory>
#include <utility>

#include "codegen/cpu/machine_code.h"
#include "devices/device.h"

namespace carnot {

// Xbyak's generator with a pool of constants behind the code. Code is position-independent and
// follows the System V calling convention.
class Assembler : public Xbyak::CodeGenerator {
 public:
  // Throws Error (Internal) unless `isa` has AVX2.
  explicit Assembler(IsaSet isa);

  IsaSet isa() const { return isa_; }
  bool avx512() const { return isa_.has(Isa::Avx512); }
  int vectorBytes() const { return avx512() ? 64 : 32; }  // of the widest vector
  int vectorRegisters() const { return avx512() ? 32 : 16; }

  // Register `index` seen as 16, 32 or 64 bytes.
  static Xbyak::Xmm vector(int index, int bytes);

  // A constant as the last source of an arithmetic instruction: with AVX-512 one element with
  // embedded broadcast, else a vector of 32 bytes that holds it in each lane.
  Xbyak::Address constant32(uint32_t bits);
  Xbyak::Address constant64(uint64_t bits);
  Xbyak::Address constantFloat(float value);
  // Loads a constant into each lane of `dst`.
  void loadConstant32(const Xbyak::Xmm& dst, uint32_t bits);
  void loadConstant64(const Xbyak::Xmm& dst, uint64_t bits);
  // Address of 16 words of 32 bits, eight of ones, then eight of zeros: the AVX2 mask of n lanes of
  // 32 bits starts 4 n bytes before this label, of n lanes of 64 bits 8 n bytes before.
  const Xbyak::Label& laneMaskEnd();

  // rbx, rbp, r12 to r15: what a function must give back as it was.
  void pushCalleeSaved();
  void popCalleeSaved();

  // Places the constants and makes the code executable. Once, at the end.
  std::shared_ptr<const MachineCode> finish();

 private:
  struct Constant {
    Xbyak::Label label;
    int bytes = 0;
  };
  Constant& pooled(uint64_t bits, int bytes);

  IsaSet isa_;
  std::map<std::pair<uint64_t, int>, Constant> constants_;
  Xbyak::Label laneMaskEnd_;
  bool laneMaskUsed_ = false;
};

}  // namespace carnot
