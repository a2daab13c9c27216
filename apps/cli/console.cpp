#include "cli/console.h"

#include <carnot/error.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace carnot::cli {

namespace {

bool isControl(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f; }

std::string printable(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(out, isControl, '?');
  return out;
}

// Columns that UTF-8 takes, at one for each code point.
size_t widthOf(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

// What standard error cannot take is lost: there is nowhere to say so.
void writeTerminal(std::string_view text) {
  while (!text.empty()) {
    ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace

void writeError(std::string_view text) { writeTerminal(printable(text)); }

void writeResult(std::string_view text) {
  std::string clean = printable(text);
  std::string_view rest = clean;
  while (!rest.empty()) {
    ssize_t written = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EPIPE) {
      std::signal(SIGPIPE, SIG_DFL);
      std::raise(SIGPIPE);
    } else if (errno != EINTR) {
      throw Error(ErrorCode::Io, fmt::format("standard output: cannot write: {}",
                                             std::generic_category().message(errno)));
    }
  }
}

void writeNote(std::string_view text) { writeError(fmt::format("carnot: {}\n", text)); }

Table::Table(std::vector<Align> columns, std::string indent)
    : columns_(std::move(columns)), indent_(std::move(indent)) {}

void Table::add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string Table::text() const {
  std::vector<size_t> widths(columns_.size());
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], widthOf(row[i]));
  std::string out;
  for (const auto& row : rows_) {
    std::string line = indent_;
    for (size_t i = 0; i < row.size(); ++i) {
      std::string space(widths[i] - widthOf(row[i]), ' ');
      if (i > 0) line += "  ";
      line += columns_[i] == Align::Left ? row[i] + space : space + row[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

std::string sizeText(double bytes) {
  constexpr double kKibi = 1 << 10, kMebi = 1 << 20;
  return bytes < kMebi ? fmt::format("{:.2f} KiB", bytes / kKibi)
                       : fmt::format("{:.2f} MiB", bytes / kMebi);
}

std::string joinNames(const std::vector<std::string>& names, size_t width) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0 && out.size() + names[i].size() > width)
      return fmt::format("{} and {} more", out, names.size() - i);
    out += (i > 0 ? ", " : "") + names[i];
  }
  return out;
}

ProgressLine::ProgressLine() : phases_(buildPhases()) {
  const char* kind = std::getenv("TERM");
  terminal_ = ::isatty(STDERR_FILENO) && kind && std::strcmp(kind, "dumb") != 0;
}

void ProgressLine::show(std::string_view phase, size_t done, size_t all) {
  if (!terminal_) return;
  constexpr std::chrono::milliseconds kPause{50};
  auto now = std::chrono::steady_clock::now();
  if (phase == phase_ && done < all && now - last_ < kPause) return;
  last_ = now;
  phase_ = phase;
  size_t index = static_cast<size_t>(std::ranges::find(phases_, phase) - phases_.begin());
  std::string line = fmt::format("[{:2}/{}] {}", index + 1, phases_.size(), phase);
  if (all > 1) line += fmt::format(": {} of {}", done, all);
  writeTerminal("\r\x1b[K" + line);
  shown_ = true;
}

void ProgressLine::erase() {
  if (shown_) writeTerminal("\r\x1b[K");
  shown_ = false;
}

}  // namespace carnot::cli
