#pragma once

#include <map>
#include <optional>
#include <string>

namespace carnot {

// Measured times by device, problem and candidate, kept as JSON. Loading merges; saving rereads the
// file under a lock and merges, so that concurrent builds lose nothing.
class TimingCache {
 public:
  explicit TimingCache(std::string fingerprint) : fingerprint_(std::move(fingerprint)) {}

  // Missing files are an empty cache; a damaged one throws Error (InvalidModel) naming the place.
  void load(const std::string& path);
  void parse(const std::string& json, const std::string& source);
  void save(const std::string& path) const;
  std::string toJson() const;

  std::optional<double> find(const std::string& problem, const std::string& candidate) const;
  void put(const std::string& problem, const std::string& candidate, double seconds);
  size_t size() const;  // entries of this device
  bool changed() const { return changed_; }

 private:
  using Times = std::map<std::string, double>;    // candidate → seconds
  using Problems = std::map<std::string, Times>;  // problem →
  std::map<std::string, Problems> devices_;
  std::string fingerprint_;
  bool changed_ = false;
};

}  // namespace carnot
