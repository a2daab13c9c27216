// Builds an engine of an ONNX model (or loads a saved one), runs it once on made-up inputs and
// prints every output's shape and first elements: run_model MODEL.onnx|FILE.engine

#include <carnot/builder.h>
#include <carnot/contents.h>
#include <carnot/error.h>
#include <carnot/runtime.h>

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <span>
#include <string>
#include <vector>

namespace {

size_t bytesOf(carnot::DType dtype, std::span<const int64_t> dims) {
  int64_t elements = 1;
  for (int64_t dim : dims) elements *= dim;
  return carnot::dtypeBytes(dtype, elements);
}

void run(const std::string& path) {
  const carnot::Engine engine =
      carnot::isEngineFile(path) ? carnot::Engine::load(path) : carnot::build(path);
  carnot::Context context = engine.createContext();

  const auto shapes = engine.typicalShapes();
  std::vector<std::vector<std::byte>> memory;  // of inputs, then of outputs
  for (const carnot::TensorInfo& tensor : engine.inputs()) {
    const std::vector<int64_t>& dims = shapes.at(tensor.name);
    const size_t bytes = bytesOf(tensor.dtype, dims);
    memory.emplace_back(bytes);
    const size_t elements = bytes * 8 / static_cast<size_t>(carnot::dtypeBits(tensor.dtype));
    carnot::fillMadeUp(tensor.dtype, static_cast<int64_t>(elements), memory.back().data(), 1);
    context.setInputShape(tensor.name, dims);
    context.setInput(tensor.name, memory.back().data());
  }
  for (const carnot::TensorInfo& tensor : engine.outputs()) {
    memory.emplace_back(bytesOf(tensor.dtype, context.outputShape(tensor.name)));
    context.setOutput(tensor.name, memory.back().data());
  }
  context.run();

  for (size_t i = 0; i < engine.outputs().size(); ++i) {
    const carnot::TensorInfo& tensor = engine.outputs()[i];
    const std::vector<std::byte>& result = memory[engine.inputs().size() + i];
    std::cout << tensor.name << ':';
    for (int64_t dim : context.outputShape(tensor.name)) std::cout << ' ' << dim;
    std::cout << " =";
    for (int64_t k = 0; k < 4; ++k)
      if (carnot::dtypeBytes(tensor.dtype, k + 1) <= result.size())
        std::cout << ' ' << carnot::elementText(tensor.dtype, result.data(), k);
    std::cout << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: run_model MODEL.onnx|FILE.engine\n";
    return 2;
  }
  try {
    run(argv[1]);
  } catch (const carnot::Error& error) {
    std::cerr << "run_model: " << error.what() << '\n';
    return 1;
  }
}
