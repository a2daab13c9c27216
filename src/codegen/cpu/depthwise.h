#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "codegen/cpu/tile.h"

namespace carnot {

class MachineCode;

// The code of one tile of a depthwise convolution over channel-blocked float32: `tile.rows` pixels
// of a line, one vector of channels. Columns count the pixels of the input from the first under the
// tile.
struct DepthwiseSpec {
  IsaSet isa;  // AVX-512: 16 lanes; AVX2: 8
  TileSpec tile;
  int kernel = 1, stride = 1, dilation = 1;  // along the line
  int firstColumn = 0, lastColumn = 0;       // columns of [first, last) lie inside the image
  int fetchAhead = 0;                        // of x, bytes ahead of its reading

  int columns() const { return (tile.rows - 1) * stride + (kernel - 1) * dilation + 1; }
  // The most pixels that leave registers enough for the kernel.
  static int maxPixels(int lanes, int kernel);
  friend bool operator==(const DepthwiseSpec&, const DepthwiseSpec&) = default;
};

// Strides in bytes.
struct DepthwiseArguments {
  TileArguments c;
  const float* x =
      nullptr;  // column 0 under the first tile and kernel row, inside the image or not
  const float* w = nullptr;  // [kernelRows, kernel, lanes]
  int64_t kernelRows = 0;
  int64_t xRowStep = 0;   // from kernel row to kernel row
  int64_t xTileStep = 0;  // from tile to tile
};

class Depthwise {
 public:
  // Throws as Brgemm's does.
  explicit Depthwise(const DepthwiseSpec& spec);

  void operator()(const DepthwiseArguments& arguments) const { function_(&arguments); }

 private:
  std::shared_ptr<const MachineCode> code_;
  void (*function_)(const DepthwiseArguments*);
};

}  // namespace carnot
