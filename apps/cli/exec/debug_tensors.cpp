#include "cli/exec/debug_tensors.h"

#include <carnot/contents.h>
#include <carnot/error.h>
#include <carnot/names.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <set>

#include "cli/exec/export.h"
#include "cli/exec/numpy_file.h"
#include "cli/exec/outputs.h"

namespace carnot::cli::exec {

namespace {

using Written = Context::LayerOutput;

int64_t product(std::span<const int64_t> dims) {
  int64_t count = 1;
  for (int64_t dim : dims) count *= dim;
  return count;
}

// [N, C, S] from [N, S, C] or [N, C / B, S, B].
std::vector<std::byte> rowMajor(const Written& written) {
  const auto* data = static_cast<const std::byte*>(written.data);
  std::span<const int64_t> shape = written.shape;
  std::vector<std::byte> bytes(dtypeBytes(written.dtype, product(shape)));
  if (bytes.empty()) return bytes;
  if (written.layout == "plain") {
    std::memcpy(bytes.data(), data, bytes.size());
    return bytes;
  }
  size_t size = dtypeBytes(written.dtype, 1);
  int64_t channels = shape[1], rest = product(shape.subspan(2));
  int64_t block = written.layout == "channels_last" ? channels : written.dims.back();
  int64_t blocks = (channels + block - 1) / block;
  std::byte* out = bytes.data();
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t s = 0; s < rest; ++s, out += size)
        std::memcpy(out, data + size * (((n * blocks + c / block) * rest + s) * block + c % block),
                    size);
  return bytes;
}

std::string valuesText(const Written& written, const std::vector<std::byte>& bytes) {
  std::string text;
  for (int64_t i = 0; i < product(written.shape); ++i)
    text += elementText(written.dtype, bytes.data(), i) + "\n";
  return text;
}

std::string summaryOf(const Written& written, const std::vector<std::byte>& bytes) {
  double least = HUGE_VAL, greatest = -HUGE_VAL, sum = 0;
  int64_t count = product(written.shape);
  for (int64_t i = 0; i < count; ++i) {
    double value = std::strtod(elementText(written.dtype, bytes.data(), i).c_str(), nullptr);
    least = std::min(least, value);
    greatest = std::max(greatest, value);
    sum += value;
  }
  std::string numbers = count == 0 ? "empty"
                                   : fmt::format("min {:g}, max {:g}, mean {:g}", least, greatest,
                                                 sum / static_cast<double>(count));
  return fmt::format("Tensor {}: {} ({}), {}", written.tensor, dtypeName(written.dtype),
                     shapeText({written.shape.begin(), written.shape.end()}), numbers);
}

class Saver {
 public:
  Saver(const ReportFlags& flags, const Output& output) : flags_(flags), output_(output) {}

  void see(const Written& written) {
    std::string name(written.tensor);
    auto file = flags_.debugFiles.find(name);
    bool first = seen_.insert(name).second;
    if (file == flags_.debugFiles.end() && (flags_.debugFormats.empty() || !first)) return;
    std::vector<std::byte> bytes = rowMajor(written);
    std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (file != flags_.debugFiles.end()) write(file->second, text);
    if (!first) return;
    for (const std::string& format : flags_.debugFormats) {
      std::string path = "0000_" + fileName(name);
      if (format == "summary")
        output_.info(summaryOf(written, bytes));
      else if (format == "raw")
        write(path + ".raw", text);
      else if (format == "string")
        write(path + ".txt", valuesText(written, bytes));
      else
        write(path + ".npy",
              numpyHeader(written.dtype, {written.shape.begin(), written.shape.end()}) +
                  std::string(text));
    }
  }

  void finish() const {
    for (const auto& [name, file] : flags_.debugFiles) {
      if (seen_.contains(name)) continue;
      std::string near = closest(name, {seen_.begin(), seen_.end()});
      throw Error(ErrorCode::InvalidArgument,
                  fmt::format("--saveDebugTensors: no layer writes '{}'", name),
                  "a tensor that a layer writes",
                  near.empty()
                      ? fmt::format("build with --markDebug={} if fusion removed it", name)
                      : fmt::format("did you mean '{}'? or build with --markDebug={}", near, name));
    }
  }

 private:
  void write(const std::string& path, std::string_view bytes) const {
    exportBytes(path, bytes);
    output_.info(fmt::format("Wrote {}", path));
  }

  const ReportFlags& flags_;
  const Output& output_;
  std::set<std::string> seen_;
};

}  // namespace

void saveDebugTensors(Bindings& bindings, const ReportFlags& flags, const Output& output) {
  Saver saver(flags, output);
  bindings.context().runWatched([&](const Written& written) { saver.see(written); });
  saver.finish();
}

}  // namespace carnot::cli::exec
