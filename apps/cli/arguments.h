#pragma once

#include <functional>
#include <stdexcept>
#include <string>

namespace carnot::cli {

// A command line that cannot be understood.
class UsageError : public std::runtime_error {
 public:
  UsageError(const std::string& message, std::string usage)
      : std::runtime_error(message), usage_(std::move(usage)) {}
  const std::string& usage() const { return usage_; }  // "usage: carnot build …"

 private:
  std::string usage_;
};

// What the command line asks for, ready to run; it gives the exit status. Throws UsageError.
std::function<int()> parseArguments(int argc, const char* const* argv);

}  // namespace carnot::cli
