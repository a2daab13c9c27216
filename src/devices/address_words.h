#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "devices/device.h"

namespace carnot {

// Which words among the parameters of recorded work are addresses in which memory, learned by
// comparing recordings of the same work with memory at other places: a word that moved as one place
// did, and pointed into it, is an address there. Nothing is taken from a word's value alone.
class AddressWords {
 public:
  struct Address {
    size_t word = 0, place = 0;
  };

  // `words`: the parameters of a first recording, with memory at `places`.
  AddressWords(std::vector<uint64_t> words, std::span<const MemoryRange> places);

  // From the same work recorded again.
  void learn(std::span<const uint64_t> words, std::span<const MemoryRange> places);
  // Whether a recording with memory at `places` would differ from the first in addresses() alone,
  // each moved as its place. Places that have only ever moved together must do so again, and those
  // that never moved must stay; kernels may choose their code by alignment, which must be the same.
  bool know(std::span<const MemoryRange> places) const;

  std::span<const Address> addresses() const { return addresses_; }  // ascending by word
  const std::vector<uint64_t>& words() const { return words_; }      // of the first recording
  uint64_t at(const Address& address, std::span<const MemoryRange> places) const {
    return words_[address.word] + moved(places, address.place);
  }

 private:
  uint64_t moved(std::span<const MemoryRange> places, size_t place) const;
  bool isAligned(std::span<const MemoryRange> places) const;
  bool explain(size_t word, uint64_t now, std::span<const MemoryRange> places);

  std::vector<uint64_t> words_;
  std::vector<MemoryRange> places_;
  std::vector<Address> addresses_;
  // Of each place, those equal that have moved together so far; 0: that never moved.
  std::vector<uint32_t> groups_;
  bool lost_ = false;  // words changed that no place explains
};

}  // namespace carnot
