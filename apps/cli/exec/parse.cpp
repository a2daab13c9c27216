#include "cli/exec/parse.h"

#include <carnot/error.h>
#include <carnot/names.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cli/exec/contradictions.h"
#include "cli/exec/flags.h"

namespace carnot::cli::exec {

namespace {

const Flag* findFlag(std::string_view name) {
  for (const FlagGroup& group : flagGroups())
    for (const Flag& flag : group.flags)
      if (flag.name == name) return &flag;
  return nullptr;
}

struct Known {
  std::string_view reason;
  bool takesValue = false;
  std::string_view idleValues;  // that change nothing, parted by '|'; empty: none does
};

std::optional<Known> findKnown(std::span<const KnownFlags> lists, std::string_view name) {
  for (const KnownFlags& list : lists)
    for (std::string_view known : list.names) {
      size_t equals = std::min(known.find('='), known.size());
      if (known.substr(0, equals) != name) continue;
      bool takesValue = equals < known.size();
      return Known{list.reason, takesValue, takesValue ? known.substr(equals + 1) : ""};
    }
  return std::nullopt;
}

std::vector<std::string> allNames() {
  std::vector<std::string> names;
  for (const FlagGroup& group : flagGroups())
    for (const Flag& flag : group.flags) names.emplace_back(flag.name);
  for (std::span<const KnownFlags> lists : {idleFlags(), refusedFlags()})
    for (const KnownFlags& list : lists)
      for (std::string_view name : list.names) names.emplace_back(name.substr(0, name.find('=')));
  return names;
}

bool isIdle(std::string_view values, std::string_view value) {
  while (!values.empty()) {
    size_t end = std::min(values.find('|'), values.size());
    if (values.substr(0, end) == value) return true;
    values.remove_prefix(std::min(end + 1, values.size()));
  }
  return false;
}

class LineParser {
 public:
  explicit LineParser(std::span<const std::string> arguments) : rest_(arguments) {}

  ParsedLine parse() {
    while (!rest_.empty()) {
      std::string word = next();
      if (word == "-h") word = "--help";
      if (word == "-v") word = "--verbose";
      size_t equals = word.find('=');
      name_ = word.substr(0, equals);
      value_.reset();
      if (equals != std::string::npos) value_ = word.substr(equals + 1);
      if (const Flag* flag = findFlag(name_))
        take(*flag);
      else if (auto idle = findKnown(idleFlags(), name_))
        takeKnown(*idle, true);
      else if (auto refused = findKnown(refusedFlags(), name_))
        takeKnown(*refused, false);
      else
        unknown(word);
    }
    line_.options = std::move(parsing_.options);
    if (line_.unknown.empty() && line_.problems.empty())
      findContradictions(line_.options, line_.problems);
    return std::move(line_);
  }

 private:
  std::string next() {
    std::string word = rest_.front();
    rest_ = rest_.subspan(1);
    return word;
  }

  void unknown(const std::string& word) {
    std::string near = closest(name_, allNames());
    line_.unknown.push_back(near.empty() ? word : fmt::format("{} (did you mean {}?)", word, near));
  }

  void problem(std::string_view text) {
    line_.problems.push_back(fmt::format("{}: {}", name_, text));
  }

  void takeKnown(const Known& known, bool idle) {
    if (known.takesValue && !value_ && !rest_.empty() && !rest_.front().starts_with('-'))
      value_ = next();
    if (idle)
      line_.idle.emplace_back(name_, known.reason);
    else if (value_ && isIdle(known.idleValues, *value_))
      line_.idle.emplace_back(name_, fmt::format("what {} asks for is so anyway", *value_));
    else
      problem(known.reason);
  }

  void take(const Flag& flag) {
    if (flag.value.empty() && value_) return problem("takes no value");
    if (!flag.value.empty()) {
      bool follows = !rest_.empty() && !rest_.front().starts_with("--");
      if (!value_ && follows) value_ = next();
      if (!value_ || value_->empty())
        return problem(fmt::format("no value; needs {}={}", flag.name, flag.value));
      auto [earlier, first] = values_.emplace(name_, *value_);
      if (!first && !flag.repeats && earlier->second != *value_)
        return problem(fmt::format("given as {} and as {}", earlier->second, *value_));
    }
    try {
      flag.set(parsing_, value_.value_or(""));
    } catch (const Error& error) {
      problem(error.what());
    }
    std::vector<std::string>& given = parsing_.options.given;
    if (!parsing_.options.has(name_)) given.push_back(name_);
  }

  std::span<const std::string> rest_;
  ParsedLine line_;
  Parsing parsing_;
  std::string name_;                  // of the flag at hand
  std::optional<std::string> value_;  // its value, if any
  std::map<std::string, std::string> values_;
};

}  // namespace

ParsedLine parseLine(std::span<const std::string> arguments) {
  return LineParser(arguments).parse();
}

}  // namespace carnot::cli::exec
