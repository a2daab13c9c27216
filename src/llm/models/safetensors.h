#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/tensor.h"

namespace carnot {

// The tensors of a checkpoint's folder: model.safetensors, or the files that
// model.safetensors.index.json lists. Files are mapped; a tensor's bytes are read when asked for.
class Safetensors {
 public:
  // Throws Error: Io; InvalidModel, naming file and tensor, for a header that is no such, for data
  // outside the file, holes or overlaps, and for a size that is not type times shape.
  static Safetensors openFolder(const std::string& folder);
  static Safetensors openFile(const std::string& path);

  bool contains(const std::string& name) const { return entries_.contains(name); }
  std::vector<std::string> names() const;
  // A copy in `type`; both are floats. Throws Error (InvalidModel) when there is none of that name,
  // Unsupported for another type, InvalidModel when the shape is not `dims`.
  Tensor read(const std::string& name, const std::vector<int64_t>& dims, DType type) const;

 private:
  struct Entry {
    std::shared_ptr<MappedFile> file;
    const std::byte* data = nullptr;
    DType dtype = DType::F32;
    std::vector<int64_t> dims;
  };
  void add(const std::string& path);
  std::map<std::string, Entry> entries_;
};

}  // namespace carnot
