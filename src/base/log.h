#pragma once

#include <carnot/log.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace carnot {

// Where messages go. Passed down explicitly; no global sink.
class Log {
 public:
  using Sink = LogSink;
  Log() = default;  // drops everything
  Log(Severity threshold, Sink sink) : threshold_(threshold), sink_(std::move(sink)) {}
  static Log toStderr(Severity threshold);

  bool enabled(Severity severity) const { return sink_ && severity <= threshold_; }
  void operator()(Severity severity, std::string_view message) const {
    if (enabled(severity)) sink_(severity, message);
  }
  void warning(std::string_view message) const { (*this)(Severity::Warning, message); }
  void info(std::string_view message) const { (*this)(Severity::Info, message); }
  void verbose(std::string_view message) const { (*this)(Severity::Verbose, message); }

 private:
  Severity threshold_ = Severity::Warning;
  Sink sink_;
};

}  // namespace carnot
