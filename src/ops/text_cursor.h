#pragma once

#include <string>
#include <string_view>

#include "base/visit.h"

namespace carnot {

class Operator;

// A place in the text form of an operator, a region or a graph. Whatever is not as expected throws
// Error (InvalidArgument) saying where. Spaces before each item are skipped.
class TextCursor {
 public:
  explicit TextCursor(std::string_view text) : text_(text) {}

  bool atEnd();
  char peek();        // '\0' at the end
  bool take(char c);  // true and past it when next
  bool take(std::string_view word);
  void expect(char c);
  void expectEnd();
  std::string_view identifier();  // [A-Za-z_][A-Za-z0-9_]*
  // A value of the same kind as `like`, as fieldToString writes it; nothing nests in one.
  FieldValue field(const FieldValue& like);
  size_t place() const { return place_; }
  std::string_view since(size_t place) const { return text_.substr(place, place_ - place); }
  [[noreturn]] void fail(std::string_view needs) const;

 private:
  std::string_view word();  // up to a space or one of ,]}
  std::string string();
  Shape shape();
  template <typename Item>
  auto list(Item item);

  std::string_view text_;
  size_t place_ = 0;
};

// One operator, as Operator::toString writes it.
Operator parseOperator(TextCursor& cursor);

}  // namespace carnot
