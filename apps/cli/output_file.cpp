#include "cli/output_file.h"

#include <carnot/error.h>
#include <fmt/format.h>

#include <filesystem>

namespace carnot::cli {

void checkOutputFile(const std::string& path, const std::string& model) {
  namespace fs = std::filesystem;
  auto refuse = [&](const std::string& has, const std::string& needs, const std::string& remedy) {
    throw Error(ErrorCode::Io, fmt::format("file {}: {}", path, has), needs, remedy);
  };
  std::error_code ignored;
  fs::path folder = fs::path(path).parent_path();
  if (!folder.empty() && !fs::is_directory(folder, ignored))
    refuse(fmt::format("no folder {}", folder.string()), "a folder to write to", "make it first");
  if (fs::is_directory(path, ignored)) refuse("is a folder", "a file", "name a file in it");
  if (!model.empty() && fs::equivalent(model, path, ignored))
    refuse("is the model itself", "another file", "give it a name of its own");
}

}  // namespace carnot::cli
