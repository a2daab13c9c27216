#pragma once

namespace carnot {

// "major.minor.patch", from the build system's project version.
const char* version();

}  // namespace carnot
