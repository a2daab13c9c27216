#include "devices/address_words.h"

#include <algorithm>
#include <map>

namespace carnot {
namespace {

// The widest that a kernel may ask of an address.
constexpr uint64_t kAlignment = 256;

uint64_t start(const MemoryRange& range) { return reinterpret_cast<uintptr_t>(range.data); }

}  // namespace

AddressWords::AddressWords(std::vector<uint64_t> words, std::span<const MemoryRange> places)
    : words_(std::move(words)), places_(places.begin(), places.end()), groups_(places.size()) {}

uint64_t AddressWords::moved(std::span<const MemoryRange> places, size_t place) const {
  return start(places[place]) - start(places_[place]);
}

bool AddressWords::isAligned(std::span<const MemoryRange> places) const {
  if (places.size() != places_.size()) return false;
  for (size_t i = 0; i < places.size(); ++i)
    if (moved(places, i) % kAlignment != 0) return false;
  return true;
}

bool AddressWords::explain(size_t word, uint64_t now, std::span<const MemoryRange> places) {
  auto known = std::ranges::lower_bound(addresses_, word, {}, &Address::word);
  if (known != addresses_.end() && known->word == word) return now == at(*known, places);
  if (now == words_[word]) return true;
  for (size_t i = 0; i < places.size(); ++i) {
    if (words_[word] - start(places_[i]) >= places_[i].bytes) continue;
    if (now - words_[word] != moved(places, i)) continue;
    addresses_.insert(known, {word, i});
    return true;
  }
  return false;
}

void AddressWords::learn(std::span<const uint64_t> words, std::span<const MemoryRange> places) {
  if (lost_ || !isAligned(places)) return;
  lost_ = words.size() != words_.size();
  for (size_t word = 0; word < words.size() && !lost_; ++word)
    lost_ = !explain(word, words[word], places);
  std::map<std::pair<uint32_t, uint64_t>, uint32_t> groups{{{0, 0}, 0}};
  for (size_t i = 0; i < places.size(); ++i) {
    const auto next = static_cast<uint32_t>(groups.size());
    groups_[i] = groups.try_emplace({groups_[i], moved(places, i)}, next).first->second;
  }
}

bool AddressWords::know(std::span<const MemoryRange> places) const {
  if (lost_ || !isAligned(places)) return false;
  for (size_t i = 0; i < places.size(); ++i) {
    const uint64_t now = moved(places, i);
    if (groups_[i] == 0 && now != 0) return false;
    // That of the group's first place.
    const auto first =
        static_cast<size_t>(std::ranges::find(groups_, groups_[i]) - groups_.begin());
    if (now != moved(places, first)) return false;
  }
  return true;
}

}  // namespace carnot
