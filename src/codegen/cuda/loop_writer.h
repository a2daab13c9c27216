#pragma once

#include <fmt/format.h>

#include "codegen/cuda/loop_source.h"
#include "codegen/cuda/scalar_source.h"

namespace carnot::cuda {

// Lines of a loop's CUDA C++, and what functions without rows and over rows have in common.
class LoopWriter {
 public:
  LoopWriter(const Loop& loop, const LoopVariant& variant) : loop_(loop), variant_(variant) {}

 protected:
  using Place = Loop::Place;
  using Kind = Loop::Operand::Kind;

  template <typename... T>
  void line(fmt::format_string<T...> format, T&&... arguments) {
    text_.append(2 * static_cast<size_t>(indent_), ' ');
    text_ += fmt::format(format, std::forward<T>(arguments)...) + "\n";
  }
  std::string indentation() const { return std::string(2 * static_cast<size_t>(indent_), ' '); }

  void close(int levels) {
    while (levels-- > 0) {
      if (indent_ > 0) --indent_;
      line("}}");
      if (indent_ == 0) break;
    }
  }

  // Addresses p0, p1, … of each operand at a row; `row` counts all rows.
  void writeBases(const std::string& lane);
  std::string loadedFrom(size_t operand, const std::string& offset) const;
  std::string countValue(DType type) const;

  const Loop& loop_;
  const LoopVariant& variant_;
  std::string text_;
  int indent_ = 0;
};

// The function of a loop without rows, which takes `vector` neighbours at a time.
std::string flatFunction(const Loop& loop, const LoopVariant& variant, const char* name,
                         int vector);
// The function of a loop over rows; kReductionPrelude comes in front.
std::string rowFunction(const Loop& loop, const LoopVariant& variant, const char* name, int vector);
extern const char* const kReductionPrelude;

}  // namespace carnot::cuda
