#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/scalar.h"

namespace carnot::cuda {

// What is done to each element of a product, in CUDA C++.
struct ProductTail {
  static constexpr size_t kMostOperands = 8;
  struct Operand {
    DType dtype = DType::F32;
    bool alongColumns = false;  // differs from column to column; else one value a row
  };
  ScalarProgram program;  // Input 0: the product; Input i: operands[i - 1]. Empty: nothing
  std::vector<Operand> operands;
  DType product = DType::F32, out = DType::F32;
};

// One operand at run time; what it differs by is in bytes.
struct TailOperand {
  const void* address = nullptr;
  int64_t matrix = 0, row = 0;
};
// The structure `Tail` of the code.
struct TailArguments {
  TailOperand operands[ProductTail::kMostOperands];
  void* out = nullptr;
  int64_t outMatrix = 0, outRow = 0;
};

// The function template, behind kScalarPrelude:
//   template <int V> void finish(const Tail& t, const Value (&x)[V], long long matrix,
//                                long long row, long long column, int count)
// applies the tail to `count` neighbours of the product from a column on, and stores them. With
// V > 1 memory is read and written V elements at a time when all are there: it must be aligned so.
std::string tailSource(const ProductTail& tail);

// A whole program that reads products of the tail's type from memory and finishes them: for tails
// that the product's kernel cannot take. Its structure: FinishArguments.
struct FinishArguments {
  TailArguments tail;
  const void* product = nullptr;  // [matrices, rows, columns]
  int64_t matrices = 0, rows = 0, columns = 0;
};
std::string finishSource(const ProductTail& tail, int vector);
inline constexpr const char* kFinishFunction = "carnotFinish";
inline constexpr int kFinishThreads = 256;

}  // namespace carnot::cuda
