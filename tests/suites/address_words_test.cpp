#include "devices/address_words.h"

#include <gtest/gtest.h>

namespace carnot {
namespace {

const void* at(uint64_t address) { return reinterpret_cast<const void*>(address); }

// Two kernels' parameters over memory at these addresses: a number, the arena's middle, the input's
// start; the output's start, the input's second half.
struct Work {
  uint64_t arena = 0x100000, input = 0x200000, output = 0x300000;

  std::vector<uint64_t> words() const {
    return {7, arena + 0x80, input, output, input + 0x400, 0x200008};
  }
  std::vector<MemoryRange> places() const {
    return {{at(arena), 0x1000}, {at(input), 0x800}, {at(output), 0x800}};
  }
};

AddressWords learned(const Work& first, std::initializer_list<Work> others) {
  AddressWords words(first.words(), first.places());
  for (const Work& other : others) words.learn(other.words(), other.places());
  return words;
}

// What the words would be at these places.
std::vector<uint64_t> told(const AddressWords& words, const std::vector<MemoryRange>& places) {
  std::vector<uint64_t> all = words.words();
  for (const auto& address : words.addresses()) all[address.word] = words.at(address, places);
  return all;
}

TEST(AddressWords, AreLearnedFromMoves) {
  const Work first, second{.input = 0x210000, .output = 0x330000};
  const AddressWords words = learned(first, {second});
  EXPECT_EQ(words.addresses().size(), 3u);  // not the number that looks like the input's address
  for (const Work& work : {first, second, Work{.input = 0x500000, .output = 0x100}}) {
    ASSERT_TRUE(words.know(work.places()));
    EXPECT_EQ(told(words, work.places()), work.words());
  }
  const Work elsewhere{.arena = 0x900000, .input = 0x500000, .output = 0x600000};
  EXPECT_FALSE(words.know(elsewhere.places())) << "the arena has never moved";
  const AddressWords more = learned(first, {second, elsewhere});
  ASSERT_TRUE(more.know(elsewhere.places()));
  EXPECT_EQ(told(more, elsewhere.places()), elsewhere.words());
}

TEST(AddressWords, MoveTogetherUnlessSeenApart) {
  const Work first, together{.input = 0x210000, .output = 0x310000};
  const Work apart{.input = 0x220000, .output = 0x330000};
  const Work others{.input = 0x700000, .output = 0x900000};
  EXPECT_FALSE(learned(first, {together}).know(others.places()));
  EXPECT_TRUE(
      learned(first, {together}).know(Work{.input = 0x260000, .output = 0x360000}.places()));
  EXPECT_TRUE(learned(first, {together, apart}).know(others.places()));
  EXPECT_FALSE(learned(first, {}).know(others.places()));
  EXPECT_TRUE(learned(first, {}).know(first.places()));
}

TEST(AddressWords, GiveUpOnWhatNoPlaceExplains) {
  const Work first, second{.input = 0x210000};
  std::vector<uint64_t> words = second.words();
  words[0] = 8;
  AddressWords counted(first.words(), first.places());
  counted.learn(words, second.places());
  EXPECT_FALSE(counted.know(first.places()));
  AddressWords shorter(first.words(), first.places());
  words = second.words();
  words.pop_back();
  shorter.learn(words, second.places());
  EXPECT_FALSE(shorter.know(second.places()));
  // An address that once moved and then did not.
  AddressWords stays = learned(first, {second});
  const Work third{.input = 0x230000};
  words = third.words();
  words[2] = first.input;
  stays.learn(words, third.places());
  EXPECT_FALSE(stays.know(second.places()));
}

TEST(AddressWords, NeedTheSameAlignment) {
  const Work first, second{.input = 0x210000}, odd{.input = 0x240010};
  AddressWords words = learned(first, {second, odd});
  EXPECT_TRUE(words.know(second.places()));
  EXPECT_FALSE(words.know(odd.places()));
  EXPECT_FALSE(words.know(std::vector<MemoryRange>(2)));
}

}  // namespace
}  // namespace carnot
