#pragma once

#include <cstdint>
#include <memory>

namespace carnot {

class MachineCode;

// The code of products of bfloat16 in AMX tiles: for each of `blocks` blocks, C[16 rowTiles × 16
// columnTiles] = A · B in float32, where a word is a pair of bfloat16 that follow each other along
// k. Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.
struct AmxSpec {
  int rowTiles = 1, columnTiles = 1;  // 1 or 2
  int64_t words = 16;                 // of k, a multiple of 16
  int64_t aRowStride = 0;             // bytes
  friend bool operator==(const AmxSpec&, const AmxSpec&) = default;
};

// A's rows go on over the blocks. B is [words][16 columnTiles] words without gaps; so are the rows
// of C, float32, over all blocks.
struct AmxArguments {
  const void* a = nullptr;
  const void* b = nullptr;
  float* c = nullptr;
  int64_t blocks = 1;
};

class AmxProduct {
 public:
  // Needs Isa::AmxBf16 to run.
  explicit AmxProduct(const AmxSpec& spec);
  void operator()(const AmxArguments& arguments) const { function_(&arguments); }

 private:
  std::shared_ptr<const MachineCode> code_;
  void (*function_)(const AmxArguments*);
};

}  // namespace carnot
