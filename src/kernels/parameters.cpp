#include "kernels/parameters.h"

#include <carnot/error.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace carnot {
namespace {

class Writer {
 public:
  template <typename T>
  requires std::is_arithmetic_v<T>
  void put(T value) {
    auto* raw = reinterpret_cast<const std::byte*>(&value);
    bytes.insert(bytes.end(), raw, raw + sizeof value);
  }
  void put(std::string_view text) {
    put(static_cast<uint32_t>(text.size()));
    auto* raw = reinterpret_cast<const std::byte*>(text.data());
    bytes.insert(bytes.end(), raw, raw + text.size());
  }
  std::vector<std::byte> bytes;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <typename T>
  T get() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string text() {
    auto raw = take(get<uint32_t>());
    return {reinterpret_cast<const char*>(raw.data()), raw.size()};
  }
  bool flag() {
    auto value = get<uint8_t>();
    if (value > 1) throwBadParameters("a flag is neither 0 nor 1");
    return value != 0;
  }
  // A count of items that take at least `itemBytes` each.
  size_t count(size_t itemBytes) {
    size_t value = get<uint32_t>();
    if (value > bytes_.size() / itemBytes)
      throwBadParameters("a count exceeds the bytes that follow");
    return value;
  }
  std::span<const std::byte> take(size_t size) {
    if (size > bytes_.size()) throwBadParameters("the bytes end early");
    auto head = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return head;
  }
  bool atEnd() const { return bytes_.empty(); }

 private:
  std::span<const std::byte> bytes_;
};

constexpr uint8_t kPresent = 1, kConstant = 2, kContents = 4, kSymbolic = 8;

// Contents that shape inference or folding may ask for again.
constexpr int64_t kMaxContents = 64;

void putDesc(Writer& writer, const TensorDesc& desc) {
  bool contents = desc.constant && !desc.constant->empty() &&
                  (desc.constant->count() == 1 ||
                   (!isFloat(desc.dtype) && desc.constant->count() <= kMaxContents));
  writer.put(static_cast<uint8_t>((desc.present ? kPresent : 0) | (desc.constant ? kConstant : 0) |
                                  (contents ? kContents : 0) | (desc.contents ? kSymbolic : 0)));
  writer.put(static_cast<uint8_t>(desc.dtype));
  writer.put(static_cast<uint32_t>(desc.shape.rank()));
  for (const Dim& dim : desc.shape) writer.put(std::string_view(dim.toString()));
  if (contents)
    writer.put(
        std::string_view(static_cast<const char*>(desc.constant->data()), desc.constant->bytes()));
  if (!desc.contents) return;
  writer.put(static_cast<uint32_t>(desc.contents->size()));
  for (const Dim& element : *desc.contents) writer.put(std::string_view(element.toString()));
}

TensorDesc getDesc(Reader& reader, Tensor& constant) {
  auto flags = reader.get<uint8_t>();
  if (flags > 15) throwBadParameters("a tensor has unknown flags");
  TensorDesc desc;
  desc.present = flags & kPresent;
  auto dtype = reader.get<uint8_t>();
  if (dtype >= kDTypeCount) throwBadParameters(fmt::format("an element type is {}", dtype));
  desc.dtype = static_cast<DType>(dtype);
  for (size_t i = 0, rank = reader.count(sizeof(uint32_t)); i < rank; ++i)
    desc.shape.push(Dim::parse(reader.text()));
  for (const Dim& dim : desc.shape)
    if (dim.isConstant() && dim.constant() < 0) throwBadParameters("a dim is negative");
  if (flags & kConstant) desc.constant = &constant;
  if (flags & kContents) {
    std::string raw = reader.text();
    if (!desc.constant || !desc.shape.isStatic())
      throwBadParameters("a tensor with contents is not constant");
    std::vector<int64_t> dims = desc.shape.concrete();
    if (raw.size() != dtypeBytes(desc.dtype, elementCount(dims)))
      throwBadParameters("the contents of a constant have the wrong size");
    constant = Tensor(desc.dtype, std::move(dims));
    if (!raw.empty()) std::memcpy(constant.as<char>(), raw.data(), raw.size());
  }
  if (flags & kSymbolic) {
    desc.contents.emplace();
    for (size_t i = 0, count = reader.count(sizeof(uint32_t)); i < count; ++i)
      desc.contents->push_back(Dim::parse(reader.text()));
  }
  return desc;
}

void putField(Writer& writer, const FieldValue& value) {
  writer.put(static_cast<uint8_t>(value.index()));
  if (auto* integer = std::get_if<int64_t>(&value)) return writer.put(*integer);
  if (auto* real = std::get_if<double>(&value)) return writer.put(*real);
  if (auto* flag = std::get_if<bool>(&value)) return writer.put(static_cast<uint8_t>(*flag));
  if (auto* text = std::get_if<std::string>(&value)) return writer.put(std::string_view(*text));
  throwInternal("a configuration's parameter is neither number, flag nor text");
}

FieldValue getField(Reader& reader) {
  switch (reader.get<uint8_t>()) {
    case 0:
      return reader.get<int64_t>();
    case 1:
      return reader.get<double>();
    case 2:
      return reader.flag();
    case 3:
      return reader.text();
    default:
      throwBadParameters("a parameter has an unknown kind");
  }
}

void putLayouts(Writer& writer, const std::vector<Layout>& layouts) {
  for (Layout layout : layouts) {
    writer.put(static_cast<uint8_t>(layout.kind));
    writer.put(layout.block);
  }
}

std::vector<Layout> getLayouts(Reader& reader, size_t count) {
  std::vector<Layout> layouts(count);
  for (Layout& layout : layouts) {
    auto kind = reader.get<uint8_t>();
    if (kind > static_cast<uint8_t>(Layout::Kind::ChannelBlocked))
      throwBadParameters("a layout is of an unknown kind");
    layout.kind = static_cast<Layout::Kind>(kind);
    layout.block = reader.get<uint8_t>();
    if (layout.block == 0) throwBadParameters("a layout's block is 0");
  }
  return layouts;
}

}  // namespace

void throwBadParameters(std::string why) {
  throw Error(ErrorCode::InvalidModel,
              "a kernel's stored parameters do not hold: " + std::move(why),
              "an undamaged engine file", "build the engine again");
}

// What the first word holds beside the instruction sets.
constexpr uint32_t kTf32 = 1u << 30, kBf16 = 1u << 31;

std::vector<std::byte> encodeProblem(const Problem& problem, const Configuration& configuration) {
  ensure(configuration.inputs.size() == problem.inputs.size() &&
             configuration.outputs.size() == problem.outputs.size(),
         "a configuration has a layout for every input and output");
  Writer writer;
  writer.put(problem.device.isa.bits | (problem.tf32 ? kTf32 : 0) | (problem.bf16 ? kBf16 : 0));
  writer.put(std::string_view(problem.region.toString()));
  writer.put(static_cast<uint32_t>(problem.inputs.size()));
  for (const TensorDesc& input : problem.inputs) putDesc(writer, input);
  writer.put(static_cast<uint32_t>(problem.outputs.size()));
  for (const TensorDesc& output : problem.outputs) putDesc(writer, output);
  writer.put(static_cast<uint32_t>(configuration.parameters.size()));
  for (const auto& [name, value] : configuration.parameters) {
    writer.put(std::string_view(name));
    putField(writer, value);
  }
  putLayouts(writer, configuration.inputs);
  putLayouts(writer, configuration.outputs);
  return std::move(writer.bytes);
}

StoredProblem decodeProblem(std::span<const std::byte> bytes, const DeviceTraits& device) {
  StoredProblem stored;
  Reader reader(bytes);
  try {
    Problem& problem = stored.problem;
    problem.device = device;
    const auto first = reader.get<uint32_t>();
    problem.tf32 = first & kTf32;
    problem.bf16 = first & kBf16;
    problem.device.isa.bits = first & ~(kTf32 | kBf16);
    problem.region = Region::parse(reader.text());
    size_t inputs = reader.count(6);
    if (inputs != static_cast<size_t>(problem.region.inputCount))
      throwBadParameters("the region and its types differ in the number of inputs");
    stored.constants_.resize(inputs);
    for (size_t i = 0; i < inputs; ++i)
      problem.inputs.push_back(getDesc(reader, stored.constants_[i]));
    size_t outputs = reader.count(6);
    if (outputs != problem.region.outputs.size())
      throwBadParameters("the region and its types differ in the number of outputs");
    Tensor none;
    for (size_t i = 0; i < outputs; ++i) {
      problem.outputs.push_back(getDesc(reader, none));
      if (problem.outputs.back().constant) throwBadParameters("an output is constant");
    }
    for (size_t i = 0, count = reader.count(5); i < count; ++i) {
      std::string name = reader.text();
      stored.configuration.parameters.emplace(std::move(name), getField(reader));
    }
    stored.configuration.inputs = getLayouts(reader, inputs);
    stored.configuration.outputs = getLayouts(reader, outputs);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::InvalidModel) throw;
    throwBadParameters(error.what());
  }
  if (!reader.atEnd()) throwBadParameters("bytes are left over");
  if (!device.isa.contains(stored.problem.device.isa))
    throw Error(
        ErrorCode::Incompatible, fmt::format("a processor with {}", isaNames(device.isa)),
        fmt::format("{}, for which the kernel was built", isaNames(stored.problem.device.isa)),
        "build the engine with --isa for this processor");
  return stored;
}

std::vector<int> presentInputs(const Problem& problem) {
  std::vector<int> present;
  for (size_t i = 0; i < problem.inputs.size(); ++i)
    if (problem.inputs[i].present) present.push_back(static_cast<int>(i));
  return present;
}

size_t positionOf(std::span<const int> runtimeInputs, int input) {
  auto found = std::ranges::find(runtimeInputs, input);
  if (found == runtimeInputs.end())
    throwBadParameters(fmt::format("no run gives input {}, which the kernel reads", input));
  return static_cast<size_t>(found - runtimeInputs.begin());
}

std::vector<Layout> plainLayouts(size_t count) { return std::vector<Layout>(count); }

namespace {

// An engine's tensors may be others than those that its kernels were prepared for.
void checkFormats(const StoredProblem& stored, std::span<const int> runtimeInputs,
                  const ConcreteShapes& shapes) {
  if (shapes.inputFormats.empty() && shapes.outputFormats.empty()) return;
  auto check = [](const char* what, size_t index, const std::optional<TensorFormat>& has,
                  const TensorFormat& needs) {
    if (has == needs) return;
    auto text = [](const TensorFormat& format) {
      return fmt::format("{} in layout {}", dtypeName(format.dtype), layoutName(format.layout));
    };
    throwBadParameters(fmt::format("{} {} is {}, not {}", what, index,
                                   has ? text(*has) : std::string("left out"), text(needs)));
  };
  const Problem& problem = stored.problem;
  for (size_t i = 0; i < runtimeInputs.size(); ++i) {
    auto input = static_cast<size_t>(runtimeInputs[i]);
    check("input", i, shapes.inputFormats.at(i),
          {problem.inputs[input].dtype, stored.configuration.inputs[input]});
  }
  for (size_t i = 0; i < problem.outputs.size(); ++i)
    check("output", i, shapes.outputFormats.at(i),
          {problem.outputs[i].dtype, stored.configuration.outputs[i]});
}

}  // namespace

std::vector<TensorType> concreteTypes(const StoredProblem& stored,
                                      std::span<const int> runtimeInputs,
                                      const ConcreteShapes& shapes) {
  const Problem& problem = stored.problem;
  if (shapes.inputs.size() != runtimeInputs.size() ||
      shapes.outputs.size() != problem.outputs.size())
    throwBadParameters("a step has another number of inputs or outputs than its kernel");
  checkFormats(stored, runtimeInputs, shapes);
  Problem concrete = problem.substitute(shapes.symbols);
  for (size_t i = 0; i < runtimeInputs.size(); ++i) {
    Shape& shape = concrete.inputs[static_cast<size_t>(runtimeInputs[i])].shape;
    Shape given = Shape::of(shapes.inputs[i]);
    bool fits = given.rank() == shape.rank();
    for (size_t axis = 0; fits && axis < shape.rank(); ++axis)
      fits = !shape[axis].isConstant() || shape[axis] == given[axis];
    if (!fits)
      throwBadParameters(
          fmt::format("input {} is {}, not {}", i, given.toString(), shape.toString()));
    shape = std::move(given);
  }
  for (const TensorDesc& input : concrete.inputs)
    if (!input.shape.isStatic()) throwBadParameters("no run gives an input with symbolic dims");
  std::vector<TensorType> types = concrete.tensorTypes();
  for (size_t i = 0; i < problem.outputs.size(); ++i) {
    const TensorType& type = types[static_cast<size_t>(problem.region.outputs[i])];
    if (type.dtype != problem.outputs[i].dtype)
      throwBadParameters("an output's element type is not what its operator gives");
    if (shapes.found) continue;
    if (!type.shape.isStatic())
      throwBadParameters("an output's dims do not follow from the inputs'");
    if (type.shape.concrete() != shapes.outputs[i])
      throwBadParameters("an output's dims are not what its operator gives");
  }
  return types;
}

int64_t parameter(const Configuration& configuration, std::string_view name, int64_t low,
                  int64_t high) {
  auto found = configuration.parameters.find(name);
  const int64_t* value =
      found == configuration.parameters.end() ? nullptr : std::get_if<int64_t>(&found->second);
  if (!value || *value < low || *value > high)
    throwBadParameters(fmt::format("'{}' is not in [{}, {}]", name, low, high));
  return *value;
}

}  // namespace carnot
