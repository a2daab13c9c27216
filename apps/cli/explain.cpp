#include <carnot/error.h>
#include <carnot/names.h>
#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/json.h"
#include "cli/source.h"

namespace carnot::cli {

namespace {

using enum Table::Align;

std::string candidatesTable(const Explanation& all, const Explanation::Step& step) {
  // Kernel, configuration, then the times.
  std::vector<Table::Align> columns(all.points.size() + 2, Right);
  columns[0] = columns[1] = Left;
  Table table(columns, "    ");
  std::vector<std::string> head = {"candidate", "configuration"};
  for (const std::string& point : all.points) head.push_back("us at " + point);
  table.add(head);
  for (size_t i = 0; i < step.candidates.size(); ++i) {
    const Explanation::Candidate& candidate = step.candidates[i];
    std::vector<std::string> row = {candidate.kernel, candidate.configuration};
    for (size_t point = 0; point < all.points.size(); ++point) {
      bool chosen = point < step.chosen.size() && step.chosen[point] == i;
      std::string text = chosen ? "*" : "";
      if (point < candidate.times.size()) {
        const Explanation::Time& time = candidate.times[point];
        text += fmt::format("{}{:.2f}", time.measured ? " " : " ~", time.microseconds);
      } else {
        text += " -";
      }
      row.push_back(std::move(text));
    }
    table.add(std::move(row));
  }
  return table.text();
}

// The kernels chosen, each once.
std::string chosenText(const Explanation::Step& step) {
  std::vector<std::string> names;
  for (size_t index : step.chosen) {
    if (index >= step.candidates.size()) continue;
    const Explanation::Candidate& candidate = step.candidates[index];
    std::string name = candidate.kernel;
    if (!candidate.configuration.empty()) name += " (" + candidate.configuration + ")";
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return joinNames(names);
}

std::string stepText(const Explanation& all, const Explanation::Step& step) {
  Table facts({Left, Left}, "  ");
  facts.add({"operators", step.operators});
  if (!step.precision.empty()) facts.add({"precision", step.precision});
  facts.add({"ONNX nodes", joinNames(step.origins)});
  facts.add({"inputs", joinNames(step.inputs)});
  facts.add({"outputs", joinNames(step.outputs)});
  facts.add({"kernel", chosenText(step)});
  std::string text = step.name + "\n" + facts.text() + candidatesTable(all, step);
  if (step.refusals.empty()) return text;
  Table refusals({Left, Left}, "    ");
  refusals.add({"refused", "because"});
  for (const Explanation::Refusal& refusal : step.refusals)
    refusals.add({refusal.kernel, refusal.reason});
  return text + refusals.text();
}

bool isNamed(const Explanation::Step& step, const std::string& name) {
  return step.name == name || std::ranges::find(step.origins, name) != step.origins.end();
}

void keepLayer(Explanation& explanation, const std::string& name) {
  std::vector<std::string> names;
  for (const Explanation::Step& step : explanation.steps) {
    names.push_back(step.name);
    names.insert(names.end(), step.origins.begin(), step.origins.end());
  }
  std::erase_if(explanation.steps, [&](const auto& step) { return !isNamed(step, name); });
  if (!explanation.steps.empty()) return;
  std::string near = closest(name, names);
  throw Error(ErrorCode::InvalidArgument,
              fmt::format("no layer named or made of an ONNX node named '{}'", name),
              "a name that explain prints without --layer",
              near.empty() ? "" : fmt::format("did you mean '{}'?", near));
}

}  // namespace

void runExplain(const ExplainArguments& arguments) {
  Engine engine = openSource(arguments.source);
  Explanation explanation = explanationOf(engine);
  if (arguments.layer) keepLayer(explanation, *arguments.layer);
  if (arguments.json) {
    writeResult(explainJson(engine, explanation));
    return;
  }
  std::string text = fmt::format("{}\n{} layers; times in microseconds, ~ estimated, * chosen\n",
                                 explanation.device, explanation.steps.size());
  for (const Explanation::Step& step : explanation.steps)
    text += "\n" + stepText(explanation, step);
  writeResult(text);
}

}  // namespace carnot::cli
