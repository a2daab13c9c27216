#include <fmt/format.h>

#include <filesystem>
#include <limits>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/json.h"

namespace carnot::cli {

namespace {

using enum Table::Align;

std::string tensorsText(const char* title, const std::vector<TensorInfo>& tensors) {
  Table table({Left, Left}, "  ");
  for (const TensorInfo& tensor : tensors) table.add({tensor.name, tensor.toString()});
  return fmt::format("\n{}\n{}", title, table.text());
}

std::string profileText(size_t index, const EngineInfo::Profile& profile) {
  std::string text =
      fmt::format("\nprofile {}: {}\n", index,
                  profile.enforced ? "other shapes are refused" : "tuned at opt, any shape runs");
  Table table({Left, Right, Right, Right}, "  ");
  table.add({"symbol", "min", "opt", "max"});
  for (const EngineInfo::Range& range : profile.ranges) {
    bool any = !profile.enforced;
    table.add({range.symbol, any ? "any" : fmt::format("{}", range.min),
               fmt::format("{}", range.opt), any ? "any" : fmt::format("{}", range.max)});
  }
  return text + (profile.ranges.empty() ? "  all shapes are fixed\n" : table.text());
}

}  // namespace

void runInspect(const InspectArguments& arguments) {
  Engine engine = Engine::load(arguments.path, {.verifyWeights = arguments.verify});
  if (arguments.json) {
    writeResult(inspectJson(arguments.path, engine));
    return;
  }
  EngineInfo info = engine.info();
  std::error_code unknown;
  uintmax_t size = std::filesystem::file_size(arguments.path, unknown);
  Table table({Left, Left});
  table.add({"file", fmt::format("{} ({})", arguments.path, unknown ? "?" : sizeText(size))});
  table.add({"producer", info.producer});
  table.add({"model", info.modelName});
  table.add({"device", info.device});
  table.add({"isa", info.isa});
  table.add({"threads", fmt::format("{}, tuned with {}", info.threads, info.tunedThreads)});
  table.add({"layers", fmt::format("{}", info.layers)});
  table.add({"weights", fmt::format("{}{}", sizeText(info.weightBytes),
                                    arguments.verify ? ", as they were written" : "")});
  std::string text = table.text();
  text += tensorsText("inputs", engine.inputs()) + tensorsText("outputs", engine.outputs());
  if (!engine.states().empty()) text += tensorsText("states", engine.states());
  for (size_t i = 0; i < info.profiles.size(); ++i) text += profileText(i, info.profiles[i]);
  writeResult(text);
}

}  // namespace carnot::cli
