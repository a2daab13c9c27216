#pragma once

#include <carnot/builder.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace carnot::cli {

// Writes to standard output. Control characters, which names of a model may hold, become '?'. A
// closed pipe ends the program as quietly as SIGPIPE does. Throws Error (Io).
void writeResult(std::string_view text);

// The same on standard error; what that cannot take is lost.
void writeError(std::string_view text);
// A line on standard error: "carnot: <text>".
void writeNote(std::string_view text);

// Rows of cells in aligned columns, two spaces apart.
class Table {
 public:
  enum class Align { Left, Right };
  explicit Table(std::vector<Align> columns, std::string indent = {});
  void add(std::vector<std::string> cells);
  std::string text() const;

 private:
  std::vector<Align> columns_;
  std::string indent_;
  std::vector<std::vector<std::string>> rows_;
};

std::string sizeText(double bytes);  // "97.52 MiB", below one "12.30 KiB"

// Names joined by commas; those beyond `width` columns only counted ("conv1, relu1 and 3 more").
std::string joinNames(const std::vector<std::string>& names, size_t width = SIZE_MAX);

// A build's progress in one line of standard error, if that is a terminal; erased at the end.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine() { erase(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(std::string_view phase, size_t done, size_t all);
  void erase();

 private:
  std::vector<std::string> phases_;
  bool terminal_;
  bool shown_ = false;
  std::string phase_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace carnot::cli
