#include "devices/device.h"

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

TEST(Cpu, CopiesFillsAndTellsTime) {
  const DeviceTraits traits = hostTraits(2);
  EXPECT_EQ(traits.kind, "cpu");
  EXPECT_FALSE(traits.model.empty());
  EXPECT_NE(traits.fingerprint().find("2 threads"), std::string::npos);
  const auto device = openDevice(traits);
  const auto stream = device->createStream();
  ASSERT_NE(stream->threadPool(), nullptr);
  EXPECT_EQ(stream->threadPool()->threads(), 2);
  const auto memory = device->allocate(100);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory->data()) % 64, 0u);
  const auto before = device->createEvent(), after = device->createEvent();
  before->record(*stream);
  device->fillZero(memory->data(), 100, *stream);
  device->copyToDevice(memory->data(), "carnot", 7, *stream);
  char text[7];
  device->copyFromDevice(text, memory->data(), 7, *stream);
  after->record(*stream);
  EXPECT_STREQ(text, "carnot");
  EXPECT_EQ(static_cast<char*>(memory->data())[7], 0);
  EXPECT_GE(after->millisecondsSince(*before), 0);
}

}  // namespace
}  // namespace carnot::test
