#pragma once

#include <string>

namespace carnot {

// The kind of device where nothing else is asked for: CARNOT_DEVICE if set, else "cpu".
std::string defaultDeviceKind();

}  // namespace carnot
