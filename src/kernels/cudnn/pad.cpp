#include "kernels/cudnn/pad.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/cuda/launch.h"

namespace carnot::cuda {
namespace {

constexpr int64_t kThreads = 256;

const char* const kSource = R"(
struct Arguments {
  const Element* from;
  uint4* to;
  long long count, chunks, width, height, channels, real, inWidth, inHeight, left, top;
  long long imageStride, channelStride, rowStride, pixelStride;
};
__device__ Element nearest(Element bits) {
  if (!kRounds || (bits & 0x7f800000) == 0x7f800000) return bits;
  return (bits + 0x1000) & ~0x1fff;  // TF32, ties away from zero
}
// 16 bytes of one pixel's channels a thread.
extern "C" __global__ void __launch_bounds__(256) carnotPad(const __grid_constant__ Arguments a) {
  constexpr int kPack = 16 / sizeof(Element);
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < a.count; i += step) {
    const unsigned chunks = (unsigned)a.chunks;
    const unsigned place = i < 1ll << 32 ? (unsigned)i / chunks : (unsigned)(i / chunks);
    const unsigned chunk = (unsigned)(i - (long long)place * chunks);
    const unsigned line = place / (unsigned)a.width, x = place - line * (unsigned)a.width;
    const unsigned image = line / (unsigned)a.height, y = line - image * (unsigned)a.height;
    const Element* image0 = a.from + image * a.imageStride;
    union { Element at[kPack]; uint4 whole; } pack;
    pack.whole = make_uint4(0, 0, 0, 0);
#pragma unroll
    for (int c = 0; c < kPack; ++c) {
      const unsigned channel = chunk * kPack + c;
      if (channel >= (unsigned)a.channels) break;
      // Of a folded copy: the place among 2 x 2.
      const unsigned place = kFold == 1 ? 0 : channel / (unsigned)a.real;
      const long long inY = (long long)y * kFold + place / 2 - a.top;
      const long long inX = (long long)x * kFold + place % 2 - a.left;
      if (inX >= 0 && inX < a.inWidth && inY >= 0 && inY < a.inHeight)
        pack.at[c] = nearest(image0[inY * a.rowStride + inX * a.pixelStride +
                                    (channel - place * (unsigned)a.real) * a.channelStride]);
    }
    a.to[i] = pack.whole;
  }
}
)";

}  // namespace

PadCopy::PadCopy(std::span<const int64_t> dims, Layout layout, int64_t channels,
                 const Window& window, int elementBytes, const DeviceTraits& device, bool rounds) {
  const int64_t fold = window.folded ? 2 : 1;
  Arguments& a = arguments_;
  a.real = dims[1];
  a.channels = fold * fold * dims[1];
  a.inHeight = dims[2];
  a.inWidth = dims[3];
  a.top = window.begin[0];
  a.left = window.begin[1];
  a.height = (dims[2] + window.begin[0] + window.end[0]) / fold;
  a.width = (dims[3] + window.begin[1] + window.end[1]) / fold;
  a.chunks = channels * elementBytes / 16;
  a.count = dims[0] * a.height * a.width * a.chunks;
  a.imageStride = dims[1] * dims[2] * dims[3];
  const bool last = !layout.isPlain();
  a.channelStride = last ? 1 : dims[2] * dims[3];
  a.rowStride = dims[3] * (last ? dims[1] : 1);
  a.pixelStride = last ? dims[1] : 1;
  bytes_ = static_cast<size_t>(a.count) * 16;
  blocks_ = static_cast<uint32_t>(
      std::min((a.count + kThreads - 1) / kThreads, int64_t{device.multiprocessors} * 16));
  module_ = moduleOf(fmt::format(
      "typedef {} Element;\nconstexpr unsigned kFold = {};\nconstexpr bool kRounds = {};\n{}",
      elementBytes == 2 ? "unsigned short" : "unsigned", fold, rounds, kSource));
  function_ = module_->function("carnotPad");
}

void PadCopy::run(const void* from, void* to, Stream& stream) const {
  if (blocks_ == 0) return;
  Arguments arguments = arguments_;
  arguments.from = from;
  arguments.to = to;
  launch(function_, blocks_, kThreads, &arguments, stream);
}

}  // namespace carnot::cuda
