#include <carnot/error.h>
#include <fmt/format.h>

#include <csignal>
#include <new>

#include "cli/arguments.h"
#include "cli/console.h"
#include "cli/interrupt.h"

// Exit status: 0 done, 1 refused, 2 a command line not understood, 130 interrupted.
int main(int argc, char** argv) {
  using namespace carnot::cli;
  // A reader that leaves must not end a build whose file is half written.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    parseArguments(argc, argv)();
    return 0;
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
