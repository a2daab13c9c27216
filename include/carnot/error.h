#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace carnot {

enum class ErrorCode {
  InvalidArgument,  // a value, shape, type, name or flag that the caller supplied
  InvalidModel,     // a model that breaks its own format's rules
  Unsupported,      // valid, but not done here
  Incompatible,     // an engine of another version, device or instruction set
  OutOfMemory,
  Io,
  Interrupted,  // a build that its caller cancelled
  Internal,     // a rule of Carnot's own that Carnot broke
};

std::string_view errorCodeName(ErrorCode code);

// What went wrong, in three parts: what is there, what is needed, what to do. Either of the last two
// may be empty. Thrown wherever something a user supplied cannot be carried out.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string has, std::string needs = {}, std::string remedy = {});

  ErrorCode code() const { return code_; }
  const std::string& has() const { return has_; }
  const std::string& needs() const { return needs_; }
  const std::string& remedy() const { return remedy_; }
  // Outermost first: file, node, pass.
  const std::vector<std::string>& context() const { return context_; }

  // Adds an outer frame ("file model.onnx", "node Conv_3 (Conv)").
  Error& within(std::string frame);

  // "file model.onnx: node Conv_3 (Conv): <has>; needs <needs>; <remedy>"
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  void compose();

  ErrorCode code_;
  std::string has_, needs_, remedy_;
  std::vector<std::string> context_;
  std::string text_;
};

}  // namespace carnot
