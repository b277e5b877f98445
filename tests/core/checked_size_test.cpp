#include "core/checked_size.h"

#include <gtest/gtest.h>

namespace warptape {
namespace {

constexpr int64_t highest = INT64_MAX;
constexpr int64_t lowest = INT64_MIN;

TEST(CheckedSizes, AreNumbersWhereTheyFit) {
  const CheckedSize span = CheckedSize(3) * (5 - 1) + 1;
  EXPECT_TRUE(span.fits());
  EXPECT_EQ(span.value(), 13);
  EXPECT_EQ((CheckedSize(4) - 6).value(), -2);
  EXPECT_EQ(CheckedSize(highest).value(), highest);
  EXPECT_TRUE((CheckedSize(lowest) + highest).fits());
}

TEST(CheckedSizes, RememberThatTheyLeft64Bits) {
  EXPECT_FALSE((CheckedSize(highest) + 1).fits());
  EXPECT_FALSE((CheckedSize(lowest) - 1).fits());
  EXPECT_FALSE((CheckedSize(highest / 2 + 1) * 2).fits());
  EXPECT_FALSE((CheckedSize(lowest) * -1).fits());
  EXPECT_FALSE((CheckedSize(highest) + 1 - 1).fits());
  EXPECT_FALSE((1 - (CheckedSize(highest) + 1)).fits());
  EXPECT_FALSE((CheckedSize(0) * (CheckedSize(highest) * 2)).fits());
}

TEST(CheckedSizes, AreCappedForEstimates) {
  EXPECT_EQ((CheckedSize(highest) * 2).capped(), highest);
  EXPECT_EQ(CheckedSize(7).capped(), 7);
}

}  // namespace
}  // namespace warptape
