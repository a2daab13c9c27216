#include "base/log.h"

#include <fmt/core.h>

#include <cstdio>

namespace carnot {
namespace {

std::string_view prefix(Severity severity) {
  switch (severity) {
    case Severity::Internal:
      return "internal error: ";
    case Severity::Error:
      return "error: ";
    case Severity::Warning:
      return "warning: ";
    default:
      return "";
  }
}

}  // namespace

Log Log::toStderr(Severity threshold) {
  return Log(threshold, [](Severity severity, std::string_view message) {
    // One write a message, so that messages of several threads do not mix.
    std::string line = fmt::format("carnot: {}{}\n", prefix(severity), message);
    std::fwrite(line.data(), 1, line.size(), stderr);
  });
}

}  // namespace carnot
