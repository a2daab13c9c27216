#include "codegen/cuda/wgmma_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "codegen/cuda/overlap.h"
#include "codegen/cuda/scalar_source.h"

namespace carnot::cuda {
namespace {

constexpr int kBarrierBytes = 128;
constexpr int kAtomBytes = 1024;

int stagingPitch(int columns) { return columns + 8; }  // floats

// One multiplication of 64 rows by all columns over 32 bytes of k.
std::string multiplication(const WgmmaVariant& variant) {
  const int count = variant.columns / 2;
  std::string registers, operands;
  for (int i = 0; i < count; ++i) {
    registers += fmt::format("{}%{}", i ? ", " : "", i);
    operands += fmt::format("{}\"+f\"(d[{}])", i ? ", " : "", i);
  }
  const bool floats = variant.dtype == DType::F32;
  const char* type = floats ? "tf32" : variant.dtype == DType::BF16 ? "bf16" : "f16";
  return fmt::format(
      "__device__ inline void multiply(float (&d)[{}], unsigned long long a, unsigned long long "
      "b,\n"
      "                                int add) {{\n"
      "  asm volatile(\"{{ .reg .pred p; setp.ne.b32 p, %{}, 0; \"\n"
      "               \"wgmma.mma_async.sync.aligned.m64n{}k{}.f32.{}.{} {{{}}}, %{}, %{}, p, 1, "
      "1{}; }}\"\n"
      "               : {} : \"l\"(a), \"l\"(b), \"r\"(add));\n}}\n",
      count, count + 2, variant.columns, floats ? 8 : 16, type, type, registers, count, count + 1,
      floats ? "" : ", 0, 0", operands);
}

const char* const kBody = R"(
struct alignas(64) Arguments {
  unsigned char map[128];
  Tail tail;
  const Stored* left;
  const char* weights;
  long long weightMatrix;
  int m, n, k, leftMatrix, columns, mapped, wide;
};
__device__ inline unsigned sharedAddress(const void* p) {
  return (unsigned)__cvta_generic_to_shared(p);
}
__device__ inline void prepareBarrier(unsigned barrier, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(barrier), "r"(count));
}
__device__ inline void arrive(unsigned barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" :: "r"(barrier) : "memory");
}
__device__ inline void arriveExpecting(unsigned barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;"
               :: "r"(barrier), "r"(bytes) : "memory");
}
__device__ inline void waitFor(unsigned barrier, int parity) {
  asm volatile("{\n.reg .pred done;\nAGAIN:\n"
               "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
               "@done bra LEAVE;\nbra AGAIN;\nLEAVE:\n}"
               :: "r"(barrier), "r"(parity) : "memory");
}
__device__ inline unsigned long long describe(unsigned address) {
  return (unsigned long long)((address & 0x3ffff) >> 4) | 1ull << 16 | 64ull << 32 | 1ull << 62;
}
__device__ inline unsigned clusterRank() {
  unsigned rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
__device__ inline void clusterBarrier() {
  asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
}
__device__ inline float4 fromBlock(unsigned address, unsigned rank) {
  float4 v;
  asm volatile("{\n.reg .b32 there;\nmapa.shared::cluster.u32 there, %4, %5;\n"
               "ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [there];\n}"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(address), "r"(rank));
  return v;
}

// Element by element, by one warp: any address, any k.
__device__ inline void copyLeft(const Arguments& a, char* to, long long row, int m, int start) {
  for (int i = threadIdx.x % 32; i < kRows * kPiece; i += 32) {
    const int r = i / kPiece, j = i % kPiece;
    Stored value = 0;
    if (m + r < a.m && start + j < a.k)
      value = a.left[(row + r) * (long long)a.k + start + j];
    const int byte = j * (int)sizeof(Stored);
    *(Stored*)(to + r * 128 + ((byte / 16) ^ (r % 8)) * 16 + byte % 16) = rounded(value);
  }
}

extern "C" __global__ void __launch_bounds__(kThreads)
carnotProduct(const __grid_constant__ Arguments a) {
  extern __shared__ __align__(1024) char memory[];
  const unsigned base = (sharedAddress(memory) + 1023) / 1024 * 1024;
  char* const start = memory + (base - sharedAddress(memory));
  constexpr int kLeftBytes = kRows * 128, kStage = kLeftBytes + kColumns * 128;
  const unsigned full = base + kStages * kStage, empty = full + 8 * kStages;
  const int warp = threadIdx.x / 32;
  constexpr int kWorkers = kRows * 2;

  unsigned tile = blockIdx.x / kSplit;
  const int part = kSplit > 1 ? (int)clusterRank() : 0;
  const unsigned down = (a.m + kRows - 1) / kRows;
  const unsigned across = (a.n + kColumns - 1) / kColumns;
  const int m = tile % down * kRows;
  tile /= down;
  const int n = tile % across * kColumns;
  const long long matrix = tile / across;
  const int pieces = (a.k + kPiece - 1) / kPiece;
  const int first = pieces * part / kSplit, count = pieces * (part + 1) / kSplit - first;

  if (threadIdx.x == 0) {
    for (int s = 0; s < kStages; ++s) {
      prepareBarrier(full + 8 * s, 1);
      prepareBarrier(empty + 8 * s, kWorkers / 32);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();

  if (warp == kWorkers / 32) {
    const bool leader = threadIdx.x % 32 == 0;
    const int columns = min(kColumns, a.columns - n);
    const char* weights = a.weights + matrix * a.weightMatrix + (long long)n * 128;
    const long long pitch = (long long)a.columns * 128;
    const long long row = matrix * a.leftMatrix + m;
    auto fetchWeights = [&](int i) {
      const int s = i % kStages;
      arriveExpecting(full + 8 * s, columns * 128 + (a.mapped ? kLeftBytes : 0));
      asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
                   "[%0], [%1], %2, [%3];"
                   :: "r"(base + s * kStage + kLeftBytes), "l"(weights + (first + i) * pitch),
                      "r"(columns * 128), "r"(full + 8 * s) : "memory");
    };
    auto fetchLeft = [&](int i) {
      const int s = i % kStages;
      asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::"
                   "complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
                   :: "r"(base + s * kStage), "l"((unsigned long long)&a.map),
                      "r"((first + i) * kPiece), "r"((int)row), "r"(full + 8 * s) : "memory");
    };
    if (a.mapped) {
      if (leader) {
        // The weights are nobody's result: they are on their way, the first of them here and the
        // others to the second cache, while the kernel before still runs.
        for (int i = 0; i < kStages && i < count; ++i) fetchWeights(i);
        if (m == 0)
          for (int i = kStages; i < count; ++i)
            asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;"
                         :: "l"(weights + (first + i) * pitch), "r"(columns * 128));
        waitForInputs();
        for (int i = 0; i < kStages && i < count; ++i) fetchLeft(i);
        for (int i = kStages; i < count; ++i) {
          waitFor(empty + 8 * (i % kStages), (i / kStages - 1) & 1);
          fetchWeights(i);
          fetchLeft(i);
        }
      }
    } else {
      waitForInputs();
      for (int i = 0; i < count; ++i) {
        if (i >= kStages) waitFor(empty + 8 * (i % kStages), (i / kStages - 1) & 1);
        copyLeft(a, start + i % kStages * kStage, row, m, (first + i) * kPiece);
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
        __syncwarp();
        if (leader) fetchWeights(i);
        __syncwarp();
      }
    }
    __syncwarp();
    // A block stays as long as others read its sums.
    if (kSplit > 1) {
      clusterBarrier();
      clusterBarrier();
    }
    return;
  }

  float sums[kColumns / 2];
  const unsigned own = base + warp / 4 * 64 * 128;
  for (int i = 0; i < count; ++i) {
    const int s = i % kStages;
    waitFor(full + 8 * s, i / kStages & 1);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    const unsigned long long left = describe(own + s * kStage);
    const unsigned long long right = describe(base + s * kStage + kLeftBytes);
#pragma unroll
    for (int j = 0; j < 4; ++j) multiply(sums, left + 2 * j, right + 2 * j, i + j > 0);
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    if (i > 0) {
      asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
      if (threadIdx.x % 32 == 0) arrive(empty + 8 * ((i - 1) % kStages));
    }
  }
#pragma unroll
  for (int i = 0; i < kColumns / 2; ++i) asm volatile("" : "+f"(sums[i]));
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#pragma unroll
  for (int i = 0; i < kColumns / 2; ++i) {
    asm volatile("" : "+f"(sums[i]));
    if (count == 0) sums[i] = 0;
  }
  waitForInputs();

  // Through shared memory, so that neighbours finish neighbours.
  asm volatile("bar.sync 1, %0;" :: "n"(kWorkers) : "memory");
  constexpr int kPitch = kColumns + 8;
  float* staging = (float*)start;
  {
    const int lane = threadIdx.x % 32, r = warp * 16 + lane / 4, c = lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < kColumns / 8; ++i) {
      *(float2*)(staging + r * kPitch + i * 8 + c) = make_float2(sums[4 * i], sums[4 * i + 1]);
      *(float2*)(staging + (r + 8) * kPitch + i * 8 + c) =
          make_float2(sums[4 * i + 2], sums[4 * i + 3]);
    }
  }
  if (kSplit > 1)
    clusterBarrier();
  else
    asm volatile("bar.sync 1, %0;" :: "n"(kWorkers) : "memory");
  constexpr int kPart = kRows / kSplit, kUnits = kPart * (kColumns / 8);
  for (int u = threadIdx.x; u < kUnits; u += kWorkers) {
    const int r = part * kPart + u / (kColumns / 8), c = u % (kColumns / 8) * 8;
    if (m + r >= a.m || n + c >= a.n) continue;
    float x[8];
    if (kSplit > 1) {
#pragma unroll
      for (int v = 0; v < 8; ++v) x[v] = 0;
#pragma unroll
      for (int from = 0; from < kSplit; ++from) {
        const unsigned address = sharedAddress(staging + r * kPitch + c);
        const float4 low = fromBlock(address, from), high = fromBlock(address + 16, from);
        x[0] += low.x, x[1] += low.y, x[2] += low.z, x[3] += low.w;
        x[4] += high.x, x[5] += high.y, x[6] += high.z, x[7] += high.w;
      }
    } else {
      const float4 low = *(const float4*)(staging + r * kPitch + c);
      const float4 high = *(const float4*)(staging + r * kPitch + c + 4);
      x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
      x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
    }
    if (a.wide) {
      finish<8>(a.tail, x, matrix, m + r, n + c, 8);
    } else {
#pragma unroll
      for (int v = 0; v < 8; ++v)
        if (n + c + v < a.n) {
          const float one[1] = {x[v]};
          finish<1>(a.tail, one, matrix, m + r, n + c + v, 1);
        }
    }
  }
  if (kSplit > 1) clusterBarrier();
}
)";

}  // namespace

int WgmmaVariant::sharedBytes() const {
  return std::max(stages * pieceBytes() + kBarrierBytes, rows * stagingPitch(columns) * 4) +
         kAtomBytes;
}

std::string wgmmaSource(const WgmmaVariant& variant, const ProductTail& tail) {
  std::string text = kScalarPrelude;
  text += kOverlapPrelude;
  text += tailSource(tail);
  const bool floats = variant.dtype == DType::F32;
  text += fmt::format(
      "constexpr int kRows = {}, kColumns = {}, kStages = {}, kSplit = {}, kThreads = {};\n"
      "constexpr int kPiece = {};\ntypedef {} Stored;\n",
      variant.rows, variant.columns, variant.stages, variant.split, variant.threads(),
      floats ? 32 : 64, memoryType(variant.dtype));
  text += floats ? "__device__ inline float rounded(float x) {\n"
                   "  unsigned bits;\n"
                   "  asm(\"cvt.rna.tf32.f32 %0, %1;\" : \"=r\"(bits) : \"f\"(x));\n"
                   "  return __int_as_float((int)bits);\n}\n"
                 : "__device__ inline Stored rounded(Stored x) { return x; }\n";
  text += multiplication(variant);
  text += kBody;
  return text;
}

}  // namespace carnot::cuda
