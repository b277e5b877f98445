#include "kernels/weight_norm/norm_dim.h"

#include <gtest/gtest.h>

#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

constexpr auto row_major = MemoryFormat::RowMajor;
constexpr auto channels_last = MemoryFormat::ChannelsLast;

// {outer, groups, lines, columns, run}
std::vector<int64_t> levels(const Shape& v, const NormDim& dim, MemoryFormat format = row_major) {
  const NormSlices at = slices_of(v, format, dim, "test", {});
  return {at.outer, at.groups, at.lines, at.columns, at.run};
}
using Levels = std::vector<int64_t>;

TEST(NormDims, AxesThatLieTogetherAreOneLevel) {
  EXPECT_EQ(levels({4, 3, 2}, 0), (Levels{1, 1, 1, 4, 6}));
  EXPECT_EQ(levels({4, 3, 2}, 1), (Levels{1, 1, 4, 3, 2}));
  EXPECT_EQ(levels({4, 3, 2}, 2), (Levels{1, 1, 12, 2, 1}));
  EXPECT_EQ(levels({4, 3, 2}, -1), (Levels{1, 1, 12, 2, 1}));
  EXPECT_EQ(levels({4, 3, 2}, {0, 2}), (Levels{1, 4, 3, 2, 1}));
  EXPECT_EQ(levels({4, 3, 2}, {0, 1}), (Levels{1, 1, 1, 12, 2}));
  EXPECT_EQ(levels({4, 3, 2}, WholeTensor), (Levels{1, 1, 1, 1, 24}));
  EXPECT_EQ(levels({4, 3, 2}, {0, 1, 2}), (Levels{1, 1, 1, 24, 1}));
  EXPECT_EQ(levels({2, 3, 4, 5, 6}, {1, 3}), (Levels{2, 3, 4, 5, 6}));
  EXPECT_EQ(levels({7}, 0), (Levels{1, 1, 1, 7, 1}));
}

TEST(NormDims, AxesOfOneElementDoNotStandBetween) {
  EXPECT_EQ(levels({1, 3, 2}, 1), (Levels{1, 1, 1, 3, 2}));
  EXPECT_EQ(levels({4, 1, 2}, {0, 2}), (Levels{1, 1, 1, 8, 1}));
  EXPECT_EQ(levels({1, 1}, 1), (Levels{1, 1, 1, 1, 1}));
}

TEST(NormDims, ChannelsLastHasDimensionOneInnermost) {
  EXPECT_EQ(levels({6, 5, 3, 2}, 0, channels_last), (Levels{1, 1, 1, 6, 30}));
  EXPECT_EQ(levels({6, 5, 3, 2}, 1, channels_last), (Levels{1, 1, 36, 5, 1}));
  EXPECT_EQ(levels({6, 5, 3, 2}, 2, channels_last), (Levels{1, 1, 6, 3, 10}));
  EXPECT_EQ(levels({6, 5, 3, 2}, {0, 1}, channels_last), (Levels{1, 6, 6, 5, 1}));
}

TEST(NormDims, EmptySlicesAreRows) {
  EXPECT_EQ(levels({0, 3}, 1), (Levels{1, 1, 1, 3, 0}));
  EXPECT_EQ(levels({3, 0}, 0), (Levels{1, 1, 1, 3, 0}));
  EXPECT_EQ(levels({0, 3}, 0), (Levels{1, 1, 1, 0, 3}));
}

TEST(NormDims, TheShapeOfGTellsTheDim) {
  const auto dim_of = [](const Shape& v, const Shape& g, const NormDim& preferred = 0) {
    const auto dim = NormDim::of_shapes(v, g, preferred);
    return dim ? dim->to_string() : "no dim";
  };
  EXPECT_EQ(dim_of({4, 3, 2}, {4, 1, 1}), "0");
  EXPECT_EQ(dim_of({4, 3, 2}, {1, 3, 1}), "1");
  EXPECT_EQ(dim_of({4, 3, 2}, {1, 1, 2}), "2");
  EXPECT_EQ(dim_of({4, 3, 2}, {4, 1, 2}), "(0, 2)");
  EXPECT_EQ(dim_of({4, 3, 2}, {}), "None");
  EXPECT_EQ(dim_of({4, 3, 2}, {4, 1}), "no dim");
  EXPECT_EQ(dim_of({4, 3, 2}, {1, 1, 3}), "no dim");
  EXPECT_EQ(dim_of({4, 3, 2}, {1, 1, 1}), "no dim");
  EXPECT_EQ(dim_of({4, 4}, {1, 4}), "1");
  EXPECT_EQ(dim_of({1, 1}, {1, 1}), "0");
  EXPECT_EQ(dim_of({1, 1}, {1, 1}, -1), "-1") << "what fits stays";
  EXPECT_EQ(dim_of({4, 1}, {1, 1}), "1");
  EXPECT_EQ(dim_of({4, 3}, {4, 1}, 7), "0");
}

TEST(NormDims, AnotherAxisTwiceOrNoneIsRefused) {
  expect_throws<ShapeError>([] { levels({4, 3}, 2); }, {"got 2", "-2 to 1", "(4, 3)"});
  expect_throws<ShapeError>([] { levels({4, 3}, -3); }, {"got -3"});
  expect_throws<ValueError>([] { levels({4, 3}, {1, -1}); }, {"(1, -1)", "axis 1"});
  expect_throws<ValueError>([] { levels({4, 3}, NormDim(std::span<const int>{})); }, {"no axis"});
  expect_throws<ShapeError>([] { levels({2, 2, 2, 2, 2, 2}, {0, 2, 4}); }, {"two places"});
  expect_throws<ShapeError>([] { NormDim({0, 1, 2, 3, 4, 5, 6, 7, 8}); }, {"got 9", "8"});
}

}  // namespace
}  // namespace warptape
