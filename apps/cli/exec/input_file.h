#pragma once

#include <carnot/tensor.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace carnot::cli::exec {

// Fills an input from a file: NumPy's .npy, known by its start, of the same type and shape; else
// raw bytes, exactly as many as `contents` holds. Throws Error: Io; InvalidArgument with both
// sides.
void readContents(const std::string& path, const TensorInfo& input,
                  const std::vector<int64_t>& dims, std::span<std::byte> contents);

}  // namespace carnot::cli::exec
