#include "core/strided.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace warptape {
namespace {

constexpr MemoryFormat row_major = MemoryFormat::RowMajor;
constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

using Visits = std::vector<std::pair<int64_t, int64_t>>;

// The offsets of both operands in the order of the walk.
Visits walk(const StridedLoop<2>& loop, int64_t begin, int64_t end) {
  Visits visits;
  loop.for_each_run(begin, end, [&](const auto& offsets, int64_t n, const auto& steps) {
    for (int64_t i = 0; i < n; ++i) {
      visits.emplace_back(offsets[0] + i * steps[0], offsets[1] + i * steps[1]);
    }
  });
  return visits;
}

StridedLoop<2> loop_over(const Shape& shape, MemoryFormat first, MemoryFormat second) {
  return make_strided_loop<2>(shape, first, {strides_of(shape, first), strides_of(shape, second)});
}

// The offset in `second` of the element that lies at each offset in `first`, by brute force.
std::vector<int64_t> pairing(const Shape& shape, MemoryFormat first, MemoryFormat second) {
  const Strides a = strides_of(shape, first);
  const Strides b = strides_of(shape, second);
  std::vector<int64_t> result(static_cast<size_t>(shape.numel()));
  for (int64_t flat = 0; flat < shape.numel(); ++flat) {
    int64_t rest = flat;
    int64_t at_a = 0;
    int64_t at_b = 0;
    for (int d = shape.rank() - 1; d >= 0; --d) {
      const int64_t index = rest % shape[d];
      rest /= shape[d];
      at_a += index * a[static_cast<size_t>(d)];
      at_b += index * b[static_cast<size_t>(d)];
    }
    result[static_cast<size_t>(at_a)] = at_b;
  }
  return result;
}

TEST(StridedLoops, VisitElementsInTheMemoryOrderOfTheFirst) {
  for (const Shape& shape :
       std::vector<Shape>{{2, 3, 4, 5}, {2, 3, 4}, {1, 3, 1, 5}, {6}, {4, 3}}) {
    for (MemoryFormat first : {row_major, channels_last}) {
      for (MemoryFormat second : {row_major, channels_last}) {
        const Visits visits = walk(loop_over(shape, first, second), 0, shape.numel());
        const std::vector<int64_t> wanted = pairing(shape, first, second);
        ASSERT_EQ(visits.size(), wanted.size());
        for (size_t i = 0; i < visits.size(); ++i) {
          ASSERT_EQ(visits[i].first, static_cast<int64_t>(i)) << shape.to_string();
          ASSERT_EQ(visits[i].second, wanted[i]) << shape.to_string();
        }
      }
    }
  }
}

TEST(StridedLoops, MergeWhatIsContiguousForAll) {
  const auto same = loop_over({2, 3, 4, 5}, channels_last, channels_last);
  EXPECT_EQ(same.rank, 1);
  EXPECT_EQ(same.extent[0], 120);
  const auto mixed = loop_over({2, 3, 4, 5}, row_major, channels_last);
  EXPECT_EQ(mixed.rank, 3);
  EXPECT_EQ(mixed.numel(), 120);
}

TEST(StridedLoops, LeaveOutSizesOfOne) {
  const auto loop = loop_over({1, 3, 1, 1}, row_major, channels_last);
  EXPECT_EQ(loop.rank, 1);
  EXPECT_EQ(loop.numel(), 3);
}

TEST(StridedLoops, OfAScalarHaveOneElement) {
  const auto loop = loop_over({}, row_major, row_major);
  EXPECT_EQ(loop.rank, 0);
  EXPECT_EQ(walk(loop, 0, loop.numel()), (Visits{{0, 0}}));
}

TEST(StridedLoops, OfNothingVisitNothing) {
  const auto loop = loop_over({2, 0, 3}, row_major, channels_last);
  EXPECT_EQ(loop.numel(), 0);
  EXPECT_TRUE(walk(loop, 0, loop.numel()).empty());
}

TEST(StridedLoops, PartsOfTheRangeMakeTheWhole) {
  const auto loop = loop_over({2, 3, 4, 5}, row_major, channels_last);
  const Visits whole = walk(loop, 0, 120);
  for (int64_t step : {1, 7, 20, 59}) {
    Visits together;
    for (int64_t begin = 0; begin < 120; begin += step) {
      const Visits part = walk(loop, begin, std::min<int64_t>(begin + step, 120));
      together.insert(together.end(), part.begin(), part.end());
    }
    EXPECT_EQ(together, whole) << step;
  }
}

TEST(BroadcastStrides, AreZeroWhereADimensionIsRepeated) {
  const Strides strides = broadcast_strides({3, 1}, row_major, {2, 3, 4});
  EXPECT_EQ(strides[0], 0);
  EXPECT_EQ(strides[1], 1);
  EXPECT_EQ(strides[2], 0);
}

TEST(BroadcastStrides, FollowTheOperandsOwnFormat) {
  const Strides strides = broadcast_strides({1, 3, 4, 5}, channels_last, {2, 3, 4, 5});
  EXPECT_EQ(strides[0], 0);
  EXPECT_EQ(strides[1], 1);
  EXPECT_EQ(strides[2], 15);
  EXPECT_EQ(strides[3], 3);
}

TEST(BroadcastStrides, WalkARowOverAMatrix) {
  const Shape target{2, 3};
  const auto loop = make_strided_loop<2>(
      target, row_major,
      {strides_of(target, row_major), broadcast_strides({3}, row_major, target)});
  EXPECT_EQ(walk(loop, 0, 6), (Visits{{0, 0}, {1, 1}, {2, 2}, {3, 0}, {4, 1}, {5, 2}}));
}

}  // namespace
}  // namespace warptape
