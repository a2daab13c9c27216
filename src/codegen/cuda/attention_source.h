#pragma once

#include <cstdint>
#include <string>

#include <carnot/dtype.h>

namespace carnot::cuda {

// What the code of an attention depends on.
struct AttentionVariant {
  enum class Mask : uint8_t { None, Keep, Add };  // Keep: Bool
  DType dtype = DType::F16;                       // F16, BF16: on tensor cores; F32
  bool tf32 = false;                              // F32: on tensor cores too, rounded
  int size = 64, valueSize = 64;                  // of a query and a key; of a value
  int warps = 4;                                  // of 16 queries each; of 8 without tensor cores
  int keys = 64;                                  // held at a time
  Mask mask = Mask::None;
  DType maskType = DType::F32;  // of Add
  bool perKey = true;           // the mask is the same for all queries of a head
  bool causal = false;
  bool wide = true;  // rows start at multiples of 16 bytes and hold whole ones
  friend auto operator<=>(const AttentionVariant&, const AttentionVariant&) = default;

  bool onTensorCores() const { return dtype != DType::F32 || tf32; }
  int queries() const { return warps * (onTensorCores() ? 16 : 8); }  // of a block
  int sharedBytes() const;                                            // of a block
};

// The one structure that the function gets. Strides in elements; those of the mask in its own.
struct AttentionArguments {
  struct Operand {
    const void* address = nullptr;
    int64_t batch = 0, head = 0, row = 0;
  };
  Operand q, k, v, out;
  const void* mask = nullptr;
  int64_t maskBatch = 0, maskHead = 0, maskQuery = 0, maskKey = 0;
  int32_t heads = 1, shared = 1;  // query heads; of them by key head
  int32_t queries = 0, keys = 0;
  int32_t offset = 0;  // causal: query i sees keys up to i + offset
  float scale = 1;
};

inline constexpr int kMostAttentionSize = 256;
inline constexpr const char* kAttentionFunction = "carnotAttention";

// CUDA C++, self-contained. Blocks: those of a head's queries, then heads, then batches.
std::string attentionSource(const AttentionVariant& variant);

}  // namespace carnot::cuda
