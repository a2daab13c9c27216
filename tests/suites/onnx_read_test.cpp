#include <carnot/error.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "frontend/onnx/import.h"
#include "frontend/onnx/tensors.h"
#include "suites/support/onnx_encoder.h"

namespace carnot::test {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytesOf(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

EncodedModel everyKindOfField() {
  EncodedModel model;
  model.graph.inputs = {{"x", 1, {std::string("batch"), 3}}};
  model.graph.outputs = {{"y", 1, {std::string("batch"), 3}}, {"z", 1, {}}};
  model.graph.initializers = {{.name = "w", .dims = {3}, .floats = {1, 2, 3}}};
  model.graph.nodes = {
      {"Add", {"x", "w"}, {"a"}, {}, "first"},
      {"LeakyRelu", {"a"}, {"b"}, {{"alpha", 0.5f}}},
      {"mine", {"b"}, {"y"}, {}, "call", "own"},
      {"Constant", {}, {"c"}, {{"value", EncodedTensor{.type = 9, .int32s = {1}}}}},
      {"If",
       {"c"},
       {"z"},
       {{"then_branch", EncodedGraph{.outputs = {{"t"}},
                                     .nodes = {{"Constant", {}, {"t"}, {{"value_float", 1.f}}}}}},
        {"else_branch", EncodedGraph{.outputs = {{"e"}}, .nodes = {{"Neg", {"x"}, {"e"}}}}}}},
  };
  model.functions = {{"mine", "own", {"p"}, {"q"}, {}, {}, {{"Relu", {"p"}, {"q"}}}}};
  model.domains = {"own"};
  return model;
}

TEST(OnnxRead, WholeModelIsRead) {
  std::string bytes = everyKindOfField().encode();
  OnnxModel model = readOnnxBytes(bytesOf(bytes));
  EXPECT_EQ(model.producer, "tests");
  EXPECT_EQ(model.graph.nodes.size(), 5u);
  EXPECT_EQ(importOnnx(model).outputs.size(), 2u);
}

TEST(OnnxRead, CutOffAnywhereIsRefused) {
  std::string bytes = everyKindOfField().encode();
  for (size_t length = 0; length < bytes.size(); ++length) {
    // Exactly as many bytes as there are, so that a sanitizer sees any read beyond them.
    std::vector<std::byte> cut(length);
    if (length > 0) std::memcpy(cut.data(), bytes.data(), length);
    EXPECT_THROW(importOnnx(readOnnxBytes(cut)), Error) << length;
  }
}

TEST(OnnxRead, DamagedBytesAreRefusedOrRead) {
  std::string whole = everyKindOfField().encode();
  std::mt19937 random(7);
  int refused = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = whole;
    for (int i = 0; i <= round % 3; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    try {
      importOnnx(readOnnxBytes(bytesOf(bytes)));
    } catch (const Error& error) {
      EXPECT_NE(error.code(), ErrorCode::Internal) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 2000);
}

TEST(OnnxRead, RandomBytesAreRefused) {
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes(random() % 200, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_THROW(importOnnx(readOnnxBytes(bytesOf(bytes))), Error);
  }
}

TEST(OnnxRead, ErrorsNameFileAndPlace) {
  try {
    readOnnxFile("/nowhere/model.onnx");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Io);
    EXPECT_NE(std::string(error.what()).find("/nowhere/model.onnx"), std::string::npos);
  }
  std::string bytes = everyKindOfField().encode();
  try {
    readOnnxBytes(bytesOf(bytes).first(bytes.size() / 2), nullptr, {}, "file m.onnx");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::InvalidModel);
    EXPECT_EQ(error.context().front(), "file m.onnx");
  }
}

// --- tensors

Tensor loaded(const EncodedTensor& tensor, const std::string& folder = {}) {
  EncodedModel model;
  model.graph.initializers = {tensor};
  std::string bytes = model.encode();
  OnnxModel read = readOnnxBytes(bytesOf(bytes), nullptr, folder);
  Tensor result = OnnxTensorLoader(read).load(read.graph.initializers[0]);
  // Out of the model's memory.
  Tensor copy(result.dtype(), result.dims());
  if (result.bytes() > 0) std::memcpy(copy.as<std::byte>(), result.data(), result.bytes());
  return copy;
}

struct TensorCase {
  EncodedTensor encoded;
  DType dtype;
  std::vector<double> values;
};

class OnnxTensorData : public testing::TestWithParam<TensorCase> {};

TEST_P(OnnxTensorData, IsLoaded) {
  Tensor tensor = loaded(GetParam().encoded);
  EXPECT_EQ(tensor.dtype(), GetParam().dtype);
  EXPECT_EQ(tensor.dims(), GetParam().encoded.dims);
  EXPECT_EQ(tensor.toDoubles(), GetParam().values);
}

using enum DType;
using Bytes = std::string;
EncodedTensor raw(int type, std::vector<int64_t> dims, Bytes bytes) {
  return {.type = type, .dims = std::move(dims), .raw = std::move(bytes)};
}

INSTANTIATE_TEST_SUITE_P(
    Types, OnnxTensorData,
    testing::Values(TensorCase{{.type = 1, .dims = {2}, .floats = {1.5f, -2}}, F32, {1.5, -2}},
                    TensorCase{raw(1, {1}, Bytes("\0\0\xC0\x3F", 4)), F32, {1.5}},
                    TensorCase{{.type = 2, .dims = {2}, .int32s = {0, 255}}, U8, {0, 255}},
                    TensorCase{{.type = 3, .dims = {2}, .int32s = {-1, 5}}, I8, {-1, 5}},
                    TensorCase{raw(3, {2}, "\xFF\x05"), I8, {-1, 5}},
                    TensorCase{{.type = 4, .dims = {1}, .int32s = {65535}}, U16, {65535}},
                    TensorCase{{.type = 5, .dims = {1}, .int32s = {-300}}, I16, {-300}},
                    TensorCase{{.type = 6, .dims = {1}, .int32s = {-70000}}, I32, {-70000}},
                    TensorCase{{.type = 7, .dims = {2}, .int64s = {-1, 5}}, I64, {-1, 5}},
                    TensorCase{{.type = 9, .dims = {2}, .int32s = {0, 1}}, Bool, {0, 1}},
                    TensorCase{raw(9, {2}, Bytes("\0\x02", 2)), Bool, {0, 1}},
                    TensorCase{{.type = 10, .dims = {1}, .int32s = {0x3E00}}, F16, {1.5}},
                    TensorCase{{.type = 11, .dims = {1}, .doubles = {0.1}}, F64, {0.1}},
                    TensorCase{
                        {.type = 12, .dims = {1}, .uint64s = {4294967295}}, U32, {4294967295.0}},
                    TensorCase{{.type = 13, .dims = {1}, .uint64s = {7}}, U64, {7}},
                    TensorCase{{.type = 16, .dims = {1}, .int32s = {0x3FC0}}, BF16, {1.5}},
                    TensorCase{{.type = 17, .dims = {1}, .int32s = {0x38}}, F8E4M3FN, {1}},
                    TensorCase{{.type = 19, .dims = {1}, .int32s = {0x3C}}, F8E5M2, {1}},
                    TensorCase{{.type = 21, .dims = {3}, .int32s = {0x21, 0x03}}, U4, {1, 2, 3}},
                    TensorCase{raw(22, {3}, "\x2F\x08"), I4, {-1, 2, -8}},
                    TensorCase{raw(23, {2}, "\x24"), F4E2M1, {2, 1}},
                    TensorCase{raw(24, {1}, "\x80"), F8E8M0, {2}},
                    TensorCase{raw(25, {4}, "\xE4"), U2, {0, 1, 2, 3}},
                    TensorCase{{.type = 1, .dims = {0, 4}}, F32, {}},
                    TensorCase{{.type = 1, .dims = {}, .floats = {3}}, F32, {3}}));

TEST(OnnxTensorLoading, ComplexNumbersComeInPairs) {
  Tensor tensor = loaded({.type = 14, .dims = {1}, .floats = {1, 2}});
  EXPECT_EQ(tensor.dtype(), C64);
  EXPECT_EQ(tensor.view().loadComplex(0), std::complex<double>(1, 2));
}

TEST(OnnxTensorLoading, DataThatDoesNotFitIsRefused) {
  for (const EncodedTensor& tensor :
       std::vector<EncodedTensor>{{.type = 1, .dims = {3}, .floats = {1, 2}},
                                  {.type = 1, .dims = {1}, .floats = {1, 2}},
                                  {.type = 1, .dims = {-1}, .floats = {1}},
                                  {.type = 1, .dims = {2}},
                                  {.type = 1, .dims = {int64_t{1} << 40, int64_t{1} << 40}},
                                  {.type = 1, .dims = {int64_t{1} << 40}},
                                  {.type = 7, .dims = {1}, .int64s = {1, 2}},
                                  {.type = 0, .dims = {1}},
                                  {.type = 99, .dims = {1}},
                                  {.type = 8, .dims = {1}},
                                  raw(1, {1}, "abc"),
                                  raw(22, {3}, "a")})
    EXPECT_THROW(loaded(tensor), Error);
}

TEST(OnnxTensorLoading, RawBytesAreNotCopied) {
  EncodedModel model;
  model.graph.initializers = {raw(2, {4}, "abcd")};
  std::string bytes = model.encode();
  OnnxModel read = readOnnxBytes(bytesOf(bytes));
  Tensor tensor = OnnxTensorLoader(read).load(read.graph.initializers[0]);
  const char* data = static_cast<const char*>(tensor.data());
  EXPECT_TRUE(data > bytes.data() && data < bytes.data() + bytes.size());
}

class OnnxExternalData : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / fs::path("carnot-external-XXXXXX");
    std::string name = folder_.string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    fs::create_directory(folder_ / "model");
    write(folder_ / "model" / "data.bin", "....abcd");
    write(folder_ / "outside.bin", "....abcd");
    fs::create_symlink(folder_ / "outside.bin", folder_ / "model" / "link.bin");
    fs::create_symlink(folder_ / "model" / "data.bin", folder_ / "model" / "inner.bin");
  }
  void TearDown() override { fs::remove_all(folder_); }

  static void write(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  Tensor load(std::vector<std::pair<std::string, std::string>> entries) const {
    return loaded({.type = 2, .dims = {4}, .external = std::move(entries)},
                  (folder_ / "model").string());
  }
  fs::path folder_;
};

TEST_F(OnnxExternalData, IsReadFromTheFolder) {
  for (const char* file : {"data.bin", "./data.bin", "inner.bin"}) {
    Tensor tensor = load({{"location", file}, {"offset", "4"}, {"length", "4"}});
    EXPECT_EQ(tensor.toInts(), (std::vector<int64_t>{'a', 'b', 'c', 'd'}));
  }
  EXPECT_EQ(load({{"location", "data.bin"}, {"offset", "4"}}).toInts()[0], 'a');
}

TEST_F(OnnxExternalData, IsRefusedElsewhere) {
  std::string absolute = (folder_ / "model" / "data.bin").string();
  for (const std::string& file :
       std::vector<std::string>{absolute, "../outside.bin", "../model/data.bin", "link.bin", "",
                                ".", "missing.bin", "/dev/zero"})
    EXPECT_THROW(load({{"location", file}, {"offset", "4"}}), Error) << file;
  for (const char* offset : {"5", "99", "-1", "x", "18446744073709551615"})
    EXPECT_THROW(load({{"location", "data.bin"}, {"offset", offset}}), Error) << offset;
  EXPECT_THROW(load({{"location", "data.bin"}, {"length", "3"}}), Error);
  EXPECT_THROW(loaded({.type = 2, .dims = {4}, .external = {{"location", "data.bin"}}}), Error);
}

TEST(OnnxTensorLoading, SparseBecomesDense) {
  auto dense = [](const EncodedTensor& indices, std::vector<int64_t> dims) {
    EncodedModel model;
    model.graph.sparseInitializers = {
        encodeSparse({.name = "s", .dims = {2}, .floats = {5, 7}}, indices, dims)};
    std::string bytes = model.encode();
    OnnxModel read = readOnnxBytes(bytesOf(bytes));
    return OnnxTensorLoader(read).load(read.graph.sparseInitializers[0]);
  };
  EncodedTensor linear{.type = 7, .dims = {2}, .int64s = {1, 3}};
  EncodedTensor pairs{.type = 7, .dims = {2, 2}, .int64s = {0, 1, 1, 1}};
  for (const EncodedTensor& indices : {linear, pairs})
    EXPECT_EQ(dense(indices, {2, 2}).toDoubles(), (std::vector<double>{0, 5, 0, 7}));
  EXPECT_THROW(dense({.type = 7, .dims = {2}, .int64s = {1, 4}}, {2, 2}), Error);
  EXPECT_THROW(dense({.type = 7, .dims = {2}, .int64s = {1, -1}}, {2, 2}), Error);
  EXPECT_THROW(dense(linear, {int64_t{1} << 40}), Error);
}

}  // namespace
}  // namespace carnot::test
