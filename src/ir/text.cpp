#include "ir/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <random>

#include "base/error.h"
#include "base/hash.h"

namespace carnot {

namespace {

constexpr int64_t kPrintedElements = 16;

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string quoteName(std::string_view name) {
  bool plain = !name.empty() && name != "_";
  for (char c : name)
    plain &= std::isalnum(static_cast<unsigned char>(c)) ||
             std::string_view("_./:-").find(c) != std::string_view::npos;
  return "%" + (plain ? std::string(name) : quote(name));
}

std::string typed(const Value& value) {
  std::string text = fmt::format("{} : {}", quoteName(value.name), value.type.toString());
  if (!value.layout.isPlain()) text += " @" + layoutName(value.layout);
  return text;
}

std::string elements(const Tensor& tensor) {
  if (tensor.count() > kPrintedElements || isComplex(tensor.dtype())) return "...";
  std::string text = "[";
  for (int64_t i = 0; i < tensor.count(); ++i) {
    if (i) text += ", ";
    const TensorView view = tensor.view();
    if (tensor.dtype() == DType::F32)
      text += fmt::format("{}", static_cast<float>(view.loadDouble(i)));
    else if (isFloat(tensor.dtype()))
      text += fmt::format("{}", view.loadDouble(i));
    else
      text += fmt::format("{}", view.loadInt(i));
  }
  return text + "]";
}

// A body's lines; parseGraph takes none.
std::string indented(const std::string& lines) {
  std::string text;
  for (size_t start = 0; start < lines.size();) {
    const size_t end = lines.find('\n', start) + 1;
    text += "  | " + lines.substr(start, end - start);
    start = end;
  }
  return text;
}

// One line, read from the front.
class Line {
 public:
  Line(std::string_view text, int number) : text_(text), number_(number) {}

  [[noreturn]] void fail(std::string_view needs) const {
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("line {} of the graph text has \"{}\"", number_, text_.substr(0, 40)),
                std::string(needs));
  }
  void skipSpace() {
    while (!text_.empty() && text_.front() == ' ') text_.remove_prefix(1);
  }
  bool done() {
    skipSpace();
    return text_.empty();
  }
  bool accept(std::string_view token) {
    skipSpace();
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }
  void expect(std::string_view token) {
    if (!accept(token)) fail(fmt::format("\"{}\"", token));
  }
  std::string quoted() {
    expect("\"");
    std::string out;
    for (size_t i = 0; i < text_.size(); ++i) {
      if (text_[i] == '"') {
        text_.remove_prefix(i + 1);
        return out;
      }
      if (text_[i] == '\\' && i + 1 < text_.size()) ++i;
      out += text_[i];
    }
    fail("a closing quote");
  }
  std::string name() {
    expect("%");
    if (text_.starts_with('"')) return quoted();
    return std::string(until(" ,()"));
  }
  std::string_view until(std::string_view stops) {
    size_t end = std::min(text_.find_first_of(stops), text_.size());
    std::string_view out = text_.substr(0, end);
    text_.remove_prefix(end);
    return out;
  }
  // Up to the bracket that closes the one opened first.
  std::string_view bracketed(char open, char close) {
    int depth = 0;
    for (size_t i = 0; i < text_.size(); ++i) {
      if (text_[i] == open) ++depth;
      if (text_[i] == close && --depth == 0) {
        std::string_view out = text_.substr(0, i + 1);
        text_.remove_prefix(i + 1);
        return out;
      }
    }
    fail(fmt::format("a closing '{}'", close));
  }
  std::string_view rest() const { return text_; }

  TensorType type() {
    skipSpace();
    TensorType out;
    std::string_view dtype = until("[");
    if (!parseDType(dtype, out.dtype)) fail("an element type");
    std::string_view dims = bracketed('[', ']');
    dims = dims.substr(1, dims.size() - 2);
    int depth = 0;
    size_t start = 0;
    for (size_t i = 0; i <= dims.size(); ++i) {
      if (i < dims.size() && dims[i] == '(') ++depth;
      if (i < dims.size() && dims[i] == ')') --depth;
      if (i == dims.size() || (dims[i] == ',' && depth == 0)) {
        if (i > start) out.shape.push(Dim::parse(dims.substr(start, i - start)));
        start = i + 1;
      }
    }
    if (accept("@")) until(" ,");
    return out;
  }

 private:
  std::string_view text_;
  int number_;
};

Tensor parseElements(Line& line, const std::string& name, const TensorType& type) {
  Tensor tensor(type.dtype, type.shape.concrete());
  if (line.accept("...")) {
    std::mt19937 random(static_cast<unsigned>(hash64(name)));
    for (int64_t i = 0; i < tensor.count(); ++i)
      tensor.view().storeDouble(i, static_cast<double>(random() % 2048) / 1024.0 - 1.0);
    return tensor;
  }
  std::string_view list = line.bracketed('[', ']');
  list = list.substr(1, list.size() - 2);
  for (int64_t i = 0; i < tensor.count(); ++i) {
    while (!list.empty() && (list.front() == ' ' || list.front() == ',')) list.remove_prefix(1);
    auto read = [&](auto value) {
      auto [end, status] = std::from_chars(list.data(), list.data() + list.size(), value);
      if (status != std::errc()) line.fail(fmt::format("{} elements", tensor.count()));
      list.remove_prefix(static_cast<size_t>(end - list.data()));
      return value;
    };
    if (isFloat(type.dtype))
      tensor.view().storeDouble(i, read(double{}));
    else
      tensor.view().storeInt(i, read(int64_t{}));
  }
  return tensor;
}

class Parser {
 public:
  Graph graph;

  void parse(Line line) {
    if (line.done()) return;
    if (line.accept("graph")) {
      line.skipSpace();
      graph.name = std::string(line.rest());
    } else if (line.accept("input")) {
      std::string name = line.name();
      line.expect(":");
      define(line, name, graph.addInput(name, line.type()));
    } else if (line.accept("state")) {
      std::string name = line.name();
      line.expect(":");
      define(line, name, graph.addState(name, line.type()));
    } else if (line.accept("update")) {
      parseUpdate(line);
    } else if (line.accept("const")) {
      std::string name = line.name();
      line.expect(":");
      TensorType type = line.type();
      line.expect("=");
      line.skipSpace();
      define(line, name, graph.addConstant(name, parseElements(line, name, type)));
    } else if (line.accept("output")) {
      graph.outputs.push_back(use(line, line.name()));
    } else {
      parseNode(line);
    }
  }

 private:
  void parseUpdate(Line& line) {
    const Value* before = use(line, line.name());
    auto state = std::ranges::find(graph.states, before, &StateOperand::before);
    if (state == graph.states.end()) line.fail("a state");
    line.expect("=");
    line.skipSpace();
    state->after = use(line, line.name());
  }

  void parseNode(Line& line) {
    std::vector<std::pair<std::string, TensorType>> results;
    do {
      std::string name = line.name();
      line.expect(":");
      TensorType type = line.type();
      results.emplace_back(std::move(name), std::move(type));
    } while (line.accept(","));
    line.expect("=");
    line.skipSpace();
    Operator op;
    std::optional<Region> region;
    if (line.accept("region")) {
      region = Region::parse(line.quoted());
    } else {
      std::string text(line.until("{("));
      if (line.rest().starts_with("{")) text += line.bracketed('{', '}');
      op = Operator::parse(text);
    }
    line.expect("(");
    std::vector<Value*> inputs;
    while (!line.accept(")")) {
      if (!inputs.empty()) line.expect(",");
      inputs.push_back(line.accept("_") ? nullptr : use(line, line.name()));
    }
    Node* node = region ? graph.addRegion(results[0].first, *region, std::move(inputs))
                        : graph.addNode(results[0].first, op, std::move(inputs), results.size());
    if (node->outputs.size() != results.size()) line.fail("as many results as the region has");
    for (size_t i = 0; i < results.size(); ++i) {
      if (node->outputs[i]->type != results[i].second)
        line.fail(
            fmt::format("type {} for {}", node->outputs[i]->type.toString(), results[i].first));
      graph.uniqueName(results[i].first);  // taken, so that no later tensor gets it
      node->outputs[i]->name = results[i].first;
      define(line, results[i].first, node->outputs[i]);
    }
    if (line.accept("from")) {
      do {
        line.skipSpace();
        node->origins.push_back(line.quoted());
      } while (line.accept(","));
    }
  }

  void define(Line& line, const std::string& name, Value* value) {
    if (!byName_.emplace(name, value).second) line.fail(fmt::format("one tensor named %{}", name));
  }
  Value* use(Line& line, const std::string& name) {
    auto found = byName_.find(name);
    if (found == byName_.end()) line.fail(fmt::format("a tensor named %{} above", name));
    return found->second;
  }
  std::map<std::string, Value*> byName_;
};

}  // namespace

std::string printGraph(const Graph& graph) {
  std::string text = fmt::format("graph {}\n", graph.name);
  for (const Value* input : graph.inputs) text += fmt::format("input {}\n", typed(*input));
  for (const StateOperand& state : graph.states)
    text += fmt::format("state {}\n", typed(*state.before));
  for (const auto& value : graph.values())
    if (value->isConstant() && (!value->consumers.empty() || graph.isOutput(value.get())))
      text += fmt::format("const {} = {}\n", typed(*value), elements(*value->constant));
  for (const auto& node : graph.nodes()) {
    for (size_t i = 0; i < node->outputs.size(); ++i)
      text += (i ? ", " : "") + typed(*node->outputs[i]);
    text += " = ";
    text += node->region ? "region " + quote(node->region->toString()) : node->op.toString();
    text += "(";
    for (size_t i = 0; i < node->inputs.size(); ++i)
      text +=
          (i ? ", " : "") + (node->inputs[i] ? quoteName(node->inputs[i]->name) : std::string("_"));
    text += ")";
    for (size_t i = 0; i < node->origins.size(); ++i)
      text += (i ? ", " : " from ") + quote(node->origins[i]);
    text += "\n";
    for (const std::shared_ptr<Graph>& body : node->bodies) text += indented(printGraph(*body));
  }
  for (const Value* output : graph.outputs)
    text += fmt::format("output {}\n", quoteName(output->name));
  for (const StateOperand& state : graph.states)
    if (state.after != state.before)
      text += fmt::format("update {} = {}\n", quoteName(state.before->name),
                          quoteName(state.after->name));
  return text;
}

Graph parseGraph(std::string_view text) {
  Parser parser;
  int number = 1;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    parser.parse(Line(text.substr(0, end), number++));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return std::move(parser.graph);
}

}  // namespace carnot
