#include "cli/arguments.h"

#include <carnot/error.h>
#include <carnot/names.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/exec/exec.h"
#include "cli/shapes.h"

namespace carnot::cli {

namespace {

const std::map<std::string, std::string> kUsages = {
    {"carnot", "carnot COMMAND [options]"},
    {"build", "carnot build MODEL.onnx -o FILE.engine [options]"},
    {"bench", "carnot bench MODEL.onnx|FILE.engine [options]"},
    {"explain", "carnot explain MODEL.onnx|FILE.engine [options]"},
    {"inspect", "carnot inspect FILE.engine [options]"},
    {"exec", "carnot exec --onnx=MODEL.onnx|--loadEngine=FILE.engine [options]"},
    {"compare", "carnot compare MODEL.onnx [options]"},
    {"version", "carnot version"},
};

std::string usageOf(const CLI::App& app) { return "usage: " + kUsages.at(app.get_name()); }

class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(28); }
  std::string make_usage(const CLI::App* app, std::string) const override {
    return usageOf(*app) + "\n";
  }
  // The kind of value alone: ranges and sets stand in the descriptions.
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string type = option->get_type_name();
    return option->get_type_size() == 0 ? "" : " " + type.substr(0, type.find(':'));
  }
};

// For what a time may be, in whichever unit.
const CLI::Validator kTime(
    [](std::string& text) {
      double value = 0;
      bool holds = CLI::detail::lexical_cast(text, value) && value >= 0 && value <= 1e12;
      return holds ? std::string() : fmt::format("'{}' is no time; needs 0 or more", text);
    },
    "");

// The text of the flags that shape a build, beside what goes straight to BuildOptions.
struct SourceFlags {
  Source source;
  std::string shapes, minShapes, optShapes, maxShapes;
  std::vector<const CLI::Option*> buildOnly;
  CLI::Option* shapesOption = nullptr;
};

void addSource(CLI::App& app, SourceFlags& flags, const char* what) {
  app.add_option("model", flags.source.path, what)->required()->type_name("FILE");
  app.add_flag("--verbose", flags.source.verbose, "say on standard error what the builder does");
  app.add_option(
         "--threads", flags.source.build.threads,
         "threads to tune for and run with; default: CARNOT_THREADS, else the cores allowed")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
}

void addBuildFlags(CLI::App& app, SourceFlags& flags, const std::string& shapesMeaning) {
  BuildOptions& build = flags.source.build;
  flags.shapesOption = app.add_option("--shapes", flags.shapes, shapesMeaning);
  flags.shapesOption->type_name("SPEC");
  auto add = [&](const char* name, auto& value, const char* type, const char* description) {
    CLI::Option* option = app.add_option(name, value, description);
    flags.buildOnly.push_back(option->type_name(type)->group("Build options"));
    return option;
  };
  add("--minShapes", flags.minShapes, "SPEC", "least dims of the profile: name:1x3x224x224,…");
  add("--optShapes", flags.optShapes, "SPEC", "dims to tune at; default: those of --maxShapes");
  add("--maxShapes", flags.maxShapes, "SPEC", "greatest dims; what is not given is as --optShapes");
  add("--device", build.device, "KIND", "cpu or cuda; default: $CARNOT_DEVICE, else cpu");
  add("--isa", build.isa, "NAME", "native, portable, avx2, avx512, or names joined by +");
  auto addSwitch = [&](const char* name, const std::function<void()>& act, const char* meaning) {
    flags.buildOnly.push_back(app.add_flag_callback(name, act, meaning)->group("Build options"));
  };
  addSwitch(
      "--noTF32", [&build] { build.tf32 = false; },
      "compute products of float32 in full on a GPU too");
  addSwitch(
      "--fp16", [&build] { build.permits.insert(DType::F16); },
      "let layers of float32 compute in float16 on a GPU");
  addSwitch(
      "--roundAll", [&build] { build.roundAll = true; },
      "half and TF32 also for convolutions that gain little by them, or that others amplify");
  addSwitch(
      "--bf16", [&build] { build.permits.insert(DType::BF16); },
      "let layers of float32 compute in bfloat16 on a GPU, products round to it on a CPU");
  add("--timingCache", build.timingCache, "FILE",
      "where timings are kept between builds, or none; default: in the user's cache folder");
  add("--buildBudget", build.budgetSeconds, "SECONDS", "time for timing kernels; default: no limit")
      ->check(kTime);
  add("--level", build.optimizationLevel, "0..5",
      "0: estimates decide, 3: the default, 5: every candidate is timed")
      ->check(CLI::Range(0, 5));
  add("--dumpIr", build.dumpIr, "DIR", "write the graph after each phase");
  add("--skipPass", build.skipPasses, "NAME", "leave a pass out; may be repeated")
      ->allow_extra_args(false);
  add("--withoutKernel", build.withoutKernels, "NAME",
      "leave out a kernel or all below a name (cpu/conv), with @NODE only in layers made of that "
      "ONNX node; may be repeated")
      ->allow_extra_args(false);
  addSwitch(
      "--noFusion", [&build] { build.fusion = false; },
      "make every node of the model a layer, to measure what fusion gains");
  addSwitch(
      "--noWinograd", [&build] { build.withoutKernels.push_back("cpu/conv/winograd"); },
      "sum convolutions directly, which rounds a little less");
  addSwitch(
      "--noStrassen", [&build] { build.withoutKernels.push_back("cpu/matmul/strassen"); },
      "sum products with constant matrices directly, which rounds a little less");
  add("--patchLimit", build.patchLimit, "N", "apply only the first N rewrites of the passes")
      ->check(CLI::NonNegativeNumber);
}

void addStopAfter(CLI::App& app, SourceFlags& flags) {
  std::vector<std::string> phases = buildPhases();
  app.add_option("--stopAfter", flags.source.build.stopAfter, "end there, without an engine")
      ->check(CLI::IsMember(phases))
      ->type_name("PHASE")
      ->group("Build options");
  app.footer("\nPhases: " + joinNames(phases));
}

Shapes parseFlag(const CLI::App& app, const char* flag, const std::string& text) {
  if (text.empty()) return {};
  try {
    return parseShapes(text);
  } catch (const Error& error) {
    throw UsageError(fmt::format("{}: {}", flag, error.what()), usageOf(app));
  }
}

// Turns the texts into a profile; gives the dims of --shapes.
Shapes finishSource(const CLI::App& app, SourceFlags& flags) {
  Shapes shapes = parseFlag(app, "--shapes", flags.shapes);
  Shapes min = parseFlag(app, "--minShapes", flags.minShapes);
  Shapes opt = parseFlag(app, "--optShapes", flags.optShapes);
  Shapes max = parseFlag(app, "--maxShapes", flags.maxShapes);
  bool ranges = !min.empty() || !opt.empty() || !max.empty();
  if (ranges)
    flags.source.build.profiles = {makeProfile(min, opt, max)};
  else if (!shapes.empty())
    flags.source.build.profiles = {makeProfile(shapes, shapes, shapes)};
  for (const CLI::Option* option : flags.buildOnly)
    if (option->count() > 0) flags.source.buildFlags.push_back(option->get_name());
  return shapes;
}

using Command = std::function<int()>;

// A command that ends well or throws.
template <typename Act>
Command succeeding(Act act) {
  return [act = std::move(act)] {
    act();
    return 0;
  };
}

// Adds a command's options; gives what makes it ready once they are parsed.
using Finish = std::function<Command()>;

Finish addBuild(CLI::App& app) {
  struct State : SourceFlags {
    std::string output;
  };
  auto state = std::make_shared<State>();
  addSource(app, *state, "the ONNX model");
  app.add_option("-o,--output", state->output, "the engine to write")->type_name("FILE");
  addBuildFlags(app, *state, "name:1x3x224x224,…: the only dims that the engine will take");
  addStopAfter(app, *state);
  for (const CLI::Option* option : {app.get_option("--minShapes"), app.get_option("--optShapes"),
                                    app.get_option("--maxShapes")})
    state->shapesOption->excludes(const_cast<CLI::Option*>(option));
  return [state, &app]() -> Command {
    finishSource(app, *state);
    const std::string& stop = state->source.build.stopAfter;
    if (state->output.empty() && (stop.empty() || stop == "emit"))
      throw UsageError("no file for the engine: -o is required", usageOf(app));
    return succeeding(
        [arguments = BuildArguments{state->source, state->output}] { runBuild(arguments); });
  };
}

Finish addBench(CLI::App& app) {
  struct State : SourceFlags {
    BenchArguments arguments;
    double warmUpMilliseconds = 200;
  };
  auto state = std::make_shared<State>();
  BenchOptions& bench = state->arguments.options;
  addSource(app, *state, "an ONNX model, built first, or an engine");
  app.add_option("--iterations", bench.iterations, "runs at least; default: 10")
      ->check(CLI::Range(1, 1000000000))
      ->type_name("N");
  app.add_option("--duration", bench.seconds, "seconds at least; default: 3")
      ->check(kTime)
      ->type_name("SECONDS");
  app.add_option("--warmUp", state->warmUpMilliseconds, "before timing, milliseconds; default: 200")
      ->check(kTime)
      ->type_name("MS");
  app.add_option("--percentile", bench.percentiles, "of the latency; default: 90,95,99")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 100.0))
      ->type_name("P,P…");
  app.add_option("--profileRuns", bench.profileRuns,
                 "runs with each layer timed; default: 10; 0: no table of layers")
      ->check(CLI::Range(0, 1000000000))
      ->type_name("N");
  CLI::Option* top =
      app.add_option("--top", state->arguments.top, "slowest layers shown; default: 10");
  top->type_name("N");
  app.add_flag("--all", state->arguments.all, "every layer, in order of execution")->excludes(top);
  app.add_flag("--json", state->arguments.json, "the whole report as JSON");
  app.add_option("--loadInputs", state->arguments.inputFiles,
                 "raw or .npy contents of inputs; default: made up")
      ->type_name("NAME:FILE,…");
  addBuildFlags(app, *state, "dims to run at, and to build for when no others are given");
  return [state, &app]() -> Command {
    state->arguments.options.shapes = finishSource(app, *state);
    state->arguments.options.warmUpSeconds = state->warmUpMilliseconds / 1000;
    state->arguments.source = state->source;
    return succeeding([arguments = state->arguments] { runBench(arguments); });
  };
}

Finish addExplain(CLI::App& app) {
  struct State : SourceFlags {
    std::string layer;
    bool json = false;
  };
  auto state = std::make_shared<State>();
  addSource(app, *state, "an ONNX model, built first, or an engine");
  app.add_option("--layer", state->layer, "only the layer of this name, or made of this ONNX node")
      ->type_name("NAME");
  app.add_flag("--json", state->json, "what the engine records, as JSON");
  addBuildFlags(app, *state, "the only dims to build for: name:1x3x224x224,…");
  state->buildOnly.push_back(state->shapesOption);
  return [state, &app]() -> Command {
    finishSource(app, *state);
    ExplainArguments arguments{state->source, std::nullopt, state->json};
    if (app.count("--layer") > 0) arguments.layer = state->layer;
    return succeeding([arguments] { runExplain(arguments); });
  };
}

Finish addInspect(CLI::App& app) {
  auto arguments = std::make_shared<InspectArguments>();
  app.add_option("engine", arguments->path, "the engine")->required()->type_name("FILE");
  app.add_flag("--verify", arguments->verify, "hash the weights too");
  app.add_flag("--json", arguments->json, "the same as JSON");
  return [arguments]() -> Command { return succeeding([arguments] { runInspect(*arguments); }); };
}

// All that follows belongs to trtexec's dialect, which has a parser of its own.
Finish addExec(CLI::App& app) {
  app.set_help_flag();
  app.prefix_command();
  return [&app]() -> Command {
    return [arguments = app.remaining()] { return exec::runExec(arguments); };
  };
}

// All that follows is for Python to understand.
Finish addCompare(CLI::App& app) {
  app.set_help_flag();
  app.prefix_command();
  return [&app]() -> Command {
    return succeeding([arguments = app.remaining()] { runCompare(arguments); });
  };
}

std::string versionText() { return fmt::format("carnot {}\n", version()); }

Finish addVersion(CLI::App&) {
  return []() -> Command { return succeeding([] { writeResult(versionText()); }); };
}

struct CommandRow {
  const char* name;
  const char* description;
  Finish (*add)(CLI::App& app);
};
constexpr CommandRow kCommands[] = {
    {"build", "turn an ONNX model into an engine for this machine", addBuild},
    {"bench", "time an engine and each of its layers", addBench},
    {"explain", "say which kernels each layer could have had, and why it has this one", addExplain},
    {"inspect", "say what an engine is: its inputs, outputs, shapes and machine", addInspect},
    {"exec", "build, run and time with trtexec's flags and output", addExec},
    {"compare", "run a model beside onnxruntime up to the first layer that differs", addCompare},
    {"version", "print the version", addVersion},
};

std::vector<std::string> flagsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

// The command line's own error in our words, if `remaining` holds what was not understood.
void throwUnknown(const CLI::App& root, const CLI::App& app) {
  std::vector<std::string> rest = app.remaining();
  if (&app != &root)
    for (const std::string& word : root.remaining()) rest.push_back(word);
  auto flag = std::ranges::find_if(rest, [](auto& word) { return word.starts_with('-'); });
  std::string word = flag != rest.end() ? *flag : rest.empty() ? "" : rest[0];
  if (word.empty()) return;
  word = word.substr(0, word.find('='));
  std::vector<std::string> known;
  const char* kind = "argument";
  if (word.starts_with('-')) {
    kind = "option";
    known = flagsOf(app);
  } else if (&app == &root) {
    kind = "command";
    for (const CommandRow& row : kCommands) known.push_back(row.name);
  }
  std::string near = closest(word, known);
  throw UsageError(fmt::format("unknown {} '{}'{}", kind, word,
                               near.empty() ? "" : fmt::format("; did you mean '{}'?", near)),
                   fmt::format("{}\n`{} --help` lists the options", usageOf(app),
                               &app == &root ? "carnot" : "carnot " + app.get_name()));
}

}  // namespace

std::function<int()> parseArguments(int argc, const char* const* argv) {
  CLI::App root("Builds inference engines from ONNX models and runs them.", "carnot");
  root.formatter(std::make_shared<HelpFormatter>());
  root.set_help_flag("-h,--help", "print this");
  root.set_version_flag("--version", versionText(), "print the version");
  root.require_subcommand(0, 1);
  std::map<const CLI::App*, Finish> finishes;
  for (const CommandRow& row : kCommands) {
    CLI::App* app = root.add_subcommand(row.name, row.description);
    finishes[app] = row.add(*app);
  }
  root.footer("\nA command's options: carnot COMMAND --help");
  const CLI::App* app = &root;
  auto selected = [&] {
    for (const CLI::App* command : root.get_subcommands()) app = command;
  };
  try {
    root.parse(argc, argv);
    selected();
  } catch (const CLI::CallForVersion&) {
    return succeeding([] { writeResult(versionText()); });
  } catch (const CLI::Success&) {
    return succeeding([text = root.help()] { writeResult(text); });
  } catch (const CLI::ParseError& error) {
    selected();
    throwUnknown(root, *app);
    throw UsageError(error.what(), usageOf(*app));
  }
  if (app == &root) throw UsageError("no command", root.help());
  return finishes.at(app)();
}

}  // namespace carnot::cli
