#include "ops/text_cursor.h"

#include <charconv>

#include "base/error.h"

namespace carnot {

namespace {

bool isSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool isLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }

template <typename T>
bool parseNumber(std::string_view text, T& out, auto... base) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base...);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

char TextCursor::peek() {
  while (place_ < text_.size() && isSpace(text_[place_])) ++place_;
  return place_ < text_.size() ? text_[place_] : '\0';
}

bool TextCursor::atEnd() {
  peek();
  return place_ == text_.size();
}

bool TextCursor::take(char c) {
  if (peek() != c || place_ == text_.size()) return false;
  ++place_;
  return true;
}

bool TextCursor::take(std::string_view word) {
  peek();
  if (!text_.substr(place_).starts_with(word)) return false;
  place_ += word.size();
  return true;
}

void TextCursor::expect(char c) {
  if (!take(c)) fail(fmt::format("'{}'", c));
}

void TextCursor::expectEnd() {
  if (!atEnd()) fail("the end of the text");
}

void TextCursor::fail(std::string_view needs) const {
  std::string_view rest = text_.substr(place_, 24);
  throw Error(ErrorCode::InvalidArgument,
              rest.empty() ? fmt::format("the text ends at character {}", place_)
                           : fmt::format("\"{}\" at character {}", rest, place_),
              std::string(needs));
}

std::string_view TextCursor::identifier() {
  if (!isLetter(peek())) fail("a name");
  size_t start = place_;
  while (place_ < text_.size() && (isLetter(text_[place_]) || isDigit(text_[place_]))) ++place_;
  return since(start);
}

std::string_view TextCursor::word() {
  peek();
  size_t start = place_;
  while (place_ < text_.size() && !isSpace(text_[place_]) && text_[place_] != ',' &&
         text_[place_] != ']' && text_[place_] != '}')
    ++place_;
  return since(start);
}

std::string TextCursor::string() {
  expect('"');
  std::string out;
  while (place_ < text_.size() && text_[place_] != '"') {
    char c = text_[place_++];
    if (c == '\\') {
      if (place_ == text_.size()) break;
      c = text_[place_++];
      if (c == 'n') c = '\n';
      if (c == 'x') {
        std::string_view digits = text_.substr(place_, 2);
        uint8_t code = 0;
        if (digits.size() != 2 || !parseNumber(digits, code, 16)) fail("two hexadecimal digits");
        place_ += 2;
        c = static_cast<char>(code);
      }
    }
    out.push_back(c);
  }
  if (place_ == text_.size()) fail("a closing '\"'");
  ++place_;
  return out;
}

template <typename Item>
auto TextCursor::list(Item item) {
  std::vector<decltype(item())> out;
  expect('[');
  if (take(']')) return out;
  do out.push_back(item());
  while (take(','));
  expect(']');
  return out;
}

Shape TextCursor::shape() {
  return Shape(list([&] {
    peek();
    size_t start = place_;
    int depth = 0;
    for (; place_ < text_.size(); ++place_) {
      char c = text_[place_];
      if (c == '(') ++depth;
      if (c == ')') --depth;
      if (depth <= 0 && (c == ',' || c == ']')) break;
    }
    return Dim::parse(since(start));
  }));
}

FieldValue TextCursor::field(const FieldValue& like) {
  auto integer = [&] {
    size_t start = (peek(), place_);
    int64_t value = 0;
    if (parseNumber(word(), value)) return value;
    place_ = start;
    fail("an integer");
  };
  auto number = [&] {
    size_t start = (peek(), place_);
    double value = 0;
    if (parseNumber(word(), value)) return value;
    place_ = start;
    fail("a number");
  };
  auto read = [&](const auto& sample) -> FieldValue {
    using T = std::decay_t<decltype(sample)>;
    if constexpr (std::is_same_v<T, int64_t>) {
      return integer();
    } else if constexpr (std::is_same_v<T, double>) {
      return number();
    } else if constexpr (std::is_same_v<T, bool>) {
      if (take("true")) return true;
      if (take("false")) return false;
      fail("true or false");
    } else if constexpr (std::is_same_v<T, std::string>) {
      return string();
    } else if constexpr (std::is_same_v<T, DType>) {
      DType type;
      size_t start = (peek(), place_);
      if (parseDType(word(), type)) return type;
      place_ = start;
      fail("an element type");
    } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
      return list(integer);
    } else if constexpr (std::is_same_v<T, std::vector<double>>) {
      return list(number);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      return list([&] { return string(); });
    } else {
      return shape();
    }
  };
  return std::visit(read, like);
}

}  // namespace carnot
