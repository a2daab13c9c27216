#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/exec/options.h"

namespace carnot::cli::exec {

// What a command line has said so far.
struct Parsing {
  Options options;
  int profile = 0;  // that --minShapes, --optShapes and --maxShapes speak of

  int pair = 0;  // that --loadInputs and --loadRefOutputs speak of

  ProfileSpec& currentProfile();
  ReferencePair& currentPair();
};

// A flag with a meaning. `set` throws Error (InvalidArgument) for a value that it cannot take.
struct Flag {
  std::string_view name;
  std::string_view value;  // "N"; empty: takes none
  std::string_view help;
  void (*set)(Parsing& parsing, const std::string& value);
  bool repeats = false;  // may be given several times with several values
};

struct FlagGroup {
  std::string_view title;
  std::span<const Flag> flags;
};
std::span<const FlagGroup> flagGroups();

// Flags that trtexec has and that change nothing here, or that cannot be obeyed: names that share a
// reason. "--name=" takes a value; "--name=none|all" takes one too, and with one of these asks for
// what is so anyway.
struct KnownFlags {
  std::string_view reason;
  std::vector<std::string_view> names;
};
std::span<const KnownFlags> idleFlags();     // accepted without effect
std::span<const KnownFlags> refusedFlags();  // refused with the reason

std::string helpText();

}  // namespace carnot::cli::exec
