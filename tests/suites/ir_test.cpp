#include <gtest/gtest.h>

#include "base/error.h"
#include "ir/graph.h"
#include "ir/patch.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "ops/pointwise_activation.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/reshape.h"

namespace carnot {
namespace {

// Texts that parse and print to themselves.
const char* const kTexts[] = {
    "graph g\ninput %x : float32[batch, 3]\noutput %x\n",
    "graph all kinds of constants\n"
    "input %x : float32[2]\n"
    "const %a : int64[2] = [-9223372036854775808, 9223372036854775807]\n"
    "const %b : float32[3] = [-inf, nan, 0.1]\n"
    "const %c : bool[2] = [1, 0]\n"
    "const %d : float64[] = [0.1]\n"
    "const %e : float32[0] = []\n"
    "%y : float32[2] = Relu(%x)\n"
    "output %y\noutput %a\noutput %b\noutput %c\noutput %d\noutput %e\n",
    "graph names\n"
    "input %\"a b\\\"c\\\\\" : float32[2]\n"
    "%_t/y.0:1-2 : float32[2] = Relu(%\"a b\\\"c\\\\\") from \"one \\\"two\\\"\", \"three\"\n"
    "%\"_\" : float32[2] = Relu(%_t/y.0:1-2)\n"
    "output %\"_\"\n",
    "graph names that look like generated ones\n"
    "input %x : float32[2]\n"
    "%a : float32[2] = Relu(%x)\n"
    "%a:0 : float32[2] = Relu(%a)\n"
    "%a_1 : float32[2] = Relu(%a:0)\n"
    "output %a_1\n",
    "graph regions\n"
    "input %x : float32[max(batch, 2), floordiv(seq + 1, 2)]\n"
    "%a : float32[max(batch, 2), floordiv(seq + 1, 2)], "
    "%b : float32[max(batch, 2), floordiv(seq + 1, 2)] = "
    "region \"(a) b=Gelu{approximate=\\\"tanh\\\"}(a) c=Add(b,a) -> b,c\"(%x)\n"
    "output %b\noutput %a\n",
    "graph states\n"
    "input %q : float32[tokens, 2, 8]\n"
    "input %t : int32[sequences, most]\n"
    "input %s : int32[sequences + 1]\n"
    "input %l : int32[sequences]\n"
    "state %c : float32[blocks, 2, 2, 4, 8]\n"
    "state %unchanged : int64[]\n"
    "%r : float32[blocks, 2, 2, 4, 8] = Relu(%c)\n"
    "%y : float32[tokens, 2, 8], %d : float32[blocks, 2, 2, 4, 8] = "
    "PagedAttention{scale=0.5}(%q, %q, %q, %c, %t, %s, %l)\n"
    "%z : float32[tokens, 2, 8], %e : float32[blocks, 2, 2, 4, 8] = "
    "PagedAttention{scale=0.25}(%y, %y, %y, %d, %t, %s, %l)\n"
    "output %z\noutput %r\n"
    "update %c = %e\n",
    "graph absent inputs and several outputs\n"
    "input %x : float32[2, 4]\n"
    "const %w : float32[4] = [1, 2, 3, 4]\n"
    "%n : float32[2, 4] = LayerNorm{axis=1}(%x, %w, _)\n"
    "output %n\n",
};

TEST(IrText, PrintsWhatItReads) {
  for (const char* text : kTexts) {
    try {
      Graph graph = parseGraph(text);
      verify(graph);
      EXPECT_EQ(printGraph(graph), text);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what() << "\n" << text;
    }
  }
}

TEST(IrText, LargeConstantsAreSeeded) {
  const char* text =
      "graph g\ninput %x : float32[100]\nconst %w : float32[100] = ...\n"
      "%y : float32[100] = Add(%x, %w)\noutput %y\n";
  Graph a = parseGraph(text), b = parseGraph(text);
  EXPECT_TRUE(
      a.nodeList()[0]->inputs[1]->constant->sameBytes(*b.nodeList()[0]->inputs[1]->constant));
  EXPECT_EQ(printGraph(a), text);
}

struct BadText {
  const char* line;
  const char* wants;
};
const BadText kBadTexts[] = {
    {"%y : float32[2] = Relu(%z)", "a tensor named %z above"},
    {"%y : float32[3] = Relu(%x)", "type float32[2] for y"},
    {"%x : float32[2] = Relu(%x)", "one tensor named %x"},
    {"%y : floot32[2] = Relu(%x)", "an element type"},
    {"%y : float32[2 = Relu(%x)", "a closing ']'"},
    {"const %c : float32[2] = [1, q]", "2 elements"},
    {"%y : float32[2] Relu(%x)", "\"=\""},
    {"%\"y : float32[2] = Relu(%x)", "a closing quote"},
};

TEST(IrText, ErrorsNameTheLine) {
  for (const BadText& bad : kBadTexts) {
    try {
      parseGraph(std::string("graph g\ninput %x : float32[2]\n") + bad.line + "\n");
      ADD_FAILURE() << bad.line << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::InvalidArgument);
      EXPECT_TRUE(error.has().find("line 3") != std::string::npos) << error.what();
      EXPECT_EQ(error.needs(), bad.wants) << bad.line;
    }
  }
}

TEST(Graph, EqualSmallConstantsAreShared) {
  Graph graph;
  Value* a = graph.addConstant("a", Tensor::scalar(DType::F32, 2));
  EXPECT_EQ(graph.addConstant("b", Tensor::scalar(DType::F32, 2)), a);
  EXPECT_NE(graph.addConstant("c", Tensor::scalar(DType::F64, 2)), a);
  EXPECT_NE(graph.addConstant("d", Tensor::scalar(DType::F32, 3)), a);
}

TEST(Graph, SortKeepsTheOrderWhereItIsFree) {
  const char* text =
      "graph g\ninput %x : float32[2]\n"
      "%a : float32[2] = Relu(%x)\n"
      "%b : float32[2] = Relu(%a)\n"
      "%c : float32[2] = Exp(%x)\n"
      "%d : float32[2] = Add(%c, %b)\n"
      "output %d\n";
  Graph graph = parseGraph(text);
  graph.sort();
  EXPECT_EQ(printGraph(graph), text);
}

// What stands between the interface and the outputs, in its order.
std::string withState(const std::string& nodes) {
  return "graph g\ninput %q : float32[5, 2, 8]\ninput %t : int32[1, 3]\ninput %s : int32[2]\n"
         "input %l : int32[1]\nstate %c : float32[3, 2, 2, 4, 8]\n" +
         nodes + "output %z\noutput %r\nupdate %c = %d\n";
}
const std::string kReader = "%r : float32[3, 2, 2, 4, 8] = Relu(%c)\n";
const std::string kUpdater =
    "%z : float32[5, 2, 8], %d : float32[3, 2, 2, 4, 8] = "
    "PagedAttention(%q, %q, %q, %c, %t, %s, %l)\n";

TEST(Graph, StatesAreReadBeforeTheyAreWritten) {
  Graph graph = parseGraph(withState(kUpdater + kReader));
  EXPECT_THROW(verify(graph), Error);
  graph.sort();
  verify(graph);
  EXPECT_EQ(printGraph(graph), withState(kReader + kUpdater));
  verify(graph.clone());
  EXPECT_EQ(printGraph(graph.clone()), printGraph(graph));
}

TEST(Graph, StatesThatDoNotHold) {
  using Break = void (*)(Graph&);
  const std::pair<const char*, Break> cases[] = {
      {"ends as another tensor", [](Graph& g) { g.states[0].after = g.states[0].before; }},
      {"is not listed", [](Graph& g) { g.states.clear(); }},
      {"is an output", [](Graph& g) { g.outputs.push_back(g.states[0].after); }},
      {"is an input too", [](Graph& g) { g.inputs.push_back(g.states[0].before); }},
      {"is updated twice",
       [](Graph& g) {
         Node* node = g.nodeList()[1];
         g.addNode("again", node->op, node->inputs, 2);
       }},
      {"is no state",
       [](Graph& g) {
         Value* other = g.addInput("other", g.states[0].before->type);
         g.setInput(g.nodeList()[1], 3, other);
       }},
  };
  for (const auto& [name, damage] : cases) {
    Graph graph = parseGraph(withState(kReader + kUpdater));
    verify(graph);
    damage(graph);
    EXPECT_THROW(verify(graph), Error) << name;
  }
}

TEST(Graph, SortFindsCycles) {
  Graph graph = parseGraph(
      "graph g\ninput %x : float32[2]\n%a : float32[2] = Relu(%x)\n%b : float32[2] = Relu(%a)\n"
      "output %b\n");
  std::vector<Node*> nodes = graph.nodeList();
  graph.setInput(nodes[0], 0, nodes[1]->outputs[0]);
  EXPECT_THROW(verify(graph), Error);
  EXPECT_THROW(graph.sort(), Error);
}

// x → Relu (a) → Exp (b), Neg (c)
Graph forPatches() {
  return parseGraph(
      "graph g\ninput %x : float32[batch, 2]\n"
      "%a : float32[batch, 2] = Relu(%x) from \"A\"\n"
      "%b : float32[batch, 2] = Exp(%a) from \"B\"\n"
      "%c : float32[batch, 2] = Neg(%a) from \"C\"\n"
      "output %b\noutput %c\n");
}

TEST(Patch, ReplacesAndDropsWhatDied) {
  Graph graph = forPatches();
  std::vector<Node*> nodes = graph.nodeList();
  Patch patch("p", nodes[1]);
  Patch::Ref tanh = patch.add(Operator::of(Tanh{}), {graph.inputs[0]});
  patch.replace(nodes[1]->outputs[0], patch.add(Operator::of(Sqrt{}), {tanh}));
  ASSERT_TRUE(patch.applicable(graph));
  EXPECT_EQ(patch.apply(graph).size(), 1u);
  verify(graph);
  EXPECT_EQ(printGraph(graph),
            "graph g\ninput %x : float32[batch, 2]\n"
            "%a : float32[batch, 2] = Relu(%x) from \"A\"\n"
            "%b_1:0 : float32[batch, 2] = Tanh(%x) from \"B\"\n"
            "%b : float32[batch, 2] = Sqrt(%b_1:0) from \"B\"\n"
            "%c : float32[batch, 2] = Neg(%a) from \"C\"\n"
            "output %b\noutput %c\n");
}

TEST(Patch, DropsChainsAndGathersOriginsInOrder) {
  Graph graph = forPatches();
  std::vector<Node*> nodes = graph.nodeList();
  Patch patch("p", nodes[2]);
  Patch::Ref both =
      patch.add(Region::parse("(a) b=Relu(a) c=Exp(b) d=Neg(b) -> c,d"), {graph.inputs[0]});
  patch.replace(nodes[1]->outputs[0], both);
  patch.replace(nodes[2]->outputs[0], Patch::outputOf(both, 1));
  EXPECT_EQ(patch.apply(graph).size(), 3u);
  verify(graph);
  ASSERT_EQ(graph.nodes().size(), 1u);
  EXPECT_EQ(graph.nodeList()[0]->origins, (std::vector<std::string>{"A", "B", "C"}));
}

TEST(Patch, MendsTheOrder) {
  Graph graph = forPatches();
  std::vector<Node*> nodes = graph.nodeList();
  Patch patch("p", nodes[2]);  // Exp reads what is made right before Neg
  Patch::Ref both = patch.add(Region::parse("(a) b=Relu(a) c=Neg(b) -> b,c"), {graph.inputs[0]});
  patch.replace(nodes[0]->outputs[0], both);
  patch.replace(nodes[2]->outputs[0], Patch::outputOf(both, 1));
  patch.apply(graph);
  verify(graph);
  EXPECT_TRUE(graph.nodeList()[0]->region);
}

TEST(Patch, RefusesOtherTypesAndKeepsTheInterface) {
  Graph graph = forPatches();
  std::vector<Node*> nodes = graph.nodeList();
  Patch wrong("p", nodes[1]);
  wrong.replace(nodes[1]->outputs[0],
                wrong.add(Operator::of(Reshape{{Dim::symbol("batch") * 2}}), {graph.inputs[0]}));
  EXPECT_THROW(wrong.apply(graph), Error);

  Graph same = forPatches();
  nodes = same.nodeList();
  Patch toInput("p", nodes[1]);
  toInput.replace(nodes[1]->outputs[0], same.inputs[0]);
  EXPECT_FALSE(toInput.applicable(same));
  Patch toOutput("p", nodes[2]);
  toOutput.replace(nodes[2]->outputs[0], nodes[1]->outputs[0]);
  EXPECT_FALSE(toOutput.applicable(same));
  Patch inside("p", nodes[0]);
  inside.replace(nodes[0]->outputs[0], same.inputs[0]);
  EXPECT_TRUE(inside.applicable(same));
  inside.apply(same);
  verify(same);
  EXPECT_EQ(same.nodes().size(), 2u);
}

TEST(Patch, KnowledgeOfDimsTravels) {
  // The sum's dim n is found to be 3 once its operand is replaced.
  Graph graph = parseGraph(
      "graph g\ninput %x : float32[n]\ninput %z : float32[3]\n"
      "%a : float32[n] = Relu(%x)\n%b : float32[n] = Exp(%a)\n%c : float32[n] = Neg(%b)\n"
      "output %c\n");
  Node* relu = graph.nodeList()[0];
  Patch patch("p", relu);
  patch.replace(relu->outputs[0], patch.add(Operator::of(Relu{}), {graph.inputs[1]}));
  patch.apply(graph);
  verify(graph);
  EXPECT_EQ(graph.outputs[0]->type.shape, Shape({3}));
}

}  // namespace
}  // namespace carnot
