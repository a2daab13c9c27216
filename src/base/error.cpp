#include "base/error.h"

#include <carnot/names.h>

#include <algorithm>
#include <cctype>
#include <numeric>
#include <utility>

namespace carnot {

std::string_view errorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::InvalidArgument:
      return "InvalidArgument";
    case ErrorCode::InvalidModel:
      return "InvalidModel";
    case ErrorCode::Unsupported:
      return "Unsupported";
    case ErrorCode::Incompatible:
      return "Incompatible";
    case ErrorCode::OutOfMemory:
      return "OutOfMemory";
    case ErrorCode::Io:
      return "Io";
    case ErrorCode::Interrupted:
      return "Interrupted";
    case ErrorCode::Internal:
      return "Internal";
  }
  return "Unknown";
}

Error::Error(ErrorCode code, std::string has, std::string needs, std::string remedy)
    : code_(code), has_(std::move(has)), needs_(std::move(needs)), remedy_(std::move(remedy)) {
  compose();
}

Error& Error::within(std::string frame) {
  if (!context_.empty() && context_.front() == frame) return *this;  // said already
  context_.insert(context_.begin(), std::move(frame));
  compose();
  return *this;
}

namespace {

// A part of the text, its middle left out when a model made it as long as a book.
std::string readable(const std::string& part) {
  constexpr size_t kLongest = 2000, kKept = 500;
  if (part.size() <= kLongest) return part;
  auto inside = [&](size_t at) { return (part[at] & 0xc0) == 0x80; };  // a character of UTF-8
  size_t head = kKept, tail = part.size() - kKept;
  while (head > 0 && inside(head)) --head;
  while (tail < part.size() && inside(tail)) ++tail;
  return part.substr(0, head) + " ... " + part.substr(tail);
}

}  // namespace

void Error::compose() {
  text_.clear();
  for (const auto& frame : context_) text_ += readable(frame) + ": ";
  text_ += readable(has_);
  if (!needs_.empty()) text_ += "; needs " + readable(needs_);
  if (!remedy_.empty()) text_ += "; " + readable(remedy_);
}

void throwInternal(std::string what) {
  throw Error(ErrorCode::Internal, std::move(what), {}, "this is a defect of Carnot");
}

namespace {

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

// Edits that turn a into b, case ignored: a character put in, left out or replaced, or two
// neighbours swapped.
size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before, above, row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    before = std::exchange(above, row);
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      auto same = [&](size_t p, size_t q) { return lower(a[p]) == lower(b[q]); };
      row[j + 1] = std::min({above[j] + !same(i, j), above[j + 1] + 1, row[j] + 1});
      if (i > 0 && j > 0 && same(i, j - 1) && same(i - 1, j))
        row[j + 1] = std::min(row[j + 1], before[j - 1] + 1);
    }
  }
  return row.back();
}

}  // namespace

std::string closest(std::string_view name, const std::vector<std::string>& candidates) {
  constexpr size_t kLongestName = 256;  // bounds the work on hostile names
  if (name.empty() || name.size() > kLongestName) return {};
  size_t best = std::max<size_t>(1, name.size() / 3) + 1;
  const std::string* found = nullptr;
  for (const auto& candidate : candidates) {
    if (candidate.size() > kLongestName) continue;
    if (size_t distance = editDistance(name, candidate); distance < best) {
      best = distance;
      found = &candidate;
    }
  }
  return found ? *found : std::string();
}

}  // namespace carnot
