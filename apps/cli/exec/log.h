#pragma once

#include <carnot/log.h>

#include <string>
#include <string_view>

namespace carnot::cli::exec {

// Lines of the dialect: "[mm/dd/yyyy-hh:mm:ss] [I] text". Information goes to standard output,
// warnings and errors to standard error. A text of several lines becomes as many.
class Output {
 public:
  explicit Output(bool verbose) : verbose_(verbose) {}
  bool verbose() const { return verbose_; }

  void error(std::string_view text) const { line(Severity::Error, text); }
  void warning(std::string_view text) const { line(Severity::Warning, text); }
  void info(std::string_view text) const { line(Severity::Info, text); }
  void detail(std::string_view text) const { line(Severity::Verbose, text); }  // with --verbose
  void line(Severity severity, std::string_view text) const;
  // "=== Title ===", an empty line before it.
  void section(std::string_view title) const;

 private:
  bool verbose_;
};

// A number of milliseconds, seconds or percent: six digits, no exponent, no trailing zeros.
std::string numberText(double value);

std::string onOff(bool on);  // "Enabled", "Disabled"

}  // namespace carnot::cli::exec
