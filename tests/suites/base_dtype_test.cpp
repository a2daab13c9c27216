#include <carnot/dtype.h>
#include <carnot/error.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "base/hash.h"
#include "base/tensor.h"
#include "base/visit.h"

namespace carnot {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// A format as its definition gives it: codes in order of magnitude, with what the ends mean.
struct FormatCase {
  DType type;
  int exponentBits, mantissaBits, bias;
  uint32_t largest;      // code of the largest finite magnitude
  double largestValue;   // as the specification states it
  double smallestValue;  // code 1
  bool infinity, negativeZero;
};

constexpr FormatCase kFormats[] = {
    {DType::F16, 5, 10, 15, 0x7BFF, 65504, 0x1p-24, true, true},
    {DType::BF16, 8, 7, 127, 0x7F7F, 0x1.FEp127, 0x1p-133, true, true},
    {DType::F8E4M3FN, 4, 3, 7, 0x7E, 448, 0x1p-9, false, true},
    {DType::F8E4M3FNUZ, 4, 3, 8, 0x7F, 240, 0x1p-10, false, false},
    {DType::F8E5M2, 5, 2, 15, 0x7B, 57344, 0x1p-16, true, true},
    {DType::F8E5M2FNUZ, 5, 2, 16, 0x7F, 57344, 0x1p-17, false, false},
    {DType::F4E2M1, 2, 1, 1, 0x7, 6, 0.5, false, true},
};

// The value of a magnitude's code, with exponents going on past the format's end: what rounding
// sees.
double magnitudeOf(const FormatCase& format, uint32_t code) {
  double mantissa = code % (1u << format.mantissaBits);
  auto exponent = static_cast<int>(code >> format.mantissaBits);
  double scale = std::pow(2.0, format.mantissaBits);
  if (exponent == 0) return mantissa / scale * std::pow(2.0, 1 - format.bias);
  return (1 + mantissa / scale) * std::pow(2.0, exponent - format.bias);
}

class SmallFormats : public testing::TestWithParam<FormatCase> {
 protected:
  uint32_t signBit() const { return 1u << (format.exponentBits + format.mantissaBits); }

  double decode(uint32_t code) const {
    if (format.type == DType::F16) return halfToFloat(static_cast<uint16_t>(code));
    if (format.type == DType::BF16) return bfloat16ToFloat(static_cast<uint16_t>(code));
    return decodeSmallFloat(format.type, static_cast<uint8_t>(code));
  }

  // Through every way that leads to a code; they must agree.
  uint32_t encode(double value, bool saturate = true) const {
    uint16_t stored = 0;
    TensorView view{.data = &stored, .dtype = format.type, .dims = {}};
    view.storeDouble(0, value);
    if (format.type == DType::F16 || format.type == DType::BF16) {
      auto single = static_cast<float>(value);
      if (static_cast<double>(single) == value) {
        uint16_t code = format.type == DType::F16 ? floatToHalf(single) : floatToBfloat16(single);
        EXPECT_EQ(code, stored) << value;
      }
      return stored;
    }
    if (saturate) {
      EXPECT_EQ(encodeSmallFloat(format.type, value, true), stored) << value;
    }
    return encodeSmallFloat(format.type, value, saturate);
  }

  const FormatCase& format = GetParam();
};

TEST_P(SmallFormats, EveryCodeDecodesByTheDefinition) {
  EXPECT_EQ(magnitudeOf(format, format.largest), format.largestValue);
  EXPECT_EQ(magnitudeOf(format, 1), format.smallestValue);
  for (uint32_t code = 0; code < signBit() * 2; ++code) {
    uint32_t magnitude = code & (signBit() - 1);
    double sign = code & signBit() ? -1 : 1;
    double value = decode(code);
    bool noNegativeZero = !format.negativeZero && code == signBit();
    if (noNegativeZero ||
        (magnitude > format.largest && !(format.infinity && magnitude == format.largest + 1))) {
      EXPECT_TRUE(std::isnan(value)) << code;
    } else if (magnitude > format.largest) {
      EXPECT_EQ(value, sign * kInf) << code;
    } else {
      EXPECT_EQ(value, sign * magnitudeOf(format, magnitude)) << code;
      EXPECT_EQ(std::signbit(value), sign < 0) << code;
      EXPECT_EQ(encode(value), code) << value;
    }
  }
}

TEST_P(SmallFormats, RoundsToNearestEven) {
  for (uint32_t code = 0; code < format.largest; ++code) {
    double low = magnitudeOf(format, code), high = magnitudeOf(format, code + 1);
    double middle = low + (high - low) / 2;  // exact
    uint32_t even = code % 2 == 0 ? code : code + 1;
    EXPECT_EQ(encode(middle), even) << middle;
    EXPECT_EQ(encode(std::nextafter(middle, 0)), code) << middle;
    EXPECT_EQ(encode(std::nextafter(middle, kInf)), code + 1) << middle;
    if (code != 0 || format.negativeZero) {
      EXPECT_EQ(encode(-std::nextafter(middle, 0)), code | signBit()) << middle;
    }
    EXPECT_EQ(encode(-std::nextafter(middle, kInf)), (code + 1) | signBit()) << middle;
  }
}

TEST_P(SmallFormats, EndsFollowCast) {
  bool narrow = dtypeBits(format.type) <= 8;
  double top = magnitudeOf(format, format.largest);
  double limit = top + (magnitudeOf(format, format.largest + 1) - top) / 2;
  bool tieStays = format.largest % 2 == 0;  // the code above the largest is even otherwise
  uint32_t infinity = format.largest + 1;
  for (bool saturate : {true, false}) {
    if (!saturate && !narrow) continue;
    bool stays = (saturate && narrow) || format.type == DType::F4E2M1;
    for (double sign : {1.0, -1.0}) {
      uint32_t bit = sign < 0 ? signBit() : 0;
      EXPECT_EQ(encode(sign * std::nextafter(limit, 0), saturate), format.largest | bit);
      if (tieStays) {
        EXPECT_EQ(encode(sign * limit, saturate), format.largest | bit);
      }
      std::vector<double> beyond = {std::nextafter(limit, kInf), limit * 4, 1e300, kInf};
      if (!tieStays) beyond.push_back(limit);
      for (double value : beyond) {
        uint32_t code = encode(sign * value, saturate);
        if (stays)
          EXPECT_EQ(code, format.largest | bit) << value;
        else if (format.infinity)
          EXPECT_EQ(code, infinity | bit) << value;
        else
          EXPECT_TRUE(std::isnan(decode(code))) << value;
      }
    }
    if (format.type == DType::F4E2M1) {
      EXPECT_EQ(encode(kNan, saturate), 8u);
      EXPECT_EQ(encode(-kNan, saturate), 8u);
    } else {
      EXPECT_TRUE(std::isnan(decode(encode(kNan, saturate))));
      EXPECT_TRUE(std::isnan(decode(encode(-kNan, saturate))));
    }
    EXPECT_EQ(encode(0.0, saturate), 0u);
    EXPECT_EQ(encode(-0.0, saturate), format.negativeZero ? signBit() : 0u);
    EXPECT_EQ(encode(5e-324, saturate), 0u);
    EXPECT_EQ(encode(-5e-324, saturate), format.negativeZero ? signBit() : 0u);
  }
}

TEST_P(SmallFormats, AnyDoubleTakesTheNearestCode) {
  std::mt19937_64 random(7);
  auto distance = [&](double value, uint32_t magnitude) {
    return std::abs(std::abs(value) - decode(magnitude));
  };
  for (int i = 0; i < 20000; ++i) {
    double exponent = std::uniform_real_distribution<>(std::log2(format.smallestValue) - 2,
                                                       std::log2(format.largestValue))(random);
    double value = std::exp2(exponent) * (random() % 2 ? 1 : -1);
    uint32_t code = encode(value), magnitude = code & (signBit() - 1);
    double chosen = distance(value, magnitude);
    if (magnitude > 0) {
      EXPECT_LE(chosen, distance(value, magnitude - 1)) << value;
    }
    if (magnitude < format.largest) {
      EXPECT_LE(chosen, distance(value, magnitude + 1)) << value;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, SmallFormats, testing::ValuesIn(kFormats),
                         [](const auto& info) { return std::string(dtypeName(info.param.type)); });

TEST(Convert, NanPayloads) {
  for (uint32_t code = 0; code <= 0xFFFF; ++code) {
    auto bits = static_cast<uint16_t>(code);
    if (std::isnan(bfloat16ToFloat(bits))) {
      EXPECT_EQ(floatToBfloat16(bfloat16ToFloat(bits)), bits | 0x40);
    }
    if (std::isnan(halfToFloat(bits))) {
      EXPECT_EQ(floatToHalf(halfToFloat(bits)), bits | 0x200);
    }
  }
  // The payload's low bits alone must not turn into infinity.
  EXPECT_TRUE(std::isnan(halfToFloat(floatToHalf(std::bit_cast<float>(0x7F800001u)))));
  EXPECT_TRUE(std::isnan(bfloat16ToFloat(floatToBfloat16(std::bit_cast<float>(0xFF800001u)))));
}

TEST(Convert, RoundsOnce) {
  uint16_t stored = 0;
  TensorView half{.data = &stored, .dtype = DType::F16, .dims = {}};
  // Through float32 this would fall on the tie 1 + 2^-11 and then to the even 1.
  half.storeDouble(0, 1 + 0x1p-11 + 0x1p-40);
  EXPECT_EQ(stored, 0x3C01);
  TensorView brain{.data = &stored, .dtype = DType::BF16, .dims = {}};
  // Through double the last bit would be lost, and the tie go to the even neighbour below.
  brain.storeInt(0, (int64_t{1} << 60) + (int64_t{1} << 52) + 1);
  EXPECT_EQ(bfloat16ToFloat(stored), 0x1.02p60f);
  brain.storeInt(0, (int64_t{1} << 60) + (int64_t{1} << 52));
  EXPECT_EQ(bfloat16ToFloat(stored), 0x1p60f);
  brain.storeInt(0, std::numeric_limits<int64_t>::min());
  EXPECT_EQ(bfloat16ToFloat(stored), -0x1p63f);
}

TEST(Convert, Scales) {
  using enum ScaleRounding;
  auto encode = [](double value, bool saturate, ScaleRounding rounding = Up) {
    return encodeSmallFloat(DType::F8E8M0, value, saturate, rounding);
  };
  for (int code = 0; code < 255; ++code) {
    double value = std::pow(2.0, code - 127);
    EXPECT_EQ(decodeSmallFloat(DType::F8E8M0, static_cast<uint8_t>(code)), value);
    for (auto rounding : {Up, Down, Nearest}) EXPECT_EQ(encode(value, true, rounding), code);
    if (code == 254) continue;
    EXPECT_EQ(encode(std::nextafter(value, kInf), true, Up), code + 1);
    EXPECT_EQ(encode(value * 1.9, true, Down), code);
    EXPECT_EQ(encode(std::nextafter(value * 1.5, 0), true, Nearest), code);
    EXPECT_EQ(encode(value * 1.5, true, Nearest), code + 1);  // ties up
  }
  EXPECT_TRUE(std::isnan(decodeSmallFloat(DType::F8E8M0, 255)));
  // Cast's table.
  EXPECT_EQ(encode(0, true), 0);
  EXPECT_EQ(encode(kInf, true), 254);
  EXPECT_EQ(encode(1e39, true), 254);
  EXPECT_EQ(encode(1e-39, true), 0);
  EXPECT_EQ(encode(kNan, true), 255);
  for (double value : {0.0, kInf, 1e39, 1e-39, kNan})
    EXPECT_EQ(encode(value, false, Nearest), 255) << value;
}

TEST(DType, NamesAndSizes) {
  for (int i = 0; i < kDTypeCount; ++i) {
    auto type = static_cast<DType>(i);
    DType parsed = DType::C128;
    EXPECT_TRUE(parseDType(dtypeName(type), parsed));
    EXPECT_EQ(parsed, type);
    EXPECT_EQ(dtypeBytes(type, 0), 0u);
    EXPECT_EQ(dtypeBytes(type, 8), static_cast<size_t>(dtypeBits(type)));
    EXPECT_EQ(isFloat(type) + isInteger(type) + isComplex(type) + (type == DType::Bool), 1);
  }
  DType untouched = DType::I8;
  EXPECT_FALSE(parseDType("Float32", untouched));
  EXPECT_FALSE(parseDType("", untouched));
  EXPECT_EQ(dtypeBytes(DType::I4, 3), 2u);
  EXPECT_EQ(dtypeBytes(DType::U2, 5), 2u);
  EXPECT_EQ(dtypeBytes(DType::I2, std::numeric_limits<int64_t>::max()), size_t{1} << 61);
  EXPECT_THROW(dtypeBytes(DType::F64, std::numeric_limits<int64_t>::max() / 4), Error);
  EXPECT_THROW(dtypeBytes(DType::U8, -1), Error);
  EXPECT_TRUE(isSigned(DType::I4));
  EXPECT_FALSE(isSigned(DType::U4));
  EXPECT_FALSE(isSigned(DType::Bool));
  EXPECT_FALSE(isSigned(DType::F8E8M0));
}

struct IntegerCase {
  DType type;
  int64_t low, high;
};

TEST(Tensor, IntegersWrap) {
  const IntegerCase cases[] = {
      {DType::I2, -2, 1},          {DType::U2, 0, 3},      {DType::I4, -8, 7},
      {DType::U4, 0, 15},          {DType::I8, -128, 127}, {DType::U8, 0, 255},
      {DType::I16, -32768, 32767}, {DType::U16, 0, 65535}, {DType::I32, INT32_MIN, INT32_MAX},
      {DType::U32, 0, UINT32_MAX}};
  for (const auto& [type, low, high] : cases) {
    int64_t span = high - low + 1;
    // Odd counts leave a last byte half used; each element must leave its neighbours alone.
    std::vector<int64_t> values = {low, high, low + 1, high - 1, 0, 1, low + 2};
    Tensor tensor = Tensor::from<int64_t>(type, {7}, values);
    EXPECT_EQ(tensor.toInts(), values) << dtypeName(type);
    TensorView view = tensor.view();
    for (int64_t i = 0; i < 7; ++i) view.storeInt(i, values[static_cast<size_t>(i)] + span);
    EXPECT_EQ(tensor.toInts(), values) << dtypeName(type);
    for (int64_t i = 0; i < 7; ++i) view.storeDouble(i, static_cast<double>(values[i] - span));
    EXPECT_EQ(tensor.toInts(), values) << dtypeName(type);
    view.storeDouble(1, 0.999);
    EXPECT_EQ(view.loadInt(1), 0);
    view.storeDouble(1, 1.5);
    EXPECT_EQ(view.loadDouble(1), 1);
  }
  Tensor tensor(DType::U64, {1});
  TensorView view = tensor.view();
  view.storeDouble(0, 0x1.8p63);
  EXPECT_EQ(view.loadDouble(0), 0x1.8p63);
  EXPECT_EQ(view.loadInt(0), static_cast<int64_t>(uint64_t{3} << 62));
  Tensor wide(DType::I64, {1});
  wide.view().storeDouble(0, kNan);
  EXPECT_EQ(wide.view().loadInt(0), INT64_MIN);
  wide.view().storeDouble(0, 1e19);
  EXPECT_EQ(wide.view().loadInt(0), INT64_MIN);
}

TEST(Tensor, PackingPutsTheFirstElementLow) {
  std::vector<int64_t> values = {1, 2, 3, -1, -8};
  Tensor four = Tensor::from<int64_t>(DType::I4, {5}, values);
  auto* bytes = four.as<uint8_t>();
  EXPECT_EQ(bytes[0], 0x21);
  EXPECT_EQ(bytes[1], 0xF3);
  EXPECT_EQ(bytes[2] & 0xF, 0x8);
  std::vector<int64_t> quarter = {1, 2, 3, 0, 2};
  Tensor two = Tensor::from<int64_t>(DType::U2, {5}, quarter);
  EXPECT_EQ(two.as<uint8_t>()[0], 0x39);
  std::vector<double> floats = {0.5, -6, 1.5};
  Tensor small = Tensor::from<double>(DType::F4E2M1, {3}, floats);
  EXPECT_EQ(small.as<uint8_t>()[0], 0xF1);
  EXPECT_EQ(small.toDoubles(), floats);
}

TEST(Tensor, BitsBeyondTheElementsDoNotCount) {
  std::vector<int64_t> values = {1, 2, 3};
  Tensor a = Tensor::from<int64_t>(DType::I4, {3}, values);
  Tensor b = Tensor::from<int64_t>(DType::I4, {3}, values);
  a.as<uint8_t>()[1] = 0x03;
  b.as<uint8_t>()[1] = 0xF3;
  EXPECT_TRUE(a.sameBytes(b));
  EXPECT_EQ(a.hash(), b.hash());
  b.as<uint8_t>()[1] = 0xF2;
  EXPECT_FALSE(a.sameBytes(b));
  EXPECT_NE(a.hash(), b.hash());
}

TEST(Tensor, EveryTypeHoldsSmallNumbers) {
  for (int i = 0; i < kDTypeCount; ++i) {
    auto type = static_cast<DType>(i);
    Tensor tensor(type, {3});
    TensorView view = tensor.view();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % 64, 0u);
    view.storeInt(0, 1);
    view.storeDouble(1, 1.0);
    view.storeComplex(2, {1.0, 0.0});
    for (int64_t index = 0; index < 3; ++index) {
      EXPECT_EQ(view.loadInt(index), 1) << dtypeName(type);
      EXPECT_EQ(view.loadDouble(index), 1.0) << dtypeName(type);
      EXPECT_EQ(view.loadComplex(index), std::complex<double>(1.0)) << dtypeName(type);
      EXPECT_TRUE(view.loadBool(index)) << dtypeName(type);
    }
    if (type == DType::F8E8M0) continue;  // has no zero
    view.storeDouble(1, 0);
    EXPECT_FALSE(view.loadBool(1)) << dtypeName(type);
  }
  Tensor complex(DType::C64, {1});
  complex.view().storeComplex(0, {0, -2.5});
  EXPECT_EQ(complex.view().loadComplex(0), std::complex<double>(0, -2.5));
  EXPECT_TRUE(complex.view().loadBool(0));
  Tensor boolean = Tensor::scalar(DType::Bool, 36);
  EXPECT_EQ(*boolean.as<uint8_t>(), 1);
}

TEST(Tensor, ShapesAndSizesAreChecked) {
  std::vector<float> values = {1, 2, 3, 4, 5, 6};
  Tensor tensor = Tensor::ofFloats({2, 3}, values);
  EXPECT_EQ(tensor.bytes(), 24u);
  EXPECT_EQ(tensor.reshaped({3, 2}).dims(), (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(tensor.reshaped({6}).data(), tensor.data());
  EXPECT_FALSE(tensor.sameBytes(tensor.reshaped({6})));
  EXPECT_THROW(tensor.reshaped({5}), Error);
  EXPECT_THROW(tensor.toInts(), Error);
  EXPECT_THROW(Tensor::ofFloats({7}, values), Error);
  EXPECT_THROW(Tensor(DType::F32, {-1}), Error);
  EXPECT_THROW(Tensor(DType::F32, {int64_t{1} << 60, 16}), Error);
  EXPECT_THROW(Tensor(DType::F32, {int64_t{1} << 58}), Error);  // more than the machine has
  EXPECT_THROW(Tensor(DType::F32, {7}, tensor.buffer()), Error);
  EXPECT_EQ(Tensor(DType::F32, {0, 5}).bytes(), 0u);
  EXPECT_TRUE(Tensor(DType::F32, {0, 5}).sameBytes(Tensor(DType::F32, {0, 5})));
  EXPECT_TRUE(Tensor().empty());
  EXPECT_EQ(Tensor().bytes(), 0u);
  EXPECT_EQ(Tensor::scalar(DType::I32, 5).toInts(), std::vector<int64_t>{5});
}

enum class Mode { Constant, Edge };
constexpr Mode lastOf(Mode) { return Mode::Edge; }
struct Sample {
  int64_t axis = -1;
  float epsilon = 0.1f;
  bool keep = true;
  Mode mode = Mode::Edge;
  DType type = DType::I8;
  std::string name = "a \"b\"\n";
  std::vector<int64_t> pads = {1, 2};
  std::vector<double> scales;
  Shape shape = {Dim::symbol("n"), 3};
  void visit(auto& fields) {
    fields("axis", axis);
    fields("epsilon", epsilon);
    fields("keep", keep);
    fields("mode", mode);
    fields("type", type);
    fields("name", name);
    fields("pads", pads);
    fields("scales", scales);
    fields("shape", shape);
  }
};

TEST(Visit, FieldsAreData) {
  FieldMap fields = fieldsOf(Sample());
  std::map<std::string, std::string> text;
  for (const auto& [name, value] : fields) text[name] = fieldToString(value);
  EXPECT_EQ(text["axis"], "-1");
  EXPECT_EQ(text["keep"], "true");
  EXPECT_EQ(text["mode"], "1");
  EXPECT_EQ(text["type"], "int8");
  EXPECT_EQ(text["name"], "\"a \\\"b\\\"\\n\"");
  EXPECT_EQ(text["pads"], "[1, 2]");
  EXPECT_EQ(text["scales"], "[]");
  EXPECT_EQ(text["shape"], "[n, 3]");
  EXPECT_EQ(fieldToString(2.0), "2.0");
  EXPECT_EQ(fieldToString(1e300), "1e+300");

  Sample copy;
  setFields(copy, fields);
  EXPECT_TRUE(fieldsEqual(fieldsOf(copy), fields));
  EXPECT_EQ(hashFields(fieldsOf(copy)), hashFields(fields));
  copy.shape[1] = 4;
  EXPECT_FALSE(fieldsEqual(fieldsOf(copy), fields));
  EXPECT_NE(hashFields(fieldsOf(copy)), hashFields(fields));
  copy = Sample();
  copy.epsilon = -0.0f;
  Sample zero;
  zero.epsilon = 0.0f;
  EXPECT_FALSE(fieldsEqual(fieldsOf(copy), fieldsOf(zero)));
  copy.epsilon = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(fieldsEqual(fieldsOf(copy), fieldsOf(copy)));

  EXPECT_THROW(setFields(copy, {{"axs", int64_t{1}}}), Error);
  EXPECT_THROW(setFields(copy, {{"axis", std::string("x")}}), Error);
  setFields(copy, {{"scales", std::vector<int64_t>{1, 2}}});
  EXPECT_EQ(copy.scales, (std::vector<double>{1, 2}));
}

TEST(Hash, IsXxh3) {
  EXPECT_EQ(hash64(""), 0x2D06800538D394C2u);
  EXPECT_EQ(hash128("", 0).hex(), "99aa06d3014798d86001c324468d497f");
  EXPECT_NE(hashCombine(1, 2), hashCombine(2, 1));
}

}  // namespace
}  // namespace carnot
