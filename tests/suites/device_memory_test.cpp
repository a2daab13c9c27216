// Device memory on the CPU: its books, and what it says of addresses that are not its own.

#include <carnot/error.h>
#include <carnot/memory.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "devices/cpu/heap.h"

namespace carnot {
namespace {

using Kind = DeviceMemory::Place::Kind;
using Access = DeviceMemory::Access;

std::byte* bytesOf(void* address) { return static_cast<std::byte*>(address); }

TEST(AddressBook, AnAddressComesRoundLast) {
  AddressBook book(4096, 4096 * 5);
  uintptr_t first = book.take(4096, 4096, 10), second = book.take(4096, 4096, 20);
  EXPECT_EQ(first, 4096u);
  EXPECT_EQ(second, 8192u);
  EXPECT_EQ(book.giveBack(first), 4096u);
  EXPECT_EQ(book.find(first).kind, Kind::Freed);
  EXPECT_EQ(book.find(first).bytes, 10u);
  EXPECT_EQ(book.take(4096, 4096, 1), 4096u * 3);
  EXPECT_EQ(book.take(4096, 4096, 1), 4096u * 4);
  EXPECT_EQ(book.take(4096, 4096, 1), first);
  EXPECT_EQ(book.find(first).kind, Kind::Live);
  EXPECT_EQ(book.take(4096, 4096, 1), 0u);
  EXPECT_EQ(book.liveBytes(), 4096u * 4);
  EXPECT_EQ(book.giveBack(second + 1), 0u);
}

TEST(AddressBook, MarginsAreGivenToNobody) {
  AddressBook book(4096, 4096 * 5, 4096);
  EXPECT_EQ(book.take(4096 * 4, 4096, 1), 0u);
  uintptr_t base = book.take(4096 * 2, 4096, 1);
  EXPECT_EQ(base, 4096u * 2);
  EXPECT_EQ(book.take(4096, 4096, 1), 0u);
  for (uintptr_t beside : {base - 1, base - 4096, base + 4096 * 2, base + 4096 * 3 - 1})
    EXPECT_EQ(book.find(beside).kind, DeviceMemory::Place::Kind::Freed);
}

TEST(AddressBook, GapsAreAligned) {
  AddressBook book(4096, 4096 * 64);
  EXPECT_EQ(book.take(4096, 4096, 1), 4096u);
  EXPECT_EQ(book.take(8192, 4096 * 8, 1), 4096u * 8);
  EXPECT_EQ(book.take(4096, 4096, 1), 4096u * 10);
  EXPECT_EQ(book.take(4096 * 60, 4096, 1), 0u);
  EXPECT_EQ(book.find(0).kind, Kind::Foreign);
  EXPECT_EQ(book.find(4096 * 64).kind, Kind::Foreign);
  EXPECT_EQ(book.find(4096 * 5).kind, Kind::Freed);
  EXPECT_EQ(book.find(4096 * 5).base, nullptr);
}

TEST(DeviceMemory, CopiesGoThereAndBack) {
  DeviceMemory& memory = deviceMemory();
  std::vector<float> sent = {1, 2, 3}, back(3);
  void *a = memory.allocate(12), *b = memory.allocate(12);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % 256, 0u);
  memory.copyToDevice(a, sent.data(), 12);
  memory.copyOnDevice(b, a, 12);
  memory.copyToHost(back.data(), b, 12);
  EXPECT_EQ(back, sent);
  memory.fill(bytesOf(b) + 4, 0x3f800000, 4, 2);
  memory.copyToHost(back.data(), b, 12);
  EXPECT_EQ(back, (std::vector<float>{1, 1, 1}));
  memory.fill(b, 0x40, 1, 4);
  memory.copyToHost(back.data(), b, 4);
  EXPECT_FLOAT_EQ(back[0], 3.0039215f);
  EXPECT_EQ(memory.find(bytesOf(a) + 11).base, a);
  memory.release(a);
  memory.release(b);
  memory.release(nullptr);
  EXPECT_EQ(memory.find(a).kind, Kind::Freed);
  EXPECT_EQ(memory.find(sent.data()).kind, Kind::Foreign);
}

TEST(DeviceMemory, LargeAllocationsAreCountedAndGivenBack) {
  DeviceMemory& memory = deviceMemory();
  size_t before = memory.usage().allocated;
  void* large = memory.allocate((size_t{5} << 20) + 1);
  EXPECT_EQ(memory.usage().allocated - before, size_t{6} << 20);
  std::memset(large, 1, (size_t{5} << 20) + 1);
  memory.release(large);
  EXPECT_EQ(memory.usage().allocated, before);
  EXPECT_GE(memory.usage().total, memory.usage().free);
}

TEST(DeviceMemory, ThreadsShareIt) {
  DeviceMemory& memory = deviceMemory();
  size_t before = memory.usage().allocated;
  std::vector<std::jthread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&memory, t] {
      for (int i = 1; i < 50; ++i) {
        void* mine = memory.allocate(i * 100);
        memory.fill(mine, t, 1, i * 100);
        EXPECT_EQ(std::to_integer<int>(bytesOf(mine)[i * 100 - 1]), t);
        memory.release(mine);
      }
    });
  threads.clear();
  EXPECT_EQ(memory.usage().allocated, before);
}

TEST(DeviceMemory, WhatCannotBeUsedIsNamed) {
  DeviceMemory& memory = deviceMemory();
  void *live = memory.allocate(100), *freed = memory.allocate(64);
  memory.release(freed);
  float host[4] = {};
  struct Case {
    std::function<void()> act;
    const char *has, *needs;
  };
  const Case cases[] = {
      {[&] { memory.allocate(0); }, "0 bytes", "1 or more"},
      {[&] { memory.allocate(SIZE_MAX / 2); }, "bytes are free", ""},
      {[&] { memory.release(freed); }, "freed device memory", "start of a live allocation"},
      {[&] { memory.release(bytesOf(live) + 1); }, "inside an allocation", "start"},
      {[&] { memory.release(host); }, "not device memory", "start"},
      {[&] { memory.copyToDevice(live, host, 101); }, "100 bytes of device memory", "101 bytes"},
      {[&] { memory.copyToDevice(bytesOf(live) + 96, host, 8); }, "4 bytes of device", "8 bytes"},
      {[&] { memory.copyToDevice(freed, host, 4); }, "freed device memory (of 64 bytes", "4 bytes"},
      {[&] { memory.copyToHost(host, freed, 4); }, "source", "4 bytes"},
      {[&] { memory.copyOnDevice(host, live, 4); }, "not device memory", "4 bytes"},
      {[&] { memory.fill(live, 0, 4, SIZE_MAX / 2); }, "100 bytes", ""},
      {[&] { memory.fill(live, 0, 3, 1); }, "values of 3 bytes", "1, 2 or 4"},
      {[&] { memory.checkUsable(freed, 4, "tensor x", Access::Read); }, "tensor x at", "4 bytes"},
      {[&] { memory.checkUsable(live, 101, "tensor x", Access::Read); }, "100 bytes of device",
       "101 bytes"},
      {[&] { memory.checkUsable(nullptr, 4, "tensor x", Access::Read); }, "is null", "4 bytes"},
      {[&] { memory.checkUsable(reinterpret_cast<void*>(5), 4, "tensor x", Access::Read); },
       "not memory of this process", "4 bytes"},
      {[&] { memory.checkUsable(reinterpret_cast<void*>(&strlen), 4, "tensor x", Access::Write); },
       "not memory to write to", "4 bytes"},
  };
  for (const Case& one : cases) try {
      one.act();
      ADD_FAILURE() << "nothing was refused; wanted: " << one.has;
    } catch (const Error& error) {
      EXPECT_NE(error.has().find(one.has), std::string::npos) << error.what();
      EXPECT_NE(error.needs().find(one.needs), std::string::npos) << error.what();
    }
  memory.checkUsable(host, sizeof host, "tensor x", Access::Write);
  EXPECT_EQ(host[3], 0);
  memory.checkUsable(bytesOf(live) + 50, 50, "tensor x", Access::Read);
  memory.release(live);
}

TEST(DeviceMemory, ADeviceThatIsNotThereIsNamed) {
  const char* old = std::getenv("CARNOT_DEVICE");
  std::string kept = old ? old : "";
  setenv("CARNOT_DEVICE", "abacus", 1);
  EXPECT_THROW(deviceMemory(), Error);
  setenv("CARNOT_DEVICE", "cpu", 1);
  EXPECT_EQ(deviceMemory().kind(), "cpu");
  if (old)
    setenv("CARNOT_DEVICE", kept.c_str(), 1);
  else
    unsetenv("CARNOT_DEVICE");
}

}  // namespace
}  // namespace carnot
