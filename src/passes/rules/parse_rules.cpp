#include <fmt/format.h>

#include <charconv>
#include <map>

#include "base/error.h"
#include "passes/rules/rule.h"

namespace carnot {

namespace {

using Rule = TextRules::Rule;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Parts between separators outside brackets.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == separator && depth == 0)) {
      parts.push_back(trimmed(text.substr(start, i - start)));
      start = i + 1;
    } else {
      depth += (text[i] == '(' || text[i] == '{' || text[i] == '[');
      depth -= (text[i] == ')' || text[i] == '}' || text[i] == ']');
    }
  }
  return parts;
}

class RuleParser {
 public:
  explicit RuleParser(std::string_view name) { rule_.name = name; }

  void line(std::string_view text) {
    const bool before = text.front() == '-';
    (before ? rule_.before : rule_.after).push_back(parseLine(text.substr(1), text));
  }
  Rule finish() && {
    if (rule_.before.empty() || rule_.after.empty() || rule_.after.back().result != rule_.root())
      throwInternal(fmt::format("rule {}: its last lines define different tensors", rule_.name));
    return std::move(rule_);
  }

 private:
  int tensor(std::string_view text, std::string_view line) {
    const size_t colon = text.find(':');
    std::string_view kind = colon == std::string_view::npos ? "" : text.substr(colon + 1);
    auto [found, fresh] =
        numbers_.try_emplace(std::string(text.substr(0, colon)), static_cast<int>(numbers_.size()));
    if (fresh) rule_.kinds.push_back(Rule::Kind::Any);
    if (kind == "float")
      rule_.kinds[found->second] = Rule::Kind::Float;
    else if (kind == "constant")
      rule_.kinds[found->second] = Rule::Kind::Constant;
    else if (!kind.empty())
      fail(line);
    return found->second;
  }

  Rule::Operand operand(std::string_view text, std::string_view line) {
    if (text.starts_with('%')) return tensor(text, line);
    double number = 0;
    auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (status != std::errc() || end != text.data() + text.size()) fail(line);
    return number;
  }

  Rule::Line parseLine(std::string_view text, std::string_view line) {
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos) fail(line);
    Rule::Line out;
    out.result = tensor(trimmed(text.substr(0, equals)), line);
    text = trimmed(text.substr(equals + 1));
    if (text.starts_with('%')) {
      out.operands.push_back(operand(text, line));
      return out;
    }
    const size_t open = text.rfind('(');
    if (open == std::string_view::npos || !text.ends_with(')')) fail(line);
    std::string_view op = text.substr(0, open);
    out.op = Operator::parse(op);
    if (const size_t brace = op.find('{'); brace != std::string_view::npos)
      for (std::string_view field : split(op.substr(brace + 1, op.size() - brace - 2), ','))
        out.fields.emplace_back(field.substr(0, field.find('=')));
    for (std::string_view part : split(text.substr(open + 1, text.size() - open - 2), ','))
      out.operands.push_back(operand(part, line));
    return out;
  }

  [[noreturn]] void fail(std::string_view line) const {
    throwInternal(fmt::format("rule {}: cannot read \"{}\"", rule_.name, line));
  }

  Rule rule_;
  std::map<std::string, int> numbers_;
};

}  // namespace

const Rule::Line* Rule::definitionOf(int tensor) const {
  for (const Line& line : before)
    if (line.result == tensor) return &line;
  return nullptr;
}

TextRules::TextRules(std::string_view text) {
  std::optional<RuleParser> parser;
  auto finish = [&] {
    if (parser) rules_.push_back(std::make_unique<const Rule>(std::move(*parser).finish()));
    parser.reset();
  };
  for (std::string_view line : split(text, '\n')) {
    if (line.empty()) {
      finish();
    } else if (!line.starts_with('-') && !line.starts_with('+')) {
      finish();
      parser.emplace(line);
    } else if (!parser) {
      throwInternal(fmt::format("rule without a name: {}", line));
    } else {
      parser->line(line);
    }
  }
  finish();
}

TextRules::~TextRules() = default;

}  // namespace carnot
