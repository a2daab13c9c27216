#include "devices/device.h"
#include "devices/plugin_memory.h"

#include <carnot/error.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/threads.h"

namespace carnot::test {
namespace {

struct IsaCase {
  const char* text;
  const char* names;
};

TEST(Isa, EachLevelIncludesThoseBelow) {
  const IsaCase cases[] = {
      {"portable", "portable"},
      {"avx2", "avx2"},
      {"avx512", "avx2+avx512"},
      {"avx_vnni", "avx2+avx_vnni"},
      {"avx512_vnni", "avx2+avx512+avx512_vnni"},
      {"avx512_bf16+avx_vnni", "avx2+avx512+avx_vnni+avx512_bf16"},
      {"amx_int8", "avx2+avx512+amx_int8"},
  };
  for (const IsaCase& row : cases) {
    EXPECT_EQ(isaNames(parseIsa(row.text)), row.names) << row.text;
    EXPECT_EQ(parseIsa(row.names), parseIsa(row.text)) << row.text;
  }
  EXPECT_EQ(parseIsa("native"), hostIsa());
}

TEST(Isa, AnUnknownNameIsRefusedWithTheNearestOne) {
  for (const char* text : {"avx51", "", "avx2+", "sse"}) {
    try {
      parseIsa(text);
      ADD_FAILURE() << text << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::InvalidArgument);
      EXPECT_NE(std::string(error.what()).find("avx512_vnni"), std::string::npos) << error.what();
    }
  }
}

// What holds of every kind of device that is here.
class Devices : public ::testing::TestWithParam<std::string> {
 protected:
  DeviceTraits traits = deviceTraits(GetParam(), 2);
  std::shared_ptr<Device> device = openDevice(traits);
  std::unique_ptr<Stream> stream = device->createStream();

  std::string read(const std::shared_ptr<Buffer>& memory, size_t bytes) {
    std::string text(bytes, '?');
    device->copyFromDevice(text.data(), memory->data(), bytes, *stream);
    stream->synchronize();
    return text;
  }
};

TEST_P(Devices, SayWhatTheyAre) {
  EXPECT_EQ(traits.kind, GetParam());
  EXPECT_FALSE(traits.model.empty());
  EXPECT_EQ(traits.threads, 2);
  EXPECT_EQ(traits.fingerprint().find(GetParam() + "; " + traits.model), 0u);
  EXPECT_EQ(device->traits().fingerprint(), traits.fingerprint());
  RecordProperty("fingerprint", traits.fingerprint());
}

TEST_P(Devices, CopyAndFillInOrder) {
  const auto a = device->allocate(100), b = device->allocate(100);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a->data()) % 64, 0u);
  EXPECT_EQ(a->bytes(), 100u);
  EXPECT_TRUE(device->reaches(a->data()));
  device->fillZero(a->data(), 100, *stream);
  device->copyToDevice(a->data(), "carnot", 6, *stream);
  device->copyOnDevice(b->data(), a->data(), 100, *stream);
  device->fillZero(a->data(), 100, *stream);
  device->copyFromDevice(nullptr, a->data(), 0, *stream);
  EXPECT_EQ(read(b, 8), std::string("carnot\0\0", 8));
  EXPECT_EQ(read(a, 2), std::string(2, '\0'));
}

TEST_P(Devices, FillWithValuesOfEachWidth) {
  const auto memory = device->allocate(64);
  device->fillZero(memory->data(), 64, *stream);
  device->fill(memory->data(), 0x41424344, 4, 2, *stream);
  EXPECT_EQ(read(memory, 9), std::string("DCBADCBA\0", 9));
  device->fill(memory->data(), 0x41424344, 2, 2, *stream);
  EXPECT_EQ(read(memory, 5), "DCDCD");
  device->fill(memory->data(), 0x41424344, 1, 3, *stream);
  EXPECT_EQ(read(memory, 4), "DDDC");
}

TEST_P(Devices, WaitForEachOther) {
  const auto memory = device->allocate(1 << 20), copy = device->allocate(1 << 20);
  const auto host = device->allocateHost(1 << 20);
  std::fill_n(static_cast<char*>(host->data()), host->bytes(), 'c');
  const auto second = device->createStream();
  const auto filled = device->createEvent();
  device->copyToDevice(memory->data(), host->data(), host->bytes(), *stream);
  filled->record(*stream);
  second->wait(*filled);
  device->copyOnDevice(copy->data(), memory->data(), host->bytes(), *second);
  second->synchronize();
  EXPECT_TRUE(filled->reached());
  EXPECT_TRUE(stream->idle());
  EXPECT_TRUE(second->idle());
  EXPECT_EQ(read(copy, host->bytes()), std::string(host->bytes(), 'c'));
}

TEST_P(Devices, TellTheirFreeMemory) {
  EXPECT_GT(device->freeBytes(), 0u);
  EXPECT_LE(device->freeBytes(), traits.memoryBytes ? traits.memoryBytes : SIZE_MAX);
}

TEST_P(Devices, TellTime) {
  const auto before = device->createEvent(), after = device->createEvent();
  const auto memory = device->allocate(1 << 20);
  before->record(*stream);
  device->fillZero(memory->data(), memory->bytes(), *stream);
  after->record(*stream);
  after->synchronize();
  EXPECT_GE(after->millisecondsSince(*before), 0);
}

TEST_P(Devices, RecordWork) {
  const auto source = device->allocate(64);
  device->fillZero(source->data(), 64, *stream);
  device->copyToDevice(source->data(), "carnot", 6, *stream);
  std::vector<std::shared_ptr<Buffer>> targets;
  for (int i = 0; i < 8; ++i) {
    targets.push_back(device->allocate(64));
    device->fillZero(targets.back()->data(), 64, *stream);
  }
  stream->synchronize();
  auto into = [&](const std::shared_ptr<Buffer>& memory) {
    return [&] {
      auto* to = static_cast<char*>(memory->data());
      device->copyOnDevice(to, source->data(), 6, *stream);
      device->fill(to + 8, '!', 1, 3, *stream);
    };
  };
  auto places = [](const std::shared_ptr<Buffer>& memory) {
    return std::vector<MemoryRange>{{memory->data(), 64}};
  };
  auto recording = device->record(*stream, into(targets[0]), places(targets[0]));
  if (!recording) {
    EXPECT_TRUE(device->sharesHostMemory());
    return;
  }
  EXPECT_EQ(read(targets[0], 1), std::string(1, '\0'));
  int issued = 0;
  for (int round = 0; round < 3; ++round)
    for (const auto& target : targets) {
      device->fillZero(target->data(), 64, *stream);
      if (round > 0 || target != targets[0])
        recording->update(
            *stream,
            [&] {
              ++issued;
              into(target)();
            },
            places(target));
      EXPECT_EQ(read(target, 1), std::string(1, '\0'));
      recording->launch(*stream);
      EXPECT_EQ(read(target, 12), std::string("carnot\0\0!!!\0", 12));
    }
  EXPECT_LE(issued, 1) << "addresses that are known need no new recording";
  EXPECT_THROW(device->record(*stream, [] { throw Error(ErrorCode::Internal, "stopped"); }), Error);
  device->fillZero(source->data(), 64, *stream);
  EXPECT_EQ(read(source, 1), std::string(1, '\0'));
}

TEST_P(Devices, UseStreamsOfTheApplication) {
  const auto made = device->createStream(true);
  const auto memory = device->allocate(8);
  for (void* native : {made->native(), static_cast<void*>(nullptr)}) {
    const auto same = device->streamAt(native);
    device->fill(memory->data(), 'a', 1, 8, *same);
    same->synchronize();
    EXPECT_TRUE(same->idle());
    EXPECT_EQ(read(memory, 8), "aaaaaaaa");
    device->fillZero(memory->data(), 8, *same);
    same->synchronize();
  }
}

INSTANTIATE_TEST_SUITE_P(All, Devices, ::testing::ValuesIn(deviceKinds()),
                         [](const auto& info) { return info.param; });

// Memory as programs for CUDA know it, over any kind of device.
class DevicesMemory : public ::testing::TestWithParam<std::string> {
 protected:
  PluginMemory memory{openDevice(deviceTraits(GetParam(), 1))};
};

TEST_P(DevicesMemory, CopiesAndFills) {
  auto* base = static_cast<char*>(memory.allocate(64));
  char host[64];
  memory.fill(base, 'a', 1, 64);
  memory.copyToDevice(base + 8, "carnot", 6);
  memory.copyOnDevice(base + 10, base + 8, 6);  // overlapping
  memory.copyToHost(host, base, 64);
  EXPECT_EQ(std::string(host, 17), "aaaaaaaacacarnota");
  EXPECT_EQ(memory.usage().allocated, 64u);
  EXPECT_GT(memory.usage().total + memory.usage().free, 0u);
  memory.release(base);
  EXPECT_EQ(memory.usage().allocated, 0u);
}

TEST_P(DevicesMemory, KnowsWhatIsLive) {
  using Kind = DeviceMemory::Place::Kind;
  using Access = DeviceMemory::Access;
  auto* base = static_cast<char*>(memory.allocate(64));
  EXPECT_EQ(memory.find(base + 63).kind, Kind::Live);
  EXPECT_EQ(memory.find(base + 63).base, base);
  memory.checkUsable(base, 64, "x", Access::Write);
  EXPECT_THROW(memory.checkUsable(base, 65, "x", Access::Read), Error);
  EXPECT_THROW(memory.copyToDevice(base + 60, "carnot", 6), Error);
  EXPECT_THROW(memory.release(base + 1), Error);
  EXPECT_THROW(memory.allocate(0), Error);
  EXPECT_THROW(memory.allocate(SIZE_MAX / 2), Error);
  EXPECT_THROW(memory.fill(base, 0, 3, 1), Error);
  memory.release(base);
  EXPECT_EQ(memory.find(base).kind, Kind::Freed);
  EXPECT_THROW(memory.release(base), Error);
  EXPECT_THROW(memory.copyToDevice(base, "c", 1), Error);
  EXPECT_THROW(memory.checkUsable(nullptr, 1, "x", Access::Read), Error);
  void* host = memory.allocateHost(64);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(host) % 4096, 0u);
  memory.checkUsable(host, 64, "x", Access::Write);
  memory.synchronize();
  memory.releaseHost(host);
  memory.releaseHost(nullptr);
  int here = 0;
  memory.checkUsable(&here, sizeof here, "x", Access::Write);  // by way of staging
}

INSTANTIATE_TEST_SUITE_P(All, DevicesMemory, ::testing::ValuesIn(deviceKinds()),
                         [](const auto& info) { return info.param; });

TEST(DeviceKinds, OneThatIsNotThereSaysWhy) {
  EXPECT_EQ(deviceKinds().front(), "cpu");
  EXPECT_THROW(deviceTraits("abacus", 1), Error);
  if (deviceKinds().size() > 1) return;
  try {
    deviceTraits("cuda", 1);
    ADD_FAILURE() << "a GPU that is no device kind";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_FALSE(error.has().empty());
  }
}

TEST(Cpu, HasThreadsOfItsStream) {
  const auto stream = openDevice(hostTraits(2))->createStream();
  ASSERT_NE(stream->threadPool(), nullptr);
  EXPECT_EQ(stream->threadPool()->threads(), 2);
}

}  // namespace
}  // namespace carnot::test
