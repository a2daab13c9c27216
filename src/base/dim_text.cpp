// A Dim as text, and back.
#include <charconv>
#include <limits>

#include "base/dim_expr.h"
#include "base/error.h"

namespace carnot {

using namespace detail;

namespace {

constexpr std::string_view kFunctions[] = {"floordiv", "ceildiv", "mod", "max", "min"};

bool startsName(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool continuesName(char c) { return startsName(c) || isDigit(c) || c == '.'; }

bool isPlainName(std::string_view name) {
  if (!startsName(name.front())) return false;
  for (char c : name)
    if (!continuesName(c)) return false;
  for (std::string_view function : kFunctions)
    if (name == function) return false;
  return true;
}

std::string symbolText(const std::string& name) {
  if (isPlainName(name)) return name;
  std::string quoted = "'";
  for (char c : name) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '\'';
}

std::string atomText(const Atom& atom) {
  if (atom.kind == Dim::Kind::Symbol) return symbolText(atom.name);
  std::string text = atom.kind == Dim::Kind::FloorDiv ? "floordiv(" : "max(";
  for (size_t i = 0; i < atom.args.size(); ++i) {
    if (i > 0) text += ", ";
    text += atom.args[i].toString();
  }
  return text + ")";
}

std::string monomialText(const Monomial& monomial) {
  std::string text;
  for (const Factor& factor : monomial) {
    if (!text.empty()) text += '*';
    text += atomText(*factor.atom);
    if (factor.power != 1) text += fmt::format("^{}", factor.power);
  }
  return text;
}

// Appends with the sign written between; the least integer has no positive twin and keeps its own.
void appendSigned(std::string& text, int64_t coefficient, const std::string& rest) {
  bool negative = coefficient < 0 && coefficient != std::numeric_limits<int64_t>::min();
  if (text.empty())
    text += negative ? "-" : "";
  else
    text += negative ? " - " : " + ";
  int64_t magnitude = negative ? -coefficient : coefficient;
  if (magnitude != 1 || rest.empty()) {
    text += fmt::format("{}", magnitude);
    if (!rest.empty()) text += '*';
  }
  text += rest;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {
    if (text.size() > kMostText) fail(fmt::format("at most {} characters", kMostText));
  }

  Dim whole() {
    Dim result = sum();
    if (at_ != text_.size()) fail("an operator or the end");
    return result;
  }

 private:
  static constexpr size_t kMostText = size_t{1} << 16;
  static constexpr int kMostNested = 100;
  static constexpr int kMostPower = 64;

  [[noreturn]] void fail(const std::string& needs) const {
    constexpr size_t kShown = 60;
    std::string shown(text_.substr(0, kShown));
    if (text_.size() > kShown) shown += "...";
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("dimension \"{}\" at character {}", shown, at_ + 1), needs);
  }

  void skipSpace() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  char peek() {
    skipSpace();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(fmt::format("'{}'", c));
  }

  Dim sum() {
    if (++nested_ > kMostNested) fail(fmt::format("at most {} levels", kMostNested));
    Dim result = product();
    while (true) {
      if (take('+'))
        result = result + product();
      else if (take('-'))
        result = result - product();
      else
        break;
    }
    --nested_;
    return result;
  }

  Dim product() {
    Dim result = factor();
    while (take('*')) result = result * factor();
    return result;
  }

  Dim factor() {
    bool negative = false;
    while (peek() == '-') {
      // "-9223372036854775808" is one number: its positive twin does not exist.
      if (at_ + 1 < text_.size() && isDigit(text_[at_ + 1])) break;
      ++at_;
      negative = !negative;
    }
    Dim base = primary();
    Dim result = base;
    if (take('^')) {
      if (base.isConstant()) fail("a symbol before '^'");
      skipSpace();
      int64_t power = integer();
      if (power < 1 || power > kMostPower) fail(fmt::format("a power from 1 to {}", kMostPower));
      for (int64_t i = 1; i < power; ++i) result = result * base;
    }
    return negative ? -result : result;
  }

  int64_t integer() {
    int64_t value = 0;
    auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) fail("an integer of 64 bits");
    at_ = static_cast<size_t>(end - text_.data());
    return value;
  }

  Dim primary() {
    char c = peek();
    if (isDigit(c) || c == '-') return integer();
    if (take('(')) {
      Dim result = sum();
      expect(')');
      return result;
    }
    if (take('\'')) return Dim::symbol(quotedName());
    if (!startsName(c)) fail("a number, a symbol, a function or '('");
    size_t begin = at_;
    while (at_ < text_.size() && continuesName(text_[at_])) ++at_;
    std::string_view name = text_.substr(begin, at_ - begin);
    return peek() == '(' ? call(name) : symbolNamed(name);
  }

  Dim symbolNamed(std::string_view name) {
    if (!isPlainName(name)) fail(fmt::format("'(' after {}", name));
    return Dim::symbol(std::string(name));
  }

  std::string quotedName() {
    std::string name;
    while (at_ < text_.size() && text_[at_] != '\'') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      name += text_[at_++];
    }
    if (at_ == text_.size() || name.empty()) fail("a name between quotes");
    ++at_;
    return name;
  }

  Dim call(std::string_view name) {
    expect('(');
    Dim result = sum();
    expect(',');
    do {
      Dim next = sum();
      if (name == "max")
        result = max(result, next);
      else if (name == "min")
        result = min(result, next);
      else if (name == "floordiv")
        return expect(')'), floorDiv(result, next);
      else if (name == "ceildiv")
        return expect(')'), ceilDiv(result, next);
      else if (name == "mod")
        return expect(')'), floorMod(result, next);
      else
        fail("one of floordiv, ceildiv, mod, max, min");
    } while (take(','));
    expect(')');
    return result;
  }

  std::string_view text_;
  size_t at_ = 0;
  int nested_ = 0;
};

}  // namespace

std::string Dim::toString() const {
  std::string text;
  for (const Term& term : termsOf(*this))
    appendSigned(text, term.coefficient, monomialText(term.monomial));
  if (constant_ != 0 || text.empty()) appendSigned(text, constant_, {});
  return text;
}

Dim Dim::parse(std::string_view text) { return Parser(text).whole(); }

}  // namespace carnot
