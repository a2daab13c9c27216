#include <fcntl.h>
#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "cli/arguments.h"
#include "cli/commands.h"

namespace carnot::cli {

namespace {

namespace fs = std::filesystem;

// What comparing imports. The probe's exit status is kProbed plus a bit for each that is missing.
constexpr const char* kNeeded[] = {"carnot", "_carnot", "numpy", "onnxruntime"};
constexpr int kProbed = 64;
constexpr const char* kProbe =
    "import importlib.util as u, sys\n"
    "sys.exit(64 + sum((u.find_spec(name) is None) << i for i, name in enumerate(sys.argv[1:])))";

bool canRun(const fs::path& program) { return access(program.c_str(), X_OK) == 0; }

// The first program of that name on PATH; empty: none.
fs::path findOnPath(const char* name) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path ? path : "";
  while (!rest.empty()) {
    size_t colon = std::min(rest.find(':'), rest.size());
    fs::path program = fs::path(rest.substr(0, colon)) / name;
    if (colon > 0 && canRun(program)) return program;
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return {};
}

// Those to try, in order.
std::vector<std::string> pythons() {
  if (const char* named = std::getenv("CARNOT_PYTHON"); named && *named) return {named};
  // As this program was called: a virtual environment has a link to it.
  fs::path self = program_invocation_name;
  if (!self.has_parent_path()) self = findOnPath(self.c_str());
  std::vector<std::string> found;
  if (fs::path beside = self.parent_path() / "python"; !self.empty() && canRun(beside))
    found.push_back(beside.string());
  if (fs::path other = findOnPath("python3"); !other.empty()) found.push_back(other.string());
  return found;
}

std::vector<char*> pointersTo(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// What keeps a Python from comparing; empty: nothing.
std::string lackOf(const std::string& python) {
  std::vector<std::string> words = {python, "-c", kProbe};
  words.insert(words.end(), std::begin(kNeeded), std::end(kNeeded));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (int stream : {STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  int failed =
      posix_spawnp(&child, python.c_str(), &actions, nullptr, pointersTo(words).data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  while (!failed && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  int missing = WEXITSTATUS(status) - kProbed;
  if (failed || !WIFEXITED(status) || missing < 0) return "does not run as Python 3";
  std::vector<std::string> names;
  for (size_t i = 0; i < std::size(kNeeded); ++i)
    if (missing >> i & 1) names.emplace_back(kNeeded[i]);
  return names.empty() ? "" : fmt::format("has no {}", fmt::join(names, ", "));
}

}  // namespace

void runCompare(const std::vector<std::string>& words) {
  std::string lacks;
  for (const std::string& python : pythons()) {
    if (std::string lack = lackOf(python); !lack.empty()) {
      lacks += fmt::format("{}{} {}", lacks.empty() ? "" : "; ", python, lack);
      continue;
    }
    std::vector<std::string> command = {python, "-m", "carnot.compare"};
    command.insert(command.end(), words.begin(), words.end());
    execvp(python.c_str(), pointersTo(command).data());
    lacks += fmt::format("{} cannot be run", python);
  }
  throw UsageError(
      fmt::format("no Python to compare with onnxruntime: {}",
                  lacks.empty() ? "neither python beside this program nor python3 on PATH" : lacks),
      "install onnxruntime beside carnot's Python package (pip install onnxruntime), or name a "
      "Python that has both in CARNOT_PYTHON");
}

}  // namespace carnot::cli
