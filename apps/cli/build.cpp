#include <carnot/error.h>
#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/interrupt.h"
#include "cli/source.h"

namespace carnot::cli {

namespace {

namespace fs = std::filesystem;

// Finds out before the build what would lose its result after it.
void checkOutput(const std::string& model, const std::string& output) {
  auto refuse = [&](std::string has, std::string needs, std::string remedy) {
    throw Error(ErrorCode::Io, fmt::format("file {}: {}", output, has), needs, remedy);
  };
  std::error_code ignored;
  fs::path folder = fs::path(output).parent_path();
  if (!folder.empty() && !fs::is_directory(folder, ignored))
    refuse(fmt::format("no folder {}", folder.string()), "a folder to write to", "make it first");
  if (fs::is_directory(output, ignored)) refuse("is a folder", "a file", "name a file in it");
  if (fs::equivalent(model, output, ignored))
    refuse("is the model itself", "another file", "name it with -o");
}

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

void runBuild(const BuildArguments& arguments) {
  const std::string& output = arguments.output;
  if (!output.empty()) checkOutput(arguments.source.path, output);
  auto start = std::chrono::steady_clock::now();
  Engine engine = buildSource(arguments.source);
  double building = secondsSince(start);
  using enum Table::Align;
  Table table({Left, Left});
  if (!engine) {
    table.add({"stopped", fmt::format("after {}", arguments.source.build.stopAfter)});
    table.add({"seconds", fmt::format("{:.2f}", building)});
    writeResult(table.text());
    return;
  }
  {
    Interrupt postponed;  // a file begun is finished
    start = std::chrono::steady_clock::now();
    engine.save(output);
  }
  double saving = secondsSince(start);
  EngineInfo info = engine.info();
  std::error_code unknown;
  uintmax_t size = fs::file_size(output, unknown);
  table.add({"engine", unknown ? output : fmt::format("{} ({})", output, sizeText(size))});
  table.add({"layers", fmt::format("{}", info.layers)});
  table.add({"weights", sizeText(info.weightBytes)});
  table.add({"threads", fmt::format("{}", info.threads)});
  table.add({"seconds", fmt::format("{:.2f} to build, {:.2f} to save", building, saving)});
  writeResult(table.text());
}

}  // namespace carnot::cli
