#pragma once

#include <string>

namespace carnot::cli {

// Throws Error (Io) when a file could not be written at `path`, or is `model` itself: before work
// whose result would be lost.
void checkOutputFile(const std::string& path, const std::string& model = {});

}  // namespace carnot::cli
