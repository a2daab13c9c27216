#include <gtest/gtest.h>

#include "suites/support/errors.h"
#include "suites/support/operator_run.h"

namespace carnot::test {
namespace {

using carnot::testing::errorOf;

// The tensors {{1, 2, 3}} of [1, 3], {} of [0, 2], 4 of [] and {5, 6} of [2].
std::vector<Tensor> packed() {
  return {floats({6}, {1, 2, 3, 4, 5, 6}), ints({5}, {1, 3, 0, 2, 2}), ints({4}, {2, 2, 0, 1})};
}

std::vector<Tensor> packed(std::vector<Tensor> others) {
  std::vector<Tensor> inputs = packed();
  inputs.insert(inputs.end(), others.begin(), others.end());
  return inputs;
}

struct SpliceCase {
  const char* op;
  std::vector<Tensor> others;
  std::vector<double> elements;
  std::vector<int64_t> dims, ranks;
};

class PackedSequences : public ::testing::TestWithParam<SpliceCase> {};

TEST_P(PackedSequences, AreSpliced) {
  const SpliceCase& row = GetParam();
  const std::vector<Tensor> has = runOperator(row.op, packed(row.others), 3);
  EXPECT_EQ(has[0].toDoubles(), row.elements);
  EXPECT_EQ(has[1].toInts(), row.dims);
  EXPECT_EQ(has[2].toInts(), row.ranks);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, PackedSequences,
    ::testing::Values(
        SpliceCase{"SequenceSplice", {}, {1, 2, 3, 4}, {1, 3, 0, 2}, {2, 2, 0}},
        SpliceCase{
            "SequenceSplice{positioned=true}", {ints({}, {-4})}, {4, 5, 6}, {0, 2, 2}, {2, 0, 1}},
        SpliceCase{"SequenceSplice{inserts=true}",
                   {floats({1, 1}, {7})},
                   {1, 2, 3, 4, 5, 6, 7},
                   {1, 3, 0, 2, 2, 1, 1},
                   {2, 2, 0, 1, 2}},
        SpliceCase{"SequenceSplice{inserts=true, positioned=true}",
                   {ints({1}, {2}, DType::I32), floats({}, {7})},
                   {1, 2, 3, 7, 4, 5, 6},
                   {1, 3, 0, 2, 2},
                   {2, 2, 0, 0, 1}}));

TEST(PackedSequence, GivesTheTensorAtAPosition) {
  EXPECT_EQ(runOperator1("SequenceAt{rank=2}", packed({ints({}, {0})})).toDoubles(),
            (std::vector<double>{1, 2, 3}));
  const Tensor none = runOperator1("SequenceAt{rank=2}", packed({ints({}, {1})}));
  EXPECT_EQ(std::vector<int64_t>(none.view().dims.begin(), none.view().dims.end()),
            (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(runOperator1("SequenceAt", packed({ints({}, {-2})})).toDoubles(),
            (std::vector<double>{4}));
}

TEST(PackedSequence, IsPutTogether) {
  const std::vector<Tensor> alike{ints({6}, {1, 2, 3, 4, 5, 6}), ints({4}, {2, 1, 2, 2}),
                                  ints({2}, {2, 2})};
  EXPECT_EQ(runOperator1("SequenceJoin{axis=1, rank=2}", alike).toInts(),
            (std::vector<int64_t>{1, 3, 4, 2, 5, 6}));
  EXPECT_NE(errorOf([&] {
              runOperator1("SequenceJoin{axis=0, rank=2}", alike);
            }).find("do not fit along axis 0"),
            std::string::npos);
  const std::vector<Tensor> pairs{ints({4}, {1, 2, 3, 4}), ints({2}, {2, 2}), ints({2}, {1, 1})};
  EXPECT_EQ(runOperator1("SequenceJoin{axis=1, isNew=true, rank=2}", pairs).toInts(),
            (std::vector<int64_t>{1, 3, 2, 4}));
}

TEST(PackedSequence, ComesOfASplit) {
  const Tensor x = ints({2, 5}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  std::vector<Tensor> has = runOperator("SequenceSplit{axis=1}", {x, ints({2}, {1, 4})}, 3);
  EXPECT_EQ(has[0].toInts(), (std::vector<int64_t>{0, 5, 1, 2, 3, 4, 6, 7, 8, 9}));
  EXPECT_EQ(has[1].toInts(), (std::vector<int64_t>{2, 1, 2, 4}));
  has = runOperator("SequenceSplit{axis=1}", {x, ints({}, {3})}, 3);
  EXPECT_EQ(has[1].toInts(), (std::vector<int64_t>{2, 3, 2, 2}));
}

struct DamageCase {
  const char* op;
  std::vector<Tensor> inputs;
  const char* says;
  size_t outputs = 1;
};

class DamagedSequences : public ::testing::TestWithParam<DamageCase> {};

TEST_P(DamagedSequences, AreRefused) {
  const DamageCase& row = GetParam();
  const std::string error = errorOf([&] { runOperator(row.op, row.inputs, row.outputs); });
  EXPECT_NE(error.find(row.says), std::string::npos) << error;
}

const Tensor kFirst = ints({}, {0});
INSTANTIATE_TEST_SUITE_P(
    Cases, DamagedSequences,
    ::testing::Values(
        DamageCase{"SequenceAt{rank=2}", packed({ints({}, {4})}), "position 4 in a sequence of 4"},
        DamageCase{"SequenceAt{rank=2}", packed({ints({}, {-5})}), "position -5"},
        DamageCase{"SequenceAt{rank=1}", packed({kFirst}), "a tensor of 2 dims"},
        DamageCase{"SequenceAt{rank=65}", packed({kFirst}), "rank 65"},
        DamageCase{"SequenceAt{rank=-1}", packed({kFirst}), "rank -1"},
        DamageCase{"SequenceJoin{axis=99, rank=100}", packed(), "axis 99"},
        DamageCase{"SequenceJoin{axis=0, rank=1}",
                   {floats({0}, {}), ints({0}, {}), ints({0}, {})},
                   "an empty sequence"},
        DamageCase{"SequenceSplice",
                   {floats({0}, {}), ints({0}, {}), ints({0}, {})},
                   "an empty sequence",
                   3},
        DamageCase{"SequenceAt{rank=1}",
                   {floats({2}, {1, 2}), ints({1}, {3}), ints({1}, {1}), kFirst},
                   "2 elements"},
        DamageCase{"SequenceAt{rank=1}",
                   {floats({4}, {1, 2, 3, 4}), ints({1}, {3}), ints({1}, {1}), kFirst},
                   "4 elements and 1 dims; needs 3 and 1"},
        DamageCase{"SequenceAt{rank=1}",
                   {floats({1}, {1}), ints({1}, {-1}), ints({1}, {1}), kFirst},
                   "a dim of -1"},
        DamageCase{"SequenceAt{rank=1}",
                   {floats({1}, {1}), ints({1}, {1}), ints({1}, {int64_t{1} << 62}), kFirst},
                   "1 dims for a tensor of rank 4611686018427387904"},
        DamageCase{"SequenceAt{rank=2}",
                   {floats({1}, {1}), ints({2}, {int64_t{1} << 40, int64_t{1} << 40}),
                    ints({1}, {2}), kFirst},
                   "more than 2^63"},
        DamageCase{"SequenceSplit", {ints({3}, {1, 2, 3}), ints({}, {0})}, "parts of 0", 3},
        DamageCase{"SequenceSplit", {ints({3}, {1, 2, 3}), ints({1}, {4})}, "a part of 4", 3},
        DamageCase{"SequenceSplit", {ints({3}, {1, 2, 3}), ints({1}, {2})}, "parts of 2 in all", 3},
        DamageCase{"OptionalElement", {floats({1}, {1}), bools({}, {0})}, "holds nothing"}));

TEST(OptionalElement, IsWhatIsThere) {
  EXPECT_EQ(runOperator1("OptionalElement", {floats({2}, {1, 2}), bools({}, {1})}).toDoubles(),
            (std::vector<double>{1, 2}));
}

}  // namespace
}  // namespace carnot::test
