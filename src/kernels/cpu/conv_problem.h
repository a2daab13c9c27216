#pragma once

#include <variant>
#include <vector>

#include "kernels/cpu/anchored.h"
#include "kernels/cpu/tile_pointers.h"

namespace carnot {

// One spatial axis of a convolution or pool.
struct WindowAxis {
  int64_t kernel = 1, stride = 1, dilation = 1, padBegin = 0, padEnd = 0;

  bool trivial() const { return kernel == 1 && stride == 1 && !padded(); }
  bool padded() const { return padBegin > 0 || padEnd > 0; }
  int64_t extent() const { return (kernel - 1) * dilation + 1; }
  // Elements that `positions` successive windows span.
  int64_t span(int64_t positions) const { return (positions - 1) * stride + extent(); }
};

// How a tail's operand is read in channel-blocked tiles.
struct BlockedOperand {
  EpilogueOperand kind = EpilogueOperand::Scalar;
  bool packed = false;    // a constant column, in weights
  bool perImage = false;  // differs from image to image
};

// Shapes of one run; height 1 for one spatial axis.
struct ConvShapes {
  int64_t images = 0, inHeight = 1, inWidth = 0, outHeight = 1, outWidth = 0;
};

// A convolution over one or two spatial axes with constant float32 weights, whose output and tail
// are channel-blocked by the widest vector.
struct ConvProblem {
  AnchoredRegion region;  // the bias is the tail's first operand
  int x = 0, w = 0;       // inputs of the region
  int block = 16;
  int64_t group = 1, inputs = 0, outputs = 0;  // channels of a group
  int64_t together = 1;                        // groups of the convolution in one of these
  int64_t lastInputs = 0, lastOutputs = 0;     // channels of the last group, which may be fewer
  bool line = false;                           // one spatial axis
  bool upright = false;                        // a line whose axis is the first of two, before a 1
  WindowAxis height, width;
  std::vector<BlockedOperand> operands;

  int64_t taps() const { return height.kernel * width.kernel; }
  // As many groups as fill blocks become one, else all, with zeros where their weights do not meet;
  // false when those are too many. What is left over is a last group of as many blocks.
  bool mergeGroups();
  int64_t inputsOf(int64_t index) const { return index + 1 == group ? lastInputs : inputs; }
  int64_t outputsOf(int64_t index) const { return index + 1 == group ? lastOutputs : outputs; }
  int64_t blocksOf(int64_t channels) const { return (channels + block - 1) / block; }
  // Blocks of all groups; of several groups only when they fill their blocks.
  int64_t inputBlocks() const { return blocksOf(group * inputs); }
  int64_t outputBlocks() const { return blocksOf(group * outputs); }

  std::vector<int> runtimeInputs() const;
  // The layouts of a configuration that reads x in `xLayout`; blocked elsewhere.
  void setLayouts(const Problem& problem, Layout xLayout, Configuration& configuration) const;
  bool mayReadPlain() const;  // nothing in the tail reads x as well
  bool layoutsHold(const Problem& problem, const Configuration& configuration) const;
  // The packed columns one after the other, each of outputBlocks() * block floats, zeros behind the
  // last channel.
  Tensor packColumns(const Problem& problem) const;
  int64_t packedColumns() const;

  ConvShapes shapesOf(const std::vector<TensorType>& concrete) const;
};

std::variant<Refusal, ConvProblem> convProblem(const Problem& problem, bool transposed = false);

// The operands' kinds for a result [N, C, spatial...] in channel-blocked layout; shared by kernels
// with such outputs. The first `biases` operands are vectors of C.
std::variant<Refusal, std::vector<BlockedOperand>> blockedOperands(const Problem& problem,
                                                                   const AnchoredRegion& region,
                                                                   size_t biases);
void setBlockedLayouts(const Problem& problem, const AnchoredRegion& region,
                       std::span<const BlockedOperand> operands, int block,
                       Configuration& configuration);
Tensor packBlockedColumns(const Problem& problem, const AnchoredRegion& region,
                          std::span<const BlockedOperand> operands, int64_t channels, int block);

// Base pointers of outputs and operands of one run; `columns` are the packed ones. Sizes in floats.
TilePointers blockedPointers(const RunArguments& arguments, size_t outputs,
                             const AnchoredRegion& region, std::span<const BlockedOperand> operands,
                             std::span<const int> runtimeInputs, const float* columns,
                             int64_t channelsOfImage, int64_t elementsOfImage);

}  // namespace carnot
