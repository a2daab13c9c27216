#include "devices/cuda/library.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "base/error.h"

namespace carnot::cuda {
namespace {

void addFolder(std::vector<std::string>& folders, std::string folder) {
  if (!folder.empty() && std::ranges::find(folders, folder) == folders.end())
    folders.push_back(std::move(folder));
}

std::vector<std::string> subfolders(const std::string& folder) {
  std::vector<std::string> names;
  if (DIR* directory = opendir(folder.c_str())) {
    while (const dirent* entry = readdir(directory))
      if (entry->d_name[0] != '.') names.emplace_back(folder + "/" + entry->d_name);
    closedir(directory);
  }
  std::ranges::sort(names);
  return names;
}

// Folders of Python packages from which this process has mapped files.
std::vector<std::string> packageFolders() {
  std::vector<std::string> folders;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const size_t start = line.find('/');
    for (std::string_view name : {"/site-packages/", "/dist-packages/"}) {
      const size_t end = line.find(name);
      if (start == std::string::npos || end == std::string::npos) continue;
      addFolder(folders, line.substr(start, end + name.size() - 1 - start));
    }
  }
  return folders;
}

std::vector<std::string> searchFolders() {
  std::vector<std::string> folders;
  if (const char* list = std::getenv("CARNOT_CUDA_LIBRARIES")) {
    std::string text = list;
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(':', begin), text.size());
      addFolder(folders, text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* root = std::getenv(variable); root && *root)
      addFolder(folders, std::string(root) + "/lib64");
  addFolder(folders, "/usr/local/cuda/lib64");
  for (const std::string& packages : packageFolders())
    for (const std::string& package : subfolders(packages + "/nvidia"))
      addFolder(folders, package + "/lib");
  return folders;
}

}  // namespace

Library::Library(std::string title, std::span<const char* const> names) : title_(std::move(title)) {
  static const std::vector<std::string> folders = searchFolders();
  std::string last;
  auto open = [&](const std::string& path) {
    handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle_)
      if (const char* why = dlerror()) last = why;
    return handle_ != nullptr;
  };
  for (const std::string& folder : folders)
    for (const char* name : names)
      if (const std::string path = folder + "/" + name; std::ifstream(path).good() && open(path))
        return;
  for (const char* name : names)
    if (open(name)) return;
  failure_ = fmt::format("{} was not found as {} in {} or by the system's loader ({})", title_,
                         fmt::join(names, " or "), fmt::join(folders, ", "), last);
}

void* Library::symbol(const char* name) const { return handle_ ? dlsym(handle_, name) : nullptr; }

void Library::require() const {
  if (loaded()) return;
  throw Error(ErrorCode::Unsupported, failure_, title_,
              "install it, or name its folder in CARNOT_CUDA_LIBRARIES");
}

void throwMissing(const Library& library, const char* name) {
  library.require();
  throw Error(ErrorCode::Unsupported, fmt::format("{} without {}", library.title(), name),
              "a newer version of it");
}

}  // namespace carnot::cuda
