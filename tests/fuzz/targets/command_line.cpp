// Any bytes as the words of a command line, each on a line of its own: they are understood, or
// refused, and nothing is run.
#include <carnot/error.h>

#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/exec/parse.h"
#include "fuzz/targets.h"

void carnot::fuzz::commandLine(Bytes bytes) {
  std::vector<std::string> words(2);
  for (std::byte byte : bytes) {
    const char letter = static_cast<char>(byte);
    if (letter == '\n')
      words.emplace_back();
    else if (letter == '\0')  // which ends a word of a real one
      break;
    else
      words.back() += letter;
  }
  std::vector<const char*> pointers;
  for (const std::string& word : words) pointers.push_back(word.c_str());
  if (words[1] == "exec") cli::exec::parseLine(std::span(words).subspan(2));
  try {
    cli::parseArguments(static_cast<int>(pointers.size()), pointers.data());
  } catch (const cli::UsageError&) {
  }
}
