#include "codegen/cuda/attention_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "codegen/cuda/overlap.h"
#include "codegen/cuda/scalar_source.h"

namespace carnot::cuda {
namespace {

int roundedUp(int value, int to) { return (value + to - 1) / to * to; }

const char* const kPrelude = R"(
struct Operand { const char* address; long long batch, head, row; };
struct Arguments {
  Operand q, k, v, out;
  const MaskElement* mask;
  long long maskBatch, maskHead, maskQuery, maskKey;
  int heads, shared, queries, keys, offset;
  float scale;
};
constexpr float kLog2e = 1.4426950408889634f;
__device__ inline float nothing() { return -__int_as_float(0x7f800000); }
// Two to the power of x.
__device__ inline float power2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// What the mask adds to a power of two's exponent.
__device__ inline float added(const MaskElement* mask) {
  return kMask == 1 ? (*mask == 0 ? nothing() : 0) : kLog2e * maskValue(*mask);
}
// Of keys, by all threads: what is added to the scores of every query.
__device__ inline void hide(const Arguments& a, float* hidden, const MaskElement* mask, int start) {
  for (int i = threadIdx.x; i < kKeys; i += kThreads) {
    const int key = start + i;
    float value = 0;
    if (key >= a.keys) value = nothing();
    else if (kMask != 0 && kPerKey) value = added(mask + key * a.maskKey);
    hidden[i] = value;
  }
}
// A score as a power of two's exponent, with what hides it.
__device__ inline float masked(const Arguments& a, const MaskElement* mask, int query, int key,
                               float score, float hidden) {
  float result = score * (a.scale * kLog2e) + hidden;
  if (kMask != 0 && !kPerKey && query < a.queries && key < a.keys)
    result += added(mask + query * a.maskQuery + key * a.maskKey);
  if (kCausal && key > query + a.offset) return nothing();
  return result;
}
// Keys that the last of some queries sees.
__device__ inline int keysUpTo(const Arguments& a, int query) {
  return kCausal ? min(a.keys, max(0, query + a.offset + 1)) : a.keys;
}
struct Head { const Element *q, *k, *v; Element* out; const MaskElement* mask; int first; };
__device__ inline Head headOf(const Arguments& a) {
  const int blocks = (a.queries + kQueries - 1) / kQueries;
  const int plane = blockIdx.x / blocks, batch = plane / a.heads, head = plane - batch * a.heads;
  const int keyHead = head / a.shared;
  Head h;
  h.q = (const Element*)a.q.address + batch * a.q.batch + head * a.q.head;
  h.k = (const Element*)a.k.address + batch * a.k.batch + keyHead * a.k.head;
  h.v = (const Element*)a.v.address + batch * a.v.batch + keyHead * a.v.head;
  h.out = (Element*)a.out.address + batch * a.out.batch + head * a.out.head;
  h.mask = a.mask + batch * a.maskBatch + head * a.maskHead;
  h.first = (blockIdx.x - plane * blocks) * kQueries;
  return h;
}
__device__ inline unsigned sharedAddress(const void* p) {
  return (unsigned)__cvta_generic_to_shared(p);
}
// Rows of some width to shared memory, of which `rows` are there; what is outside of the tensor
// becomes 0. Nothing when no row is there.
template <int ROWS, int WIDTH, int VALID, int PITCH>
__device__ inline void fetch(Element* to, const Element* from, long long stride, int rows) {
  constexpr int kChunk = 16 / sizeof(Element), kChunks = WIDTH / kChunk;
  for (int i = rows > 0 ? threadIdx.x : ROWS * kChunks; i < ROWS * kChunks; i += kThreads) {
    const int row = i / kChunks, column = (i - row * kChunks) * kChunk;
    Element* target = to + row * PITCH + column;
    if (kWide) {
      const bool valid = row < rows && column < VALID;
      const Element* source = valid ? from + row * stride + column : from;
      const int bytes = valid ? 16 : 0;
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                   :: "r"(sharedAddress(target)), "l"(source), "r"(bytes));
    } else {
#pragma unroll
      for (int j = 0; j < kChunk; ++j)
        target[j] = row < rows && column + j < VALID ? from[row * stride + column + j] : Element(0);
    }
  }
  asm volatile("cp.async.commit_group;");
}
template <int LEFT> __device__ inline void arrived() {
  asm volatile("cp.async.wait_group %0;" :: "n"(LEFT) : "memory");
  __syncthreads();
}
)";

const char* const kFragments = R"(
// A fragment's scores over one block of keys, from `key` on and for `query` and query + 8: masked,
// then as powers of two below each row's running maximum, which the sums and outputs so far follow.
// `hidden` holds what is added to those keys.
template <int kOuts>
__device__ __forceinline__ void weigh(const Arguments& a, const Head& h, const float* hidden,
                                      int query, int key, float (&score)[kKeys / 8][4],
                                      float (&out)[kOuts][4], float (&most)[2], float (&sum)[2]) {
  float top[2] = {most[0], most[1]};
#pragma unroll
  for (int n = 0; n < kKeys / 8; ++n) {
    const float2 pair = *(const float2*)(hidden + n * 8);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      score[n][i] = masked(a, h.mask, query + i / 2 * 8, key + n * 8 + i % 2,
                           score[n][i], i % 2 ? pair.y : pair.x);
      top[i / 2] = fmaxf(top[i / 2], score[n][i]);
    }
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    top[i] = fmaxf(top[i], __shfl_xor_sync(~0u, top[i], 1));
    top[i] = fmaxf(top[i], __shfl_xor_sync(~0u, top[i], 2));
    const float base = top[i] == nothing() ? 0 : top[i];
    const float factor = power2(most[i] - base);
    most[i] = top[i];
    sum[i] *= factor;
#pragma unroll
    for (int n = 0; n < kOuts; ++n) {
      out[n][2 * i] *= factor;
      out[n][2 * i + 1] *= factor;
    }
#pragma unroll
    for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
      for (int j = 2 * i; j < 2 * i + 2; ++j) {
        score[n][j] = power2(score[n][j] - base);
        sum[i] += score[n][j];
      }
  }
}
// Two neighbours of a row, rounded to its elements; nothing from kValue on.
__device__ inline void storePair(Element* to, int column, float low, float high);
// The outputs of `query` and query + 8, in each eight from `column` on, over their rows' sums, of
// which four lanes hold parts.
template <int kOuts>
__device__ __forceinline__ void storeRows(const Arguments& a, const Head& h, int query, int column,
                                          const float (&out)[kOuts][4], float (&sum)[2]) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    sum[i] += __shfl_xor_sync(~0u, sum[i], 1);
    sum[i] += __shfl_xor_sync(~0u, sum[i], 2);
    const int at = query + i * 8;
    if (at >= a.queries) continue;
    const float inverse = sum[i] > 0 ? 1 / sum[i] : 0;
    Element* to = h.out + at * a.out.row;
#pragma unroll
    for (int n = 0; n < kOuts; ++n)
      storePair(to, n * 8 + column, out[n][2 * i] * inverse, out[n][2 * i + 1] * inverse);
  }
}
)";

const char* const kTensorCores = R"(
constexpr int kSizeUp = (kSize + 15) / 16 * 16, kValueUp = (kValue + 15) / 16 * 16;
constexpr int kPitch = kSizeUp + 8, kValuePitch = kValueUp + 8;
constexpr bool kHoldQueries = kSizeUp <= 128;

__device__ inline void load4(unsigned (&to)[4], const Element* from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(sharedAddress(from)));
}
__device__ inline void load4Transposed(unsigned (&to)[4], const Element* from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(sharedAddress(from)));
}
__device__ inline void multiplyAdd(float (&d)[4], const unsigned (&a)[4], unsigned b0,
                                   unsigned b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." HALF "." HALF ".f32 "
               "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ inline unsigned pair(float low, float high) {
  unsigned bits;
  asm("cvt.rn." HALF "x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}
__device__ inline void storePair(Element* to, int column, float low, float high) {
  const unsigned bits = pair(low, high);
  if (kWide) {
    if (column < kValue) *(unsigned*)(to + column) = bits;
  } else {
    if (column < kValue) to[column] = (Element)(bits & 0xffff);
    if (column + 1 < kValue) to[column + 1] = (Element)(bits >> 16);
  }
}

extern "C" __global__ void __launch_bounds__(kThreads)
carnotAttention(const __grid_constant__ Arguments a) {
  extern __shared__ __align__(16) Element memory[];
  __shared__ float hidden[kKeys];
  Element *queries = memory, *keys = queries + kQueries * kPitch, *values = keys + kKeys * kPitch;
  waitForInputs();
  const Head h = headOf(a);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int row = lane / 4, column = lane % 4 * 2;  // within a fragment
  const int query = h.first + warp * 16 + row;      // and query + 8
  const int visible = keysUpTo(a, min(h.first + kQueries, a.queries) - 1);
  fetch<kQueries, kSizeUp, kSize, kPitch>(queries, h.q + h.first * a.q.row, a.q.row,
                                          a.queries - h.first);
  fetch<kKeys, kSizeUp, kSize, kPitch>(keys, h.k, a.k.row, a.keys);
  fetch<kKeys, kValueUp, kValue, kValuePitch>(values, h.v, a.v.row, a.keys);

  unsigned held[kHoldQueries ? kSizeUp / 16 : 1][4];
  const Element* own = queries + (warp * 16 + lane % 16) * kPitch + lane / 16 * 8;
  float out[kValueUp / 8][4] = {};
  float most[2] = {nothing(), nothing()}, sum[2] = {0, 0};
  for (int start = 0; start < visible; start += kKeys) {
    hide(a, hidden, h.mask, start);
    arrived<1>();
    if (kHoldQueries && start == 0) {
#pragma unroll
      for (int k = 0; k < kSizeUp / 16; ++k) load4(held[kHoldQueries ? k : 0], own + k * 16);
    }
    float score[kKeys / 8][4] = {};
#pragma unroll
    for (int k = 0; k < kSizeUp / 16; ++k) {
      if (!kHoldQueries) load4(held[0], own + k * 16);
#pragma unroll
      for (int n = 0; n < kKeys / 16; ++n) {
        unsigned b[4];
        load4(b, keys + (n * 16 + lane / 16 * 8 + lane % 8) * kPitch + k * 16 + lane / 8 % 2 * 8);
        multiplyAdd(score[2 * n], held[kHoldQueries ? k : 0], b[0], b[1]);
        multiplyAdd(score[2 * n + 1], held[kHoldQueries ? k : 0], b[2], b[3]);
      }
    }
    __syncthreads();
    const int next = start + kKeys;
    fetch<kKeys, kSizeUp, kSize, kPitch>(keys, h.k + next * a.k.row, a.k.row, a.keys - next);

    weigh(a, h, hidden + column, query, start + column, score, out, most, sum);
    arrived<1>();
#pragma unroll
    for (int k = 0; k < kKeys / 16; ++k) {
      const unsigned p[4] = {pair(score[2 * k][0], score[2 * k][1]),
                             pair(score[2 * k][2], score[2 * k][3]),
                             pair(score[2 * k + 1][0], score[2 * k + 1][1]),
                             pair(score[2 * k + 1][2], score[2 * k + 1][3])};
#pragma unroll
      for (int n = 0; n < kValueUp / 16; ++n) {
        unsigned b[4];
        load4Transposed(b, values + (k * 16 + lane / 8 % 2 * 8 + lane % 8) * kValuePitch +
                               n * 16 + lane / 16 * 8);
        multiplyAdd(out[2 * n], p, b[0], b[1]);
        multiplyAdd(out[2 * n + 1], p, b[2], b[3]);
      }
    }
    __syncthreads();
    fetch<kKeys, kValueUp, kValue, kValuePitch>(values, h.v + next * a.v.row, a.v.row,
                                                a.keys - next);
  }
  asm volatile("cp.async.wait_group 0;" ::: "memory");
  storeRows(a, h, query, column, out, sum);
}
)";

const char* const kFloatTensorCores = R"(
constexpr int kSizeUp = (kSize + 7) / 8 * 8, kValueUp = (kValue + 7) / 8 * 8;
constexpr int kPitch = kSizeUp + 4, kValuePitch = kValueUp + 4;

__device__ inline unsigned rounded(float x) {
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}
__device__ inline void multiplyAdd(float (&d)[4], const unsigned (&a)[4], unsigned b0,
                                   unsigned b1) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
               "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ inline void storePair(Element* to, int column, float low, float high) {
  if (column < kValue) to[column] = low;
  if (column + 1 < kValue) to[column + 1] = high;
}

extern "C" __global__ void __launch_bounds__(kThreads)
carnotAttention(const __grid_constant__ Arguments a) {
  extern __shared__ __align__(16) Element memory[];
  __shared__ float hidden[kKeys];
  Element *queries = memory, *keys = queries + kQueries * kPitch, *values = keys + kKeys * kPitch;
  waitForInputs();
  const Head h = headOf(a);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int row = lane / 4, column = lane % 4 * 2;  // within a fragment
  const int query = h.first + warp * 16 + row;      // and query + 8
  const int visible = keysUpTo(a, min(h.first + kQueries, a.queries) - 1);
  fetch<kQueries, kSizeUp, kSize, kPitch>(queries, h.q + h.first * a.q.row, a.q.row,
                                          a.queries - h.first);
  fetch<kKeys, kSizeUp, kSize, kPitch>(keys, h.k, a.k.row, a.keys);
  fetch<kKeys, kValueUp, kValue, kValuePitch>(values, h.v, a.v.row, a.keys);

  const Element* own = queries + (warp * 16 + row) * kPitch + lane % 4;
  float out[kValueUp / 8][4] = {};
  float most[2] = {nothing(), nothing()}, sum[2] = {0, 0};
  for (int start = 0; start < visible; start += kKeys) {
    hide(a, hidden, h.mask, start);
    arrived<1>();
    float score[kKeys / 8][4] = {};
#pragma unroll 4
    for (int k = 0; k < kSizeUp; k += 8) {
      const unsigned q[4] = {rounded(own[k]), rounded(own[8 * kPitch + k]), rounded(own[k + 4]),
                             rounded(own[8 * kPitch + k + 4])};
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) {
        const Element* key = keys + (n * 8 + row) * kPitch + k + lane % 4;
        multiplyAdd(score[n], q, rounded(key[0]), rounded(key[4]));
      }
    }
    __syncthreads();
    const int next = start + kKeys;
    fetch<kKeys, kSizeUp, kSize, kPitch>(keys, h.k + next * a.k.row, a.k.row, a.keys - next);

    weigh(a, h, hidden + column, query, start + column, score, out, most, sum);
    arrived<1>();
    // A lane holds the weights of two neighbours among eight keys: they are the first and the
    // fifth of its share of k, and the values are read in that order.
#pragma unroll
    for (int k = 0; k < kKeys / 8; ++k) {
      const unsigned p[4] = {rounded(score[k][0]), rounded(score[k][2]), rounded(score[k][1]),
                             rounded(score[k][3])};
#pragma unroll
      for (int n = 0; n < kValueUp / 8; ++n) {
        const Element* value = values + (k * 8 + column) * kValuePitch + n * 8 + row;
        multiplyAdd(out[n], p, rounded(value[0]), rounded(value[kValuePitch]));
      }
    }
    __syncthreads();
    fetch<kKeys, kValueUp, kValue, kValuePitch>(values, h.v + next * a.v.row, a.v.row,
                                                a.keys - next);
  }
  asm volatile("cp.async.wait_group 0;" ::: "memory");
  storeRows(a, h, query, column, out, sum);
}
)";

// Eight threads share two queries: each has every eighth key's score and value's element.
const char* const kFloats = R"(
constexpr int kSizeUp = (kSize + 3) / 4 * 4, kValueUp = (kValue + 7) / 8 * 8;
constexpr int kPitch = kSizeUp + 4, kWeightPitch = kKeys + 1;

extern "C" __global__ void __launch_bounds__(kThreads)
carnotAttention(const __grid_constant__ Arguments a) {
  extern __shared__ __align__(16) Element memory[];
  Element *queries = memory, *keys = queries + kQueries * kPitch, *values = keys + kKeys * kPitch;
  float* weights = values + kKeys * kValueUp;
  __shared__ float hidden[kKeys];
  waitForInputs();
  const Head h = headOf(a);
  const int x = threadIdx.x % 8, y = threadIdx.x / 8 * 2;
  const int visible = keysUpTo(a, min(h.first + kQueries, a.queries) - 1);
  fetch<kQueries, kSizeUp, kSize, kPitch>(queries, h.q + h.first * a.q.row, a.q.row,
                                          a.queries - h.first);
  fetch<kKeys, kSizeUp, kSize, kPitch>(keys, h.k, a.k.row, a.keys);
  fetch<kKeys, kValueUp, kValue, kValueUp>(values, h.v, a.v.row, a.keys);

  float out[2][kValueUp / 8] = {};
  float most[2] = {nothing(), nothing()}, sum[2] = {0, 0};
  for (int start = 0; start < visible; start += kKeys) {
    hide(a, hidden, h.mask, start);
    arrived<1>();
    float score[2][kKeys / 8] = {};
#pragma unroll 4
    for (int d = 0; d < kSizeUp; d += 4) {
      float4 q[2];
      for (int i = 0; i < 2; ++i) q[i] = *(const float4*)(queries + (y + i) * kPitch + d);
#pragma unroll
      for (int j = 0; j < kKeys / 8; ++j) {
        const float4 k = *(const float4*)(keys + (x + 8 * j) * kPitch + d);
#pragma unroll
        for (int i = 0; i < 2; ++i)
          score[i][j] += q[i].x * k.x + q[i].y * k.y + q[i].z * k.z + q[i].w * k.w;
      }
    }
    __syncthreads();
    const int next = start + kKeys;
    fetch<kKeys, kSizeUp, kSize, kPitch>(keys, h.k + next * a.k.row, a.k.row, a.keys - next);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int at = h.first + y + i;
      float top = most[i];
#pragma unroll
      for (int j = 0; j < kKeys / 8; ++j) {
        score[i][j] = masked(a, h.mask, at, start + x + 8 * j, score[i][j], hidden[x + 8 * j]);
        top = fmaxf(top, score[i][j]);
      }
      for (int by = 1; by < 8; by *= 2) top = fmaxf(top, __shfl_xor_sync(~0u, top, by));
      const float base = top == nothing() ? 0 : top;
      const float factor = exp2f(most[i] - base);
      most[i] = top;
      sum[i] *= factor;
#pragma unroll
      for (int j = 0; j < kValueUp / 8; ++j) out[i][j] *= factor;
#pragma unroll
      for (int j = 0; j < kKeys / 8; ++j) {
        const float weight = exp2f(score[i][j] - base);
        sum[i] += weight;
        weights[(y + i) * kWeightPitch + x + 8 * j] = weight;
      }
    }
    arrived<1>();
    for (int key = 0; key < kKeys; ++key) {
      const float first = weights[y * kWeightPitch + key];
      const float second = weights[(y + 1) * kWeightPitch + key];
#pragma unroll
      for (int j = 0; j < kValueUp / 8; ++j) {
        const float value = values[key * kValueUp + x + 8 * j];
        out[0][j] += first * value;
        out[1][j] += second * value;
      }
    }
    __syncthreads();
    fetch<kKeys, kValueUp, kValue, kValueUp>(values, h.v + next * a.v.row, a.v.row, a.keys - next);
  }
  asm volatile("cp.async.wait_group 0;" ::: "memory");
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    for (int by = 1; by < 8; by *= 2) sum[i] += __shfl_xor_sync(~0u, sum[i], by);
    const int at = h.first + y + i;
    if (at >= a.queries) continue;
    const float inverse = sum[i] > 0 ? 1 / sum[i] : 0;
#pragma unroll
    for (int j = 0; j < kValueUp / 8; ++j)
      if (x + 8 * j < kValue) h.out[at * a.out.row + x + 8 * j] = out[i][j] * inverse;
  }
}
)";

}  // namespace

int AttentionVariant::sharedBytes() const {
  if (dtype == DType::F32 && tf32)
    return 4 *
           ((queries() + keys) * (roundedUp(size, 8) + 4) + keys * (roundedUp(valueSize, 8) + 4));
  if (dtype == DType::F32)
    return 4 * ((queries() + keys) * (roundedUp(size, 4) + 4) + keys * roundedUp(valueSize, 8) +
                queries() * (keys + 1));
  return 2 *
         ((queries() + keys) * (roundedUp(size, 16) + 8) + keys * (roundedUp(valueSize, 16) + 8));
}

std::string attentionSource(const AttentionVariant& variant) {
  const bool floats = variant.dtype == DType::F32;
  const DType maskType =
      variant.mask == AttentionVariant::Mask::Add ? variant.maskType : DType::Bool;
  std::string text = kScalarPrelude;
  text += kOverlapPrelude;
  text += fmt::format(
      "typedef {} Element;\ntypedef {} MaskElement;\n#define HALF \"{}\"\n"
      "constexpr int kSize = {}, kValue = {}, kKeys = {}, kQueries = {}, kThreads = {};\n"
      "constexpr int kMask = {};\nconstexpr bool kPerKey = {}, kCausal = {}, kWide = {};\n"
      "__device__ inline float maskValue(MaskElement element) {{ return {}; }}\n",
      memoryType(variant.dtype), memoryType(maskType),
      variant.dtype == DType::BF16 ? "bf16" : "f16", variant.size, variant.valueSize, variant.keys,
      variant.queries(), 32 * variant.warps, static_cast<int>(variant.mask), variant.perKey,
      variant.causal, variant.wide, loaded(maskType, "element"));
  text += kPrelude;
  if (!floats || variant.tf32) text += kFragments;
  text += !floats ? kTensorCores : variant.tf32 ? kFloatTensorCores : kFloats;
  return text;
}

}  // namespace carnot::cuda
