#include <carnot/error.h>
#include <fmt/format.h>

#include <csignal>
#include <filesystem>
#include <new>
#include <vector>

#include "cli/arguments.h"
#include "cli/console.h"
#include "cli/interrupt.h"

namespace {

// Under the name of trtexec, as a link to it, the program is `carnot exec`.
std::vector<const char*> wordsOf(int argc, char** argv) {
  std::vector<const char*> words(argv, argv + argc);
  if (argc > 0 && std::filesystem::path(words[0]).filename() == "trtexec")
    words.insert(words.begin() + 1, "exec");
  return words;
}

}  // namespace

// Exit status: 0 done, 1 refused, 2 a command line not understood, 130 interrupted.
int main(int argc, char** argv) {
  using namespace carnot::cli;
  // A reader that leaves must not end a build whose file is half written.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    std::vector<const char*> words = wordsOf(argc, argv);
    return parseArguments(static_cast<int>(words.size()), words.data())();
  } catch (const UsageError& error) {
    writeNote(fmt::format("error: {}\n{}", error.what(), error.usage()));
    return 2;
  } catch (const carnot::Error& error) {
    bool interrupted = error.code() == carnot::ErrorCode::Interrupted;
    writeNote(fmt::format("{}: {}", interrupted ? "interrupted" : "error", error.what()));
    return interrupted ? Interrupt::exitStatus() : 1;
  } catch (const std::bad_alloc&) {
    writeNote("error: out of memory");
  } catch (const std::exception& error) {
    writeNote(fmt::format("error: {}; this is a defect of Carnot", error.what()));
  }
  return 1;
}
