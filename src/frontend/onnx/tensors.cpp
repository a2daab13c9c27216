#include "frontend/onnx/tensors.h"

#include <charconv>
#include <cstring>
#include <filesystem>

#include "base/shape.h"
#include "frontend/onnx/proto.h"

namespace carnot {

namespace {

struct TypeRow {
  std::string_view name;
  int dtype;  // a DType, or what follows
};
constexpr int kNotHere = -1;

constexpr int of(DType type) { return static_cast<int>(type); }

// By TensorProto.DataType.
constexpr TypeRow kTypes[] = {
    {"UNDEFINED", kNotHere},
    {"FLOAT", of(DType::F32)},
    {"UINT8", of(DType::U8)},
    {"INT8", of(DType::I8)},
    {"UINT16", of(DType::U16)},
    {"INT16", of(DType::I16)},
    {"INT32", of(DType::I32)},
    {"INT64", of(DType::I64)},
    {"STRING", kNotHere},
    {"BOOL", of(DType::Bool)},
    {"FLOAT16", of(DType::F16)},
    {"DOUBLE", of(DType::F64)},
    {"UINT32", of(DType::U32)},
    {"UINT64", of(DType::U64)},
    {"COMPLEX64", of(DType::C64)},
    {"COMPLEX128", of(DType::C128)},
    {"BFLOAT16", of(DType::BF16)},
    {"FLOAT8E4M3FN", of(DType::F8E4M3FN)},
    {"FLOAT8E4M3FNUZ", of(DType::F8E4M3FNUZ)},
    {"FLOAT8E5M2", of(DType::F8E5M2)},
    {"FLOAT8E5M2FNUZ", of(DType::F8E5M2FNUZ)},
    {"UINT4", of(DType::U4)},
    {"INT4", of(DType::I4)},
    {"FLOAT4E2M1", of(DType::F4E2M1)},
    {"FLOAT8E8M0", of(DType::F8E8M0)},
    {"UINT2", of(DType::U2)},
    {"INT2", of(DType::I2)},
    {"FLOAT6E2M3", kNotHere},
    {"FLOAT6E3M2", kNotHere},
};

[[noreturn]] void invalid(std::string has, std::string needs, std::string remedy = {}) {
  throw Error(ErrorCode::InvalidModel, std::move(has), std::move(needs), std::move(remedy));
}

DType dtypeOf(const TypeRow& row) {
  if (row.dtype == kNotHere)
    throw Error(ErrorCode::Unsupported, fmt::format("elements of type {}", row.name),
                "numbers or Bool");
  return static_cast<DType>(row.dtype);
}

// The typed data of a tensor, as the fields of its message hold it.
struct TypedData {
  std::vector<float> floats;
  std::vector<double> doubles;
  std::vector<int64_t> integers;  // of int32_data, int64_data and uint64_data

  explicit TypedData(std::string_view message) {
    for (ProtoReader in(message); in.next();) {
      if (in.field() == 4)
        in.reals(floats);
      else if (in.field() == 10)
        in.doubles(doubles);
      else if (in.field() == 5 || in.field() == 7 || in.field() == 11)
        in.integers(integers);
      else
        in.skip();
    }
  }
};

void requireCount(size_t has, size_t needs) {
  if (has != needs)
    invalid(fmt::format("{} values", has), fmt::format("{}, by the tensor's dims", needs));
}

template <typename T>
void copyInto(Tensor& tensor, const std::vector<T>& values) {
  requireCount(values.size() * sizeof(T), tensor.bytes());
  if (!values.empty()) std::memcpy(tensor.as<std::byte>(), values.data(), tensor.bytes());
}

// Integers, and bit patterns of the small floats, one an entry; of types of less than a byte, one
// byte an entry.
void narrowInto(Tensor& tensor, const std::vector<int64_t>& values) {
  size_t width = std::max(dtypeBits(tensor.dtype()) / 8, 1);
  requireCount(values.size() * width, tensor.bytes());
  std::byte* to = tensor.as<std::byte>();
  for (size_t i = 0; i < values.size(); ++i) std::memcpy(to + i * width, &values[i], width);
}

Tensor readTyped(const OnnxTensor& source, DType dtype) {
  TypedData data(source.message);
  // Before memory is asked for, so that dims without data cost nothing.
  size_t held = data.floats.size() * sizeof(float) + data.doubles.size() * sizeof(double) +
                data.integers.size() * sizeof(int64_t);
  size_t bytes = dtypeBytes(dtype, elementCount(source.dims));
  if (held < bytes)
    invalid(fmt::format("{} bytes of data", held),
            fmt::format("{} for {}{}", bytes, dtypeName(dtype), Shape::of(source.dims).toString()));
  Tensor tensor(dtype, source.dims);
  if (dtype == DType::F32 || dtype == DType::C64)
    copyInto(tensor, data.floats);
  else if (dtype == DType::F64 || dtype == DType::C128)
    copyInto(tensor, data.doubles);
  else
    narrowInto(tensor, data.integers);
  return tensor;
}

size_t alignmentOf(DType dtype) {
  size_t bytes = static_cast<size_t>(std::max(dtypeBits(dtype) / 8, 1));
  return isComplex(dtype) ? bytes / 2 : bytes;
}

Tensor fromRaw(DType dtype, const std::vector<int64_t>& dims, std::string_view raw,
               const std::shared_ptr<void>& keepAlive) {
  size_t bytes = dtypeBytes(dtype, elementCount(dims));
  if (raw.size() != bytes)
    invalid(fmt::format("{} bytes of data", raw.size()),
            fmt::format("{} for {}{}", bytes, dtypeName(dtype), Shape::of(dims).toString()));
  auto* data = const_cast<char*>(raw.data());
  bool aligned = reinterpret_cast<uintptr_t>(data) % alignmentOf(dtype) == 0;
  // Code may rely on a Bool being 0 or 1.
  if (bytes > 0 && aligned && dtype != DType::Bool)
    return Tensor(dtype, dims, Buffer::borrow(data, bytes, keepAlive));
  Tensor tensor(dtype, dims);
  if (bytes > 0) std::memcpy(tensor.as<std::byte>(), data, bytes);
  if (dtype == DType::Bool)
    for (size_t i = 0; i < bytes; ++i) tensor.as<uint8_t>()[i] = tensor.as<uint8_t>()[i] != 0;
  return tensor;
}

size_t decimal(std::string_view text, std::string_view what, size_t absent) {
  if (text.empty()) return absent;
  size_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    invalid(fmt::format("{} \"{}\" of external data", what, text), "a number of bytes");
  return value;
}

void checkDims(const std::vector<int64_t>& dims) {
  for (int64_t dim : dims)
    if (dim < 0)
      invalid(fmt::format("a tensor of shape {}", Shape::of(dims).toString()), "dims of 0 or more");
}

std::string frameOf(std::string_view name) {
  return name.empty() ? std::string("tensor") : fmt::format("tensor {}", name);
}

}  // namespace

DType onnxDType(int64_t dataType) {
  if (dataType < 1 || dataType >= static_cast<int64_t>(std::size(kTypes)))
    invalid(fmt::format("element type number {}", dataType),
            fmt::format("1 to {}", std::size(kTypes) - 1));
  return dtypeOf(kTypes[dataType]);
}

DType onnxDTypeNamed(std::string_view name) {
  for (const TypeRow& row : kTypes)
    if (row.name == name) return dtypeOf(row);
  invalid(fmt::format("element type \"{}\"", name), "one of ONNX's");
}

Tensor OnnxTensorLoader::load(const OnnxTensor& tensor) {
  return inFrame([&] { return frameOf(tensor.name); }, [&] { return read(tensor); });
}

Tensor OnnxTensorLoader::read(const OnnxTensor& tensor) {
  DType dtype = onnxDType(tensor.dataType);
  checkDims(tensor.dims);
  if (tensor.isExternal) return external(tensor, dtype);
  if (tensor.hasRawData) return fromRaw(dtype, tensor.dims, tensor.rawData, model_.keepAlive);
  return readTyped(tensor, dtype);
}

Tensor OnnxTensorLoader::external(const OnnxTensor& tensor, DType dtype) {
  auto file = openExternal(tensor.location);
  size_t bytes = dtypeBytes(dtype, elementCount(tensor.dims));
  size_t size = file->bytes().size();
  size_t offset = decimal(tensor.offset, "offset", 0);
  size_t length = decimal(tensor.length, "length", bytes);
  if (offset > size || length > size - offset)
    invalid(fmt::format("external data at bytes {} to {}+{} of {}, which has {}", offset, offset,
                        length, file->path(), size),
            "data within the file", "copy the whole file next to the model");
  const auto* data = reinterpret_cast<const char*>(file->bytes().data());
  return fromRaw(dtype, tensor.dims, {data + offset, length}, file);
}

// A model must not make its reader open files elsewhere.
std::shared_ptr<MappedFile> OnnxTensorLoader::openExternal(std::string_view location) {
  namespace fs = std::filesystem;
  if (auto found = files_.find(location); found != files_.end()) return found->second;
  if (model_.folder.empty())
    invalid(fmt::format("external data in {}, and a model without a folder", location),
            "the model as a file beside its data", "give the model's path");
  fs::path relative{std::string(location)};
  bool inside =
      !relative.empty() && !relative.is_absolute() && location.find('\0') == location.npos;
  for (const fs::path& part : relative) inside = inside && part != "..";
  std::error_code failed;
  fs::path folder = fs::canonical(model_.folder, failed);
  fs::path path;
  if (!failed && inside) {
    path = fs::canonical(folder / relative, failed);
    if (failed)
      throw Error(ErrorCode::Io, fmt::format("external data {}: {}", location, failed.message()),
                  fmt::format("that file in {}", model_.folder), "copy it next to the model");
    auto [end, rest] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
    inside = end == folder.end() && rest != path.end();
  }
  if (failed || !inside)
    invalid(fmt::format("external data in \"{}\"", location),
            fmt::format("a file within {}, links followed", model_.folder),
            "move the data next to the model");
  if (!fs::is_regular_file(path, failed))
    invalid(fmt::format("external data in \"{}\", which is no file", location), "a regular file");
  auto file = MappedFile::open(path.string());
  files_.emplace(location, file);
  return file;
}

Tensor OnnxTensorLoader::load(const OnnxSparseTensor& sparse) {
  constexpr int64_t kMostElements = int64_t{1} << 28;
  return inFrame(
      [&] { return frameOf(sparse.values.name); },
      [&] {
        checkDims(sparse.dims);
        Tensor values = read(sparse.values), indices = read(sparse.indices);
        int64_t count = elementCount(sparse.dims), entries = values.count();
        auto rank = static_cast<int64_t>(sparse.dims.size());
        if (count > kMostElements)
          throw Error(ErrorCode::Unsupported, fmt::format("a sparse tensor of {} elements", count),
                      fmt::format("at most {}, since it is made dense", kMostElements));
        bool linear = indices.dims().size() == 1;
        if (indices.dtype() != DType::I64 || indices.count() != (linear ? entries : entries * rank))
          invalid(fmt::format("{} indices of type {}", indices.count(), dtypeName(indices.dtype())),
                  fmt::format("int64 indices of {} values", entries));
        Tensor dense(values.dtype(), sparse.dims);
        std::memset(dense.as<std::byte>(), 0, dense.bytes());
        TensorView from = values.view(), to = dense.view(), at = indices.view();
        for (int64_t i = 0; i < entries; ++i) {
          int64_t place = linear ? at.loadInt(i) : 0;
          for (int64_t axis = 0; !linear && axis < rank; ++axis) {
            int64_t index = at.loadInt(i * rank + axis), dim = sparse.dims[axis];
            if (index < 0 || index >= dim)
              invalid(fmt::format("index {} in axis {}", index, axis),
                      fmt::format("0 to {}", dim - 1));
            place = place * dim + index;
          }
          if (place < 0 || place >= count)
            invalid(fmt::format("index {}", place), fmt::format("0 to {}", count - 1));
          if (isComplex(values.dtype()))
            to.storeComplex(place, from.loadComplex(i));
          else if (isFloat(values.dtype()))
            to.storeDouble(place, from.loadDouble(i));
          else
            to.storeInt(place, from.loadInt(i));
        }
        return dense;
      });
}

}  // namespace carnot
