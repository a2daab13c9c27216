#include "devices/plugin.h"

#include <build_id.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <mutex>

#include "base/error.h"

namespace carnot {
namespace {

struct Loaded {
  void* handle = nullptr;
  const DevicePlugin* plugin = nullptr;
  std::string failure;  // why there is no plugin
};

// The folder of the library that this function is in.
std::string ownFolder() {
  Dl_info info{};
  if (!dladdr(reinterpret_cast<void*>(&buildId), &info) || !info.dli_fname) return {};
  const std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}

std::string pluginPath(std::string_view kind) {
  const char* folder = std::getenv("CARNOT_PLUGINS");
  return fmt::format("{}libcarnot_{}.so",
                     folder && *folder ? std::string(folder) + "/" : ownFolder(), kind);
}

Loaded load(std::string_view kind) {
  Loaded loaded;
  const std::string path = pluginPath(kind);
  loaded.handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!loaded.handle) {
    const char* why = dlerror();
    loaded.failure = fmt::format("plugin {} did not load: {}", path, why ? why : "unknown");
    return loaded;
  }
  auto function = reinterpret_cast<DevicePluginFunction>(dlsym(loaded.handle, kDevicePluginSymbol));
  if (!function) {
    loaded.failure = fmt::format("{} is no plugin of carnot", path);
    return loaded;
  }
  const DevicePlugin& plugin = function();
  if (std::string_view(plugin.buildId) != buildId())
    loaded.failure = fmt::format("plugin {} of build {}, beside a library of build {}", path,
                                 plugin.buildId, buildId());
  else
    loaded.plugin = &plugin;
  return loaded;
}

// Never closed: its kernels' code may be in use until the process ends.
const Loaded& loadedPlugin(std::string_view kind) {
  static std::mutex mutex;
  static auto* all = new std::map<std::string, Loaded, std::less<>>;
  const std::lock_guard lock(mutex);
  auto found = all->find(kind);
  if (found == all->end()) found = all->emplace(std::string(kind), load(kind)).first;
  if (!found->second.plugin)
    throw Error(ErrorCode::Unsupported, found->second.failure,
                fmt::format("a plugin for {} devices of this very build", kind),
                "put libcarnot_cuda.so beside libcarnot_runtime.so, or use device cpu");
  return found->second;
}

}  // namespace

const char* buildId() { return CARNOT_BUILD_ID; }

const DevicePlugin& devicePlugin(std::string_view kind) { return *loadedPlugin(kind).plugin; }

void* pluginSymbol(std::string_view kind, const char* name) {
  return dlsym(loadedPlugin(kind).handle, name);
}

}  // namespace carnot
