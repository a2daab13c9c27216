#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/interrupt.h"
#include "cli/output_file.h"
#include "cli/source.h"

namespace carnot::cli {

namespace {

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

void runBuild(const BuildArguments& arguments) {
  const std::string& output = arguments.output;
  if (!output.empty()) checkOutputFile(output, arguments.source.path);
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
  uintmax_t size = std::filesystem::file_size(output, unknown);
  table.add({"engine", unknown ? output : fmt::format("{} ({})", output, sizeText(size))});
  table.add({"device", info.device});
  if (const std::string reason = deviceReason(arguments.source); !reason.empty())
    table.add({"chosen", reason});
  table.add({"layers", fmt::format("{}", info.layers)});
  table.add({"weights", sizeText(info.weightBytes)});
  table.add({"threads", fmt::format("{}", info.threads)});
  table.add({"seconds", fmt::format("{:.2f} to build, {:.2f} to save", building, saving)});
  writeResult(table.text());
}

}  // namespace carnot::cli
