#include "tactics/timing_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace carnot {

namespace {
constexpr int kFormat = 1;
}

void TimingCache::load(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) return;
  parse(readTextFile(path), path);
}

void TimingCache::parse(const std::string& text, const std::string& source) {
  auto damaged = [&](std::string has) {
    return Error(ErrorCode::InvalidModel, std::move(has),
                 fmt::format("a timing cache of format {}", kFormat),
                 "delete the file or name another one")
        .within("timing cache " + source);
  };
  using nlohmann::json;
  json root = json::parse(text, nullptr, false);
  if (root.is_discarded()) throw damaged("text that is not JSON");
  if (!root.is_object() || !root.contains("format") || root["format"] != kFormat)
    throw damaged("another format");
  if (!root.contains("devices") || !root["devices"].is_object()) throw damaged("no devices");
  for (const auto& [device, problems] : root["devices"].items()) {
    if (!problems.is_object()) throw damaged("a device without problems");
    for (const auto& [problem, times] : problems.items()) {
      if (!times.is_object()) throw damaged("a problem without times");
      for (const auto& [candidate, seconds] : times.items()) {
        if (!seconds.is_number() || seconds.get<double>() < 0) throw damaged("a time that is none");
        devices_[device][problem].try_emplace(candidate, seconds.get<double>());
      }
    }
  }
}

std::string TimingCache::toJson() const {
  nlohmann::json root;
  root["format"] = kFormat;
  root["devices"] = devices_;
  return root.dump(1) + "\n";
}

void TimingCache::save(const std::string& path) const {
  FileLock lock(path);
  TimingCache merged = *this;
  merged.load(path);
  std::string text = merged.toJson();
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

std::optional<double> TimingCache::find(const std::string& problem,
                                        const std::string& candidate) const {
  auto device = devices_.find(fingerprint_);
  if (device == devices_.end()) return std::nullopt;
  auto times = device->second.find(problem);
  if (times == device->second.end()) return std::nullopt;
  auto time = times->second.find(candidate);
  if (time == times->second.end()) return std::nullopt;
  return time->second;
}

void TimingCache::put(const std::string& problem, const std::string& candidate, double seconds) {
  devices_[fingerprint_][problem][candidate] = seconds;
  changed_ = true;
}

size_t TimingCache::size() const {
  auto device = devices_.find(fingerprint_);
  if (device == devices_.end()) return 0;
  size_t count = 0;
  for (const auto& [problem, times] : device->second) count += times.size();
  return count;
}

}  // namespace carnot
