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
  long long count, chunks, width, height, channels, inWidth, inHeight, left, top;
  long long imageStride, channelStride, rowStride, pixelStride;
};
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
    const long long inX = (long long)x - a.left, inY = (long long)y - a.top;
    const bool inside = inX >= 0 && inX < a.inWidth && inY >= 0 && inY < a.inHeight;
    const Element* from = a.from + image * a.imageStride + inY * a.rowStride + inX * a.pixelStride;
    union { Element at[kPack]; uint4 whole; } pack;
    pack.whole = make_uint4(0, 0, 0, 0);
#pragma unroll
    for (int c = 0; c < kPack; ++c) {
      const long long channel = chunk * kPack + c;
      if (inside && channel < a.channels) pack.at[c] = from[channel * a.channelStride];
    }
    a.to[i] = pack.whole;
  }
}
)";

}  // namespace

PadCopy::PadCopy(std::span<const int64_t> dims, Layout layout, int64_t channels,
                 std::span<const int64_t> padsBegin, std::span<const int64_t> padsEnd,
                 int elementBytes, const DeviceTraits& device) {
  Arguments& a = arguments_;
  a.channels = dims[1];
  a.inHeight = dims[2];
  a.inWidth = dims[3];
  a.top = padsBegin[0];
  a.left = padsBegin[1];
  a.height = dims[2] + padsBegin[0] + padsEnd[0];
  a.width = dims[3] + padsBegin[1] + padsEnd[1];
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
  module_ = moduleOf(fmt::format("typedef {} Element;\n{}",
                                 elementBytes == 2 ? "unsigned short" : "unsigned", kSource));
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
