#include <carnot/contents.h>
#include <carnot/device.h>
#include <carnot/engine.h>
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

namespace carnot {
namespace {

template <typename T>
std::string textOf(DType type, T value) {
  T two[] = {T(), value};
  return elementText(type, two, 1);
}

TEST(Contents, ElementsAsText) {
  EXPECT_EQ(textOf(DType::F32, 0.1f), "0.1");
  EXPECT_EQ(textOf(DType::F32, -3.0f), "-3");
  EXPECT_EQ(textOf(DType::F32, std::numeric_limits<float>::quiet_NaN()), "nan");
  EXPECT_EQ(textOf(DType::F32, -std::numeric_limits<float>::infinity()), "-inf");
  EXPECT_EQ(textOf(DType::F64, 1.0 / 3), "0.3333333333333333");
  EXPECT_EQ(textOf(DType::F16, uint16_t{0x3800}), "0.5");
  EXPECT_EQ(textOf(DType::BF16, uint16_t{0xBF80}), "-1");
  EXPECT_EQ(textOf(DType::I8, int8_t{-128}), "-128");
  EXPECT_EQ(textOf(DType::I64, std::numeric_limits<int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(textOf(DType::U64, std::numeric_limits<uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(textOf(DType::Bool, true), "1");
  EXPECT_EQ(textOf(DType::C64, std::complex<float>(0.5f, -2)), "0.5-2i");
  uint8_t packed = 0xF3;
  EXPECT_EQ(elementText(DType::I4, &packed, 1), "-1");
}

TEST(Contents, MadeUpContentsRepeat) {
  std::vector<float> first(1000), second(1000), other(1000);
  fillMadeUp(DType::F32, 1000, first.data(), 7);
  fillMadeUp(DType::F32, 1000, second.data(), 7);
  fillMadeUp(DType::F32, 1000, other.data(), 8);
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
  float sum = 0;
  for (float value : first) {
    EXPECT_GE(value, -1);
    EXPECT_LT(value, 1);
    sum += value;
  }
  EXPECT_LT(std::abs(sum / 1000), 0.1f);
  std::vector<int64_t> indices(3);
  fillMadeUp(DType::I64, 3, indices.data(), 7);
  EXPECT_EQ(indices, (std::vector<int64_t>{1, 1, 1}));
}

TEST(Device, DescribesItself) {
  DeviceInfo device = deviceInfo();
  EXPECT_EQ(device.kind, "cpu");
  EXPECT_FALSE(device.model.empty());
  EXPECT_FALSE(device.isa.empty());
  EXPECT_GE(device.threads, 1);
  EXPECT_GT(device.l2Bytes, 0u);
}

TEST(EngineFile, IsKnownByItsStartOrItsName) {
  std::string path = (std::filesystem::path(::testing::TempDir()) / "sniffed").string();
  auto write = [&](std::string_view text) { std::ofstream(path, std::ios::binary) << text; };
  write(
      "\x89"
      "CARNOT\n and more");
  EXPECT_TRUE(isEngineFile(path));
  write(
      "\x89"
      "CARN");
  EXPECT_FALSE(isEngineFile(path));
  write("an ONNX model");
  EXPECT_FALSE(isEngineFile(path));
  std::filesystem::remove(path);
  EXPECT_FALSE(isEngineFile(path));
  EXPECT_TRUE(isEngineFile("none.plan"));
  EXPECT_TRUE(isEngineFile("none.engine"));
}

}  // namespace
}  // namespace carnot
