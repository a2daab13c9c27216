#pragma once

#include <functional>
#include <string_view>

namespace carnot {

enum class Severity { Internal = 0, Error = 1, Warning = 2, Info = 3, Verbose = 4 };

// Hears one message at a time, without a newline; may be called from the thread that builds only.
using LogSink = std::function<void(Severity, std::string_view message)>;

}  // namespace carnot
