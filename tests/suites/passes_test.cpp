// Each pass on its own, over tests/golden/<pass>.txt: the graph before and after as text, and both
// give the same results. All of them in turn over all-phases.txt. CARNOT_WRITE_GOLDEN=1 in the
// environment rewrites the graphs after.
#include "passes/pass.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "suites/support/evaluate_graph.h"

namespace carnot {
namespace {

struct Case {
  std::string name, before, after;
};

std::string goldenPath(std::string_view pass) {
  return "tests/golden/" + std::string(pass) + ".txt";
}

// Cases are "=== name", the graph before, "=>", the graph after.
std::vector<Case> readCases(std::string_view pass) {
  std::vector<Case> cases;
  std::ifstream file(goldenPath(pass));
  std::string* part = nullptr;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("=== ")) {
      cases.push_back({line.substr(4), "", ""});
      part = &cases.back().before;
    } else if (line == "=>" && part) {
      part = &cases.back().after;
    } else if (part && !line.empty()) {
      *part += line + "\n";
    }
  }
  return cases;
}

void writeCases(std::string_view pass, const std::vector<Case>& cases) {
  std::ofstream file(goldenPath(pass));
  for (const Case& one : cases)
    file << "=== " << one.name << "\n" << one.before << "=>\n" << one.after << "\n";
}

constexpr std::string_view kAllPhases = "all-phases";

constexpr std::string_view kHalf = "half-precision";

void rewrite(Graph& graph, std::string_view pass) {
  if (pass == kHalf) {
    PassOptions options;
    options.precision.half = DType::F16;
    runPasses(graph, Phase::Precision, options);
  } else if (pass == kAllPhases) {
    for (Phase phase : {Phase::Normalize, Phase::Simplify, Phase::Precision, Phase::Fuse})
      runPasses(graph, phase, {});
  } else {
    PassOptions options;
    options.mergeProducts = true;
    runPass(graph, findPass(pass), options);
  }
}

std::string runOn(std::string_view pass, const Case& one) {
  Graph before = parseGraph(one.before), after = parseGraph(one.before);
  Graph again = parseGraph(one.before);
  verify(before);
  rewrite(after, pass);
  verify(after);
  rewrite(again, pass);
  EXPECT_EQ(printGraph(again), printGraph(after)) << "two runs differ";
  auto symbols = test::symbolValues(before);
  std::vector<Tensor> inputs = test::randomInputs(before, symbols);
  std::vector<Tensor> wanted = test::evaluateGraph(before, inputs, symbols);
  std::vector<Tensor> has = test::evaluateGraph(after, inputs, symbols);
  EXPECT_EQ(has.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (i < before.outputs.size()) {
      EXPECT_EQ(after.outputs[i]->name, before.outputs[i]->name);
    }
    EXPECT_LE(test::relativeError(has[i], wanted[i]), pass == kHalf ? 5e-3 : 1e-5)
        << "output " << i;
  }
  return printGraph(after);
}

class PassGolden : public testing::TestWithParam<std::string_view> {};

TEST_P(PassGolden, RewritesAsWrittenAndKeepsTheResults) {
  const std::string_view pass = GetParam();
  std::vector<Case> cases = readCases(pass);
  ASSERT_FALSE(cases.empty()) << "no cases in " << goldenPath(pass);
  const bool write = std::getenv("CARNOT_WRITE_GOLDEN") != nullptr;
  for (Case& one : cases) {
    SCOPED_TRACE(one.name);
    try {
      std::string after = runOn(pass, one);
      if (write) one.after = after;
      EXPECT_EQ(after, one.after);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
    }
  }
  if (write) writeCases(pass, cases);
}

std::vector<std::string_view> passNames() {
  std::vector<std::string_view> names{kAllPhases};
  for (const Pass& pass : allPasses()) names.push_back(pass.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, PassGolden, testing::ValuesIn(passNames()), [](const auto& info) {
  std::string name(info.param);
  std::erase(name, '-');
  return name;
});

TEST(Passes, GoldenFilesBelongToPasses) {
  for (const auto& entry : std::filesystem::directory_iterator("tests/golden")) {
    if (entry.path().stem() == kAllPhases) continue;
    EXPECT_NO_THROW(findPass(entry.path().stem().string())) << entry.path();
  }
}

TEST(Passes, UnknownNamesSuggestTheNearest) {
  Graph graph = parseGraph("graph g\ninput %x : float32[2]\noutput %x\n");
  PassOptions options;
  options.skip = {"fold-constant"};
  try {
    runPasses(graph, Phase::Simplify, options);
    FAIL() << "an unknown pass was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::InvalidArgument);
    EXPECT_EQ(error.remedy(), "did you mean fold-constants?");
  }
}

// Three equal nodes, two patches to share them.
constexpr std::string_view kThreeEqual =
    "graph g\n"
    "input %x : float32[2]\n"
    "%a : float32[2] = Relu(%x)\n"
    "%b : float32[2] = Relu(%x)\n"
    "%c : float32[2] = Relu(%x)\n"
    "%d : float32[2] = Add(%a, %b)\n"
    "%e : float32[2] = Add(%d, %c)\n"
    "output %e\n";

TEST(Passes, PatchLimitStopsTheRewriting) {
  for (int64_t limit = 0; limit <= 3; ++limit) {
    Graph graph = parseGraph(kThreeEqual);
    PassOptions options;
    options.patchLimit = limit;
    EXPECT_EQ(runPasses(graph, Phase::Simplify, options), std::min<int64_t>(limit, 2));
    EXPECT_EQ(graph.nodes().size(), 5u - std::min<size_t>(limit, 2));
  }
}

TEST(Passes, PatchesOfAllPhasesAreNumbered) {
  Graph graph = parseGraph(kThreeEqual);
  PassOptions options;
  options.patchesBefore = 7;
  options.patchLimit = 8;
  std::vector<std::string> seen;
  options.onPatch = [&](const PatchReport& report) {
    seen.push_back(fmt::format("{} {} {}", report.number, report.pass, report.node.name));
  };
  EXPECT_EQ(runPasses(graph, Phase::Simplify, options), 1);
  EXPECT_EQ(seen, (std::vector<std::string>{"8 share-equal a"}));
  // Those of required passes are told to nobody.
  options.patchesBefore = 8;
  EXPECT_EQ(runPasses(graph, Phase::Fuse, options), 0);
  EXPECT_EQ(seen.size(), 1u);
}

TEST(Passes, RequiredPassesAreNeitherSkippedNorLimited) {
  Graph graph = parseGraph(kThreeEqual);
  PassOptions options;
  options.patchLimit = 0;
  EXPECT_EQ(runPasses(graph, Phase::Fuse, options), 0);
  for (const auto& node : graph.nodes()) EXPECT_TRUE(node->region) << node->name;
  options.skip = {"wrap-operators"};
  EXPECT_THROW(runPasses(graph, Phase::Fuse, options), Error);
}

TEST(Passes, RegionsStayWithinTheirLimits) {
  std::string text = "graph g\ninput %x : float32[4]\n";
  for (int i = 0; i < 12; ++i) text += fmt::format("input %i{} : float32[4]\n", i);
  std::string last = "x";
  for (int i = 0; i < 60; ++i) {
    const std::string operand = i % 5 == 0 ? fmt::format("i{}", i / 5) : last;
    text += fmt::format("%t{} : float32[4] = Add(%{}, %{})\n", i, last, operand);
    last = fmt::format("t{}", i);
  }
  Graph graph = parseGraph(text + "output %" + last + "\n");
  runPasses(graph, Phase::Fuse, {});
  size_t steps = 0;
  for (const auto& node : graph.nodes()) {
    steps += node->region->steps.size();
    EXPECT_LE(node->region->steps.size(), 24u);
    EXPECT_LE(node->region->inputCount, 8);
  }
  EXPECT_EQ(steps, 60u);
  EXPECT_LE(graph.nodes().size(), 4u);
}

TEST(Passes, SkippedPassesDoNothingAndReportsCountPatches) {
  Graph graph = parseGraph(kThreeEqual);
  PassOptions options;
  options.skip = {"share-equal"};
  int patches = 0;
  options.afterPass = [&](const PassReport& report, const Graph&) {
    EXPECT_NE(report.name, "share-equal");
    patches += report.patches;
  };
  EXPECT_EQ(runPasses(graph, Phase::Simplify, options), 0);
  options.skip.clear();
  options.afterPass = [&](const PassReport& report, const Graph&) { patches += report.patches; };
  EXPECT_EQ(runPasses(graph, Phase::Simplify, options), 2);
  EXPECT_EQ(patches, 2);
}

}  // namespace
}  // namespace carnot
