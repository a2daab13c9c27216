#include "cli/exec/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "cli/console.h"

namespace carnot::cli::exec {

namespace {

char letterOf(Severity severity) {
  switch (severity) {
    case Severity::Internal:
    case Severity::Error:
      return 'E';
    case Severity::Warning:
      return 'W';
    case Severity::Info:
      return 'I';
    case Severity::Verbose:
      break;
  }
  return 'V';
}

}  // namespace

void Output::line(Severity severity, std::string_view text) const {
  if (severity == Severity::Verbose && !verbose_) return;
  std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::string prefix =
      fmt::format("[{:%m/%d/%Y-%H:%M:%S}] [{}] ", fmt::localtime(now), letterOf(severity));
  std::string lines;
  while (true) {
    size_t end = text.find('\n');
    lines += prefix + std::string(text.substr(0, end)) + "\n";
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  if (severity <= Severity::Warning)
    writeError(lines);
  else
    writeResult(lines);
}

void Output::section(std::string_view title) const {
  info("");
  info(fmt::format("=== {} ===", title));
}

std::string numberText(double value) {
  if (!std::isfinite(value)) return fmt::format("{}", value);
  // Digits after the point that leave six that count; nanoseconds at most.
  int whole = value == 0 ? 1 : static_cast<int>(std::floor(std::log10(std::abs(value)))) + 1;
  std::string text = fmt::format("{:.{}f}", value, std::clamp(6 - whole, 0, 9));
  if (text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string onOff(bool on) { return on ? "Enabled" : "Disabled"; }

}  // namespace carnot::cli::exec
