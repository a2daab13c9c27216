#include "kernel_instance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <sstream>
#include <stdexcept>

namespace carnot::test {
namespace {

void fillRandom(const Tensor& tensor, double low, double high, uint32_t seed) {
  std::mt19937 generator(seed);
  TensorView view = tensor.view();
  for (int64_t i = 0; i < view.count(); ++i) {
    if (isFloat(view.dtype))
      view.storeDouble(i, std::uniform_real_distribution<double>(low, high)(generator));
    else if (isComplex(view.dtype))
      view.storeComplex(i, {std::uniform_real_distribution<double>(low, high)(generator),
                            std::uniform_real_distribution<double>(low, high)(generator)});
    else
      view.storeInt(i, std::uniform_int_distribution<int64_t>(std::llround(low),
                                                              std::llround(high))(generator));
  }
}

CaseTensor parseInput(std::string text, uint32_t seed, std::map<std::string, int64_t>& symbols) {
  CaseTensor out;
  if (text == "absent") {
    out.desc.present = false;
    return out;
  }
  bool constant = text.starts_with("const ");
  if (constant) text.erase(0, 6);
  size_t open = text.find('['), close = text.find(']');
  if (open == std::string::npos || close == std::string::npos ||
      !parseDType(text.substr(0, open), out.desc.dtype))
    throw std::invalid_argument("a case's input reads '" + text + "'");
  std::vector<int64_t> dims;
  std::stringstream list(text.substr(open + 1, close - open - 1));
  for (std::string item; std::getline(list, item, ',');) {
    item.erase(0, item.find_first_not_of(' '));
    size_t equals = item.find('=');
    dims.push_back(std::stoll(equals == std::string::npos ? item : item.substr(equals + 1)));
    if (equals == std::string::npos) {
      out.desc.shape.push(dims.back());
    } else {
      symbols[item.substr(0, equals)] = dims.back();
      out.desc.shape.push(Dim::symbol(item.substr(0, equals)));
    }
  }
  out.data = Tensor(out.desc.dtype, dims);
  std::stringstream rest(text.substr(close + 1));
  std::string word;
  rest >> word;
  if (word == "=") {
    for (int64_t i = 0; i < out.data.count(); ++i) {
      double value = 0;
      rest >> value;
      out.data.view().storeDouble(i, value);
    }
  } else {
    bool real = isFloat(out.desc.dtype) || isComplex(out.desc.dtype);
    double low = real ? -1 : 0, high = real || out.desc.dtype == DType::Bool ? 1 : 9;
    if (word == "in") rest >> low >> word >> high;
    fillRandom(out.data, low, high, seed);
  }
  if (!rest && !rest.eof()) throw std::invalid_argument("a case's input reads '" + text + "'");
  return out;
}

// Index in memory of each logical element, in row-major order of the logical dims.
std::vector<int64_t> elementPlaces(Layout layout, const std::vector<int64_t>& dims) {
  int64_t count = elementCount(dims);
  std::vector<int64_t> places(static_cast<size_t>(count));
  std::vector<int64_t> physical = physicalDims(layout, dims);
  std::vector<int64_t> index(dims.size(), 0);
  for (int64_t i = 0; i < count; ++i) {
    std::vector<int64_t> at = index;
    if (layout.kind == Layout::Kind::ChannelsLast) {
      at.erase(at.begin() + 1);
      at.push_back(index[1]);
    } else if (layout.kind == Layout::Kind::ChannelBlocked) {
      at[1] = index[1] / layout.block;
      at.push_back(index[1] % layout.block);
    }
    int64_t place = 0;
    for (size_t axis = 0; axis < at.size(); ++axis) place = place * physical[axis] + at[axis];
    places[static_cast<size_t>(i)] = place;
    for (size_t axis = dims.size(); axis-- > 0;) {
      if (++index[axis] < dims[axis]) break;
      index[axis] = 0;
    }
  }
  return places;
}

}  // namespace

Problem Instance::problem(const DeviceTraits& device) const {
  Problem problem{.region = region, .inputs = {}, .outputs = {}, .device = device};
  for (const CaseTensor& input : inputs) problem.inputs.push_back(input.desc);
  for (const TensorType& type : outputs)
    problem.outputs.push_back({.dtype = type.dtype, .shape = type.shape});
  return problem;
}

int Instance::outputOver(int input) const {
  for (const Update& update : region.updates())
    if (update.input == static_cast<size_t>(input)) return static_cast<int>(update.output);
  return -1;
}

int Instance::inputUnder(size_t output) const {
  for (const Update& update : region.updates())
    if (update.output == output) return static_cast<int>(update.input);
  return -1;
}

Instance makeInstance(const KernelCase& kernelCase) {
  Instance instance;
  instance.region = Region::parse(kernelCase.region);
  uint32_t seed = 1;
  for (const std::string& text : kernelCase.inputs)
    instance.inputs.push_back(parseInput(text, seed++, instance.symbols));
  std::vector<TensorType> types;
  std::vector<const Tensor*> constants;
  std::vector<TensorView> views;
  for (CaseTensor& input : instance.inputs) {
    types.push_back({input.desc.dtype, input.desc.shape});
    views.push_back(input.desc.present ? input.data.view() : TensorView{});
  }
  for (size_t i = 0; i < kernelCase.inputs.size(); ++i) {
    CaseTensor& input = instance.inputs[i];
    if (kernelCase.inputs[i].starts_with("const ")) input.desc.constant = &input.data;
    constants.push_back(input.desc.constant);
  }
  types = inferRegion(instance.region, types, constants);
  std::vector<TensorView> outputs;
  for (int output : instance.region.outputs) {
    const TensorType& type = types[static_cast<size_t>(output)];
    instance.outputs.push_back(type);
    auto lookup = [&](const std::string& name) { return instance.symbols.at(name); };
    instance.expected.emplace_back(type.dtype, type.shape.evaluate(lookup));
  }
  for (const Tensor& tensor : instance.expected) outputs.push_back(tensor.view());
  std::map<std::string, Dim> symbols;
  for (const auto& [symbol, value] : instance.symbols) symbols.emplace(symbol, value);
  referenceRegion(instance.region.substitute(symbols), {views, outputs, {}});
  return instance;
}

std::unique_ptr<GuardedMemory> guardedTensor(DType dtype, const std::vector<int64_t>& dims,
                                             Layout layout, GuardedMemory::Touching touching) {
  size_t bytes = dtypeBytes(dtype, physicalCount(layout, dims));
  size_t element = std::max<size_t>(1, static_cast<size_t>(dtypeBits(dtype)) / 8);
  return std::make_unique<GuardedMemory>(bytes, element, touching);
}

void toLayout(const Tensor& tensor, Layout layout, GuardedMemory& out) {
  if (layout.isPlain()) {
    if (tensor.bytes()) std::memcpy(out.data(), tensor.data(), tensor.bytes());
    return;
  }
  out.fill(0xFF);
  size_t element = static_cast<size_t>(dtypeBits(tensor.dtype())) / 8;
  auto places = elementPlaces(layout, tensor.dims());
  for (size_t i = 0; i < places.size(); ++i)
    std::memcpy(static_cast<char*>(out.data()) + static_cast<size_t>(places[i]) * element,
                static_cast<const char*>(tensor.data()) + i * element, element);
}

Tensor fromLayout(DType dtype, const std::vector<int64_t>& dims, Layout layout,
                  const GuardedMemory& memory) {
  Tensor tensor(dtype, dims);
  if (layout.isPlain()) {
    if (tensor.bytes()) std::memcpy(tensor.as<char>(), memory.data(), tensor.bytes());
    return tensor;
  }
  size_t element = static_cast<size_t>(dtypeBits(dtype)) / 8;
  auto places = elementPlaces(layout, dims);
  for (size_t i = 0; i < places.size(); ++i)
    std::memcpy(tensor.as<char>() + i * element,
                static_cast<const char*>(memory.data()) + static_cast<size_t>(places[i]) * element,
                element);
  return tensor;
}

}  // namespace carnot::test
