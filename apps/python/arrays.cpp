#include "python/arrays.h"

#include <carnot/error.h>
#include <fmt/ranges.h>
#include <nanobind/stl/string.h>

#include <algorithm>

namespace nb = nanobind;

namespace carnot::python {
namespace {

using Code = nb::dlpack::dtype_code;

// As DLPack writes the type.
nb::dlpack::dtype codeOf(DType type) {
  auto make = [&](Code code) {
    return nb::dlpack::dtype{static_cast<uint8_t>(code), static_cast<uint8_t>(dtypeBits(type)), 1};
  };
  switch (type) {
    case DType::BF16:
      return make(Code::Bfloat);
    case DType::F8E4M3FN:
      return make(Code::Float8_E4M3FN);
    case DType::F8E4M3FNUZ:
      return make(Code::Float8_E4M3FNUZ);
    case DType::F8E5M2:
      return make(Code::Float8_E5M2);
    case DType::F8E5M2FNUZ:
      return make(Code::Float8_E5M2FNUZ);
    case DType::F8E8M0:
      return make(Code::Float8_E8M0FNU);
    case DType::Bool:
      return make(Code::Bool);
    default:
      break;
  }
  if (isComplex(type)) return make(Code::Complex);
  if (isFloat(type)) return make(Code::Float);
  return make(isSigned(type) ? Code::Int : Code::UInt);
}

bool hasNoNumpyType(DType type) {
  return isFloat(type) && type != DType::F16 && type != DType::F32 && type != DType::F64;
}

std::string nameOf(nb::dlpack::dtype type) {
  for (int i = 0; i < kDTypeCount; ++i)
    if (codeOf(static_cast<DType>(i)) == type) return std::string(dtypeName(static_cast<DType>(i)));
  return fmt::format("a type of {} bits", type.bits);
}

bool suits(nb::dlpack::dtype has, DType needs) {
  nb::dlpack::dtype bits{static_cast<uint8_t>(Code::UInt), static_cast<uint8_t>(dtypeBits(needs)),
                         1};
  return has == codeOf(needs) || (hasNoNumpyType(needs) && has == bits);
}

struct Named {
  const char* what;  // "input", "output", "state"
  const TensorInfo& info;
};

[[noreturn]] void refuse(const Named& named, const std::string& has, const std::string& needs,
                         const std::string& remedy) {
  throw Error(ErrorCode::InvalidArgument,
              fmt::format("{} {} is {}", named.what, named.info.name, has), needs, remedy);
}

template <typename Array>
Array importArray(const Named& named, nb::handle object) {
  Array array;
  if (nb::try_cast(object, array, /*convert=*/false)) return array;
  std::string type = nb::cast<std::string>(object.type().attr("__name__"));
  bool writes = std::string_view(named.what) != "input";
  refuse(named, fmt::format("a {} whose memory cannot be {}", type, writes ? "written" : "read"),
         fmt::format("a {}NumPy array or one with DLPack", writes ? "writable " : ""), "");
}

template <typename Array>
std::vector<int64_t> shapeOf(const Array& array) {
  std::vector<int64_t> shape;
  for (size_t axis = 0; axis < array.ndim(); ++axis)
    shape.push_back(static_cast<int64_t>(array.shape(axis)));
  return shape;
}

template <typename Array>
bool isRowMajor(const Array& array) {
  if (array.size() == 0) return true;
  int64_t step = 1;
  for (size_t axis = array.ndim(); axis-- > 0;) {
    int64_t size = static_cast<int64_t>(array.shape(axis));
    if (size != 1 && array.stride(axis) != step) return false;
    step *= size;
  }
  return true;
}

template <typename Array>
void check(const Named& named, const Array& array, DType type) {
  if (array.device_type() != nb::device::cpu::value)
    refuse(named, fmt::format("on a device of DLPack type {}", array.device_type()),
           "memory of the CPU", "copy it there first");
  if (!suits(array.dtype(), type))
    refuse(named, fmt::format("{}[{}]", nameOf(array.dtype()), fmt::join(shapeOf(array), ", ")),
           named.info.toString(), fmt::format("convert it to {}", dtypeName(type)));
  if (!isRowMajor(array))
    refuse(named, "not in row-major order", "contiguous memory", "copy it, or pass a NumPy array");
}

void checkShape(const Named& named, std::span<const int64_t> has, std::span<const int64_t> needs) {
  if (std::ranges::equal(has, needs)) return;
  refuse(named, fmt::format("of shape [{}]", fmt::join(has, ", ")),
         fmt::format("[{}] for these inputs", fmt::join(needs, ", ")), "");
}

void checkPacked(const Named& named, size_t bytes, std::span<const int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape) count *= dim;
  size_t needs = dtypeBytes(named.info.dtype, count);
  if (bytes != needs)
    refuse(named, fmt::format("{} packed bytes", bytes), fmt::format("{} bytes", needs), "");
}

}  // namespace

InputArray setInputArray(Context& context, int index, nb::handle object,
                         const std::optional<std::vector<int64_t>>& packed) {
  Named named{"input", context.engine().inputs()[index]};
  auto array = importArray<InputArray>(named, object);
  check(named, array, packed ? DType::U8 : named.info.dtype);
  if (packed) checkPacked(named, array.nbytes(), *packed);
  context.setInputShape(index, packed ? *packed : shapeOf(array));
  context.setInput(index, array.data());
  return array;
}

OutputArray setOutputArray(Context& context, int index, nb::handle object, bool packed) {
  Named named{"output", context.engine().outputs()[index]};
  auto array = importArray<OutputArray>(named, object);
  check(named, array, packed ? DType::U8 : named.info.dtype);
  if (packed)
    checkPacked(named, array.nbytes(), context.outputShape(index));
  else
    checkShape(named, shapeOf(array), context.outputShape(index));
  context.setOutput(index, array.data());
  return array;
}

OutputArray setStateArray(Context& context, int index, nb::handle object) {
  Named named{"state", context.engine().states().at(index)};
  auto array = importArray<OutputArray>(named, object);
  check(named, array, named.info.dtype);
  context.setStateShape(index, shapeOf(array));
  context.setState(index, array.data());
  return array;
}

}  // namespace carnot::python
