#pragma once

#include <carnot/builder.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace carnot {

// One thing that keeps a model from being imported.
struct ParseIssue {
  ErrorCode code = ErrorCode::InvalidModel;
  std::string text;  // what it has, needs, and what to do
  // The node at fault, by name, operator type ("com.microsoft.Gelu") and place in the model's list;
  // empty and -1 when it is the whole model's.
  std::string node, operatorType;
  int nodeIndex = -1;
};

// What a network says of one of its layers: an operator with its operands.
struct NetworkLayer {
  std::string name;
  std::string type;                          // "Conv", "MatMul", "Softmax"
  std::vector<std::string> inputs, outputs;  // names of tensors; empty: an optional one left out
  std::vector<std::pair<std::string, std::string>> attributes;  // as text: {"group", "1"}
  std::vector<std::string> origins;                             // ONNX nodes
};

// A network before it is built: what a model's file says, in Carnot's operators, with its inputs
// and outputs open to change. Tensors bear the names that they have in the model. A handle with
// value semantics: copies are independent.
class Network {
 public:
  Network();  // empty
  Network(const Network&);
  Network(Network&&) noexcept;
  Network& operator=(const Network&);
  Network& operator=(Network&&) noexcept;
  ~Network();

  // Reads an ONNX file, or its bytes (external data is then read from `folder`). Throws Error as
  // build does.
  static Network parse(const std::string& path);
  static Network parse(std::span<const std::byte> model, const std::string& folder = {});
  // As parse, but with what is wrong as a list of one or more issues in place of an Error: every
  // node of an unsupported type, else the first thing found. Empty when it can be parsed.
  static std::vector<ParseIssue> check(std::span<const std::byte> model,
                                       const std::string& folder = {});

  const std::string& name() const;
  void setName(std::string name);

  std::vector<TensorInfo> inputs() const;   // in order
  std::vector<TensorInfo> outputs() const;  // in order, under the application's names
  std::vector<TensorInfo> states() const;   // as Engine::states
  size_t layerCount() const;
  NetworkLayer layer(size_t index) const;  // in topological order
  // Any tensor by its name; nullopt when there is none.
  std::optional<TensorInfo> tensor(std::string_view name) const;
  // Its contents, when they are constant: `data` is row-major and lives as long as the network.
  struct Constant {
    DType dtype;
    std::vector<int64_t> dims;
    std::span<const std::byte> data;
  };
  std::optional<Constant> constant(std::string_view tensor) const;

  // Makes a tensor an output, after those there are. Throws Error (InvalidArgument) for a name that
  // is no tensor's, or an output's already.
  void markOutput(std::string_view tensor);
  void unmarkOutput(std::string_view output);
  // A new name for an input or output.
  void rename(std::string_view tensor, std::string name);
  // Dims of an input in place of those declared: a number fixes a dim, -1 leaves it free. All that
  // follows is inferred anew. Throws Error (InvalidArgument) naming the input, or the node that
  // refuses the shape; the network is then as before.
  void setInputShape(std::string_view input, std::span<const int64_t> dims);
  // The element type in which the application passes an input or takes an output: a conversion
  // stands between it and the network.
  void setDType(std::string_view tensor, DType dtype);

  struct State;
  explicit Network(std::unique_ptr<State> state);
  const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

// Builds an engine; the network stays as it is. Throws as for a model.
Engine build(const Network& network, const BuildOptions& options = {});

}  // namespace carnot
