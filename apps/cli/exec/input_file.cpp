#include "cli/exec/input_file.h"

#include <carnot/error.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <system_error>

#include "cli/exec/numpy_file.h"

namespace carnot::cli::exec {

namespace {

[[noreturn]] void refuse(std::string has, std::string needs, std::string remedy = {}) {
  throw Error(ErrorCode::InvalidArgument, std::move(has), std::move(needs), std::move(remedy));
}

std::string readFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
  std::string bytes(static_cast<size_t>(std::max<std::streamoff>(size, 0)), '\0');
  if (size >= 0) file.seekg(0).read(bytes.data(), size);
  if (!file)
    throw Error(ErrorCode::Io,
                fmt::format("cannot be read: {}", std::generic_category().message(errno)),
                "a file of raw bytes or .npy");
  return bytes;
}

// The header's value for a key, up to the next key; the header is a Python dict of three.
std::string_view valueOf(std::string_view header, std::string_view key) {
  size_t at = header.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos) refuse("a .npy file without " + std::string(key), "all of it");
  header.remove_prefix(header.find(':', at) + 1);
  while (header.starts_with(' ')) header.remove_prefix(1);
  if (header.starts_with('(')) return header.substr(0, header.find(')') + 1);
  return header.substr(0, header.find_first_of(",}"));
}

std::vector<int64_t> dimsOf(std::string_view tuple) {
  std::vector<int64_t> dims;
  const char *at = tuple.data(), *last = tuple.data() + tuple.size();
  while (at < last) {
    int64_t dim = 0;
    auto [end, failed] = std::from_chars(at, last, dim);
    if (failed == std::errc()) dims.push_back(dim);
    at = failed == std::errc() ? end : at + 1;
  }
  return dims;
}

// The array's bytes, when type and shape are as needed.
std::string_view numpyContents(std::string_view file, const TensorInfo& input,
                               const std::vector<int64_t>& dims) {
  size_t major = file.size() > 6 ? static_cast<unsigned char>(file[6]) : 0;
  size_t lengthBytes = major == 1 ? 2 : 4, start = 8 + lengthBytes;
  if (major < 1 || major > 3 || file.size() < start)
    refuse("a .npy file of an unknown version", "version 1, 2 or 3");
  size_t length = 0;
  for (size_t i = lengthBytes; i-- > 0;)
    length = length << 8 | static_cast<unsigned char>(file[8 + i]);
  if (length > file.size() - start) refuse("a .npy file that ends in its header", "all of it");
  std::string_view header = file.substr(start, length);

  std::string needed = numpyType(input.dtype);
  std::string_view has = valueOf(header, "descr");
  if (has.size() >= 2) has = has.substr(1, has.size() - 2);
  if (has != needed && !(needed[1] == 'V' && has.ends_with(needed.substr(1))))
    refuse(fmt::format("a .npy array of type {}", has),
           fmt::format("{} ({})", needed, dtypeName(input.dtype)),
           fmt::format("save array.astype('{}')", needed));
  if (valueOf(header, "fortran_order") != "False")
    refuse("a .npy array in Fortran's order", "C's order", "save numpy.ascontiguousarray(array)");
  if (std::vector<int64_t> shape = dimsOf(valueOf(header, "shape")); shape != dims)
    refuse(fmt::format("a .npy array of shape [{}]", fmt::join(shape, ", ")),
           fmt::format("[{}]", fmt::join(dims, ", ")), "give its shape with --shapes");
  return file.substr(start + length);
}

}  // namespace

void readContents(const std::string& path, const TensorInfo& input,
                  const std::vector<int64_t>& dims, std::span<std::byte> contents) {
  try {
    std::string file = readFile(path);
    std::string_view bytes = file;
    if (bytes.starts_with(kNumpyMagic)) bytes = numpyContents(bytes, input, dims);
    if (bytes.size() != contents.size())
      refuse(fmt::format("{} bytes of contents", bytes.size()),
             fmt::format("{} for {} of shape [{}]", contents.size(), dtypeName(input.dtype),
                         fmt::join(dims, ", ")));
    if (!bytes.empty()) std::memcpy(contents.data(), bytes.data(), bytes.size());
  } catch (Error& error) {
    error.within("input " + input.name).within("file " + path);
    throw;
  }
}

}  // namespace carnot::cli::exec
