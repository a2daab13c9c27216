#include "kernels/cuda/strided_copy.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "codegen/cuda/overlap.h"
#include "kernels/cuda/elementwise.h"

namespace carnot::cuda {
namespace {

constexpr int64_t kTile = 32;  // elements along each side, by kElementThreads threads

enum Word : size_t { From, To, Count, Extents = 4, FromStrides = Extents + StridedCopy::kMaxRank };
constexpr size_t kToStrides = FromStrides + StridedCopy::kMaxRank;

const char* const kPrelude = R"(
struct Arguments {
  const char* from;
  char* to;
  long long count, unused, extents[8], fromStrides[8], toStrides[8];
};
)";

// Every element's place by division.
const char* const kElements = R"(
extern "C" __global__ void __launch_bounds__(256) carnotCopy(const __grid_constant__ Arguments a) {
  waitForInputs();
  const Index step = (Index)gridDim.x * blockDim.x;
  for (Index i = blockIdx.x * (Index)blockDim.x + threadIdx.x; i < (Index)a.count; i += step) {
    Index rest = i;
    long long from = 0, to = 0;
#pragma unroll
    for (int axis = kRank - 1; axis >= 0; --axis) {
      const Index left = axis ? rest / (Index)a.extents[axis] : 0;
      const long long at = rest - left * (Index)a.extents[axis];
      from += at * a.fromStrides[axis];
      to += at * a.toStrides[axis];
      rest = left;
    }
    *(Element*)(a.to + to) = *(const Element*)(a.from + from);
  }
}
)";

// The last two axes transposed by tiles in shared memory: the source runs along the last but one,
// the target along the last.
const char* const kTiles = R"(
extern "C" __global__ void __launch_bounds__(256) carnotCopy(const __grid_constant__ Arguments a) {
  waitForInputs();
  __shared__ Element tile[32][33];
  const Index rows = (Index)a.extents[kRank - 2], columns = (Index)a.extents[kRank - 1];
  const Index tilesDown = (rows + 31) / 32, tilesAcross = (columns + 31) / 32;
  const unsigned x = threadIdx.x % 32, y = threadIdx.x / 32;
  for (Index unit = blockIdx.x; unit < (Index)a.count; unit += gridDim.x) {
    Index rest = unit / tilesAcross;
    const Index column = (unit - rest * tilesAcross) * 32;
    Index left = rest / tilesDown;
    const Index row = (rest - left * tilesDown) * 32;
    rest = left;
    const char* from = a.from;
    char* to = a.to;
#pragma unroll
    for (int axis = kRank - 3; axis >= 0; --axis) {
      left = axis ? rest / (Index)a.extents[axis] : 0;
      const long long at = rest - left * (Index)a.extents[axis];
      from += at * a.fromStrides[axis];
      to += at * a.toStrides[axis];
      rest = left;
    }
    for (unsigned k = y; k < 32; k += 8)
      if (column + k < columns && row + x < rows)
        tile[k][x] = *(const Element*)(from + (long long)(column + k) * a.fromStrides[kRank - 1] +
                                       (long long)(row + x) * (long long)sizeof(Element));
    __syncthreads();
    for (unsigned k = y; k < 32; k += 8)
      if (row + k < rows && column + x < columns)
        *(Element*)(to + (long long)(row + k) * a.toStrides[kRank - 2] +
                    (long long)(column + x) * (long long)sizeof(Element)) = tile[x][k];
    __syncthreads();
  }
}
)";

std::string sourceOf(const char* body, size_t rank, int bytes, int64_t units) {
  return indexType(units) +
         fmt::format("typedef {} Element;\nconstexpr int kRank = {};\n", unitType(bytes), rank) +
         kOverlapPrelude + kPrelude + body;
}

int64_t product(const std::vector<int64_t>& values) {
  int64_t result = 1;
  for (int64_t value : values) result *= value;
  return result;
}

}  // namespace

std::string whyNotCopied(DType type) {
  if (dtypeBits(type) % 8 == 0) return {};
  return fmt::format("elements of {} take less than a byte", dtypeName(type));
}

StridedCopy::StridedCopy(std::span<const int64_t> dims, std::span<const int64_t> fromStrides,
                         std::span<const int64_t> toStrides, int elementBytes,
                         const DeviceTraits& device) {
  std::vector<Axis> axes;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0) return;
    if (dims[i] == 1) continue;
    const Axis axis{dims[i], fromStrides[i] * elementBytes, toStrides[i] * elementBytes};
    if (!axes.empty() && axes.back().from == axis.extent * axis.from &&
        axes.back().to == axis.extent * axis.to)
      axes.back() = {axes.back().extent * axis.extent, axis.from, axis.to};
    else
      axes.push_back(axis);
  }
  if (axes.size() > kMaxRank)
    throw Error(ErrorCode::Unsupported, fmt::format("a copy over {} axes", axes.size()),
                fmt::format("at most {}", kMaxRank));
  auto runs = [&](const Axis& axis) { return axis.from == elementBytes; };
  const auto rows = axes.empty() || axes.back().to != elementBytes || runs(axes.back())
                        ? axes.end()
                        : std::ranges::find_if(axes, runs);
  if (rows != axes.end() && elementBytes <= 8 && rows->extent > 4 && axes.back().extent > 4) {
    std::rotate(rows, rows + 1, axes.end() - 1);
    form_ = tiles(axes, elementBytes, device);
    return;
  }
  form_ = elements(axes, elementBytes, device);
  const int bytes = widest(axes, elementBytes);
  if (bytes == elementBytes) return;
  axes.back().extent = axes.back().extent * elementBytes / bytes;
  axes.back().from = axes.back().to = bytes;
  wide_ = elements(axes, bytes, device);
  wideBytes_ = bytes;
}

int StridedCopy::widest(const std::vector<Axis>& axes, int bytes) {
  if (axes.empty() || axes.back().from != bytes || axes.back().to != bytes) return bytes;
  for (int wide = 16; wide > bytes; wide /= 2) {
    bool fits = axes.back().extent * bytes % wide == 0;
    for (size_t i = 0; i + 1 < axes.size(); ++i)
      fits &= axes[i].from % wide == 0 && axes[i].to % wide == 0;
    if (fits) return wide;
  }
  return bytes;
}

StridedCopy::Form StridedCopy::elements(std::vector<Axis> axes, int bytes,
                                        const DeviceTraits& device) const {
  if (axes.empty()) axes.push_back({1, bytes, bytes});
  Form form;
  std::vector<int64_t> extents;
  for (size_t i = 0; i < axes.size(); ++i) {
    extents.push_back(axes[i].extent);
    form.words[Extents + i] = axes[i].extent;
    form.words[FromStrides + i] = axes[i].from;
    form.words[kToStrides + i] = axes[i].to;
  }
  const int64_t count = product(extents);
  form.words[Count] = count;
  form.shape = spread(count, device, 16);
  form.shape.overlapped = true;
  form.module = moduleOf(sourceOf(kElements, axes.size(), bytes, count));
  form.function = form.module->function("carnotCopy");
  return form;
}

StridedCopy::Form StridedCopy::tiles(std::vector<Axis> axes, int bytes,
                                     const DeviceTraits& device) const {
  Form form = elements(axes, bytes, device);
  const size_t rank = axes.size();
  std::vector<int64_t> units;
  for (size_t i = 0; i < rank; ++i)
    units.push_back(i + 2 < rank ? axes[i].extent : (axes[i].extent + kTile - 1) / kTile);
  form.words[Count] = product(units);
  form.shape = spread(form.words[Count] * kElementThreads, device, 16);  // a block each
  form.shape.overlapped = true;
  form.module = moduleOf(sourceOf(kTiles, rank, bytes, form.words[Count]));
  form.function = form.module->function("carnotCopy");
  return form;
}

void StridedCopy::run(const void* from, void* to, Stream& stream) const {
  const auto addresses = reinterpret_cast<uintptr_t>(from) | reinterpret_cast<uintptr_t>(to);
  const bool wide = wideBytes_ > 0 && addresses % static_cast<uintptr_t>(wideBytes_) == 0;
  const Form& form = wide ? wide_ : form_;
  if (form.shape.blocks == 0) return;
  auto words = form.words;
  words[From] = reinterpret_cast<int64_t>(from);
  words[To] = reinterpret_cast<int64_t>(to);
  launch(form.function, form.shape, words.data(), stream);
}

}  // namespace carnot::cuda
