#include "models/receptive_field.h"

#include <gtest/gtest.h>

#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

// Two convolutions per block, of dilations 1, base, base^2, ...
int64_t field_of(int64_t kernel_size, int64_t base, int64_t depth) {
  std::vector<DilatedKernel> kernels;
  for (int64_t dilation : dilations_of(base, depth)) {
    kernels.insert(kernels.end(), 2, {kernel_size, dilation});
  }
  return receptive_field(kernels);
}

// Bai et al. 2018: eight levels of kernels of 8 and 7; and the formula of their appendix.
TEST(ReceptiveFields, AreThoseOfThePaper) {
  EXPECT_EQ(field_of(8, 2, 8), 3571);
  EXPECT_EQ(field_of(7, 2, 8), 3061);
  for (int64_t base : {2, 3, 5}) {
    for (int64_t depth : {1, 2, 4}) {
      int64_t power = 1;
      for (int64_t i = 0; i < depth; ++i) {
        power *= base;
      }
      EXPECT_EQ(field_of(4, base, depth), 1 + 2 * 3 * (power - 1) / (base - 1));
    }
  }
  EXPECT_EQ(field_of(1, 2, 5), 1);
  EXPECT_EQ(receptive_field({}), 1);
}

TEST(ReceptiveFields, OfMixedKernelsAreSums) {
  const DilatedKernel kernels[] = {{6, 1}, {15, 3}, {6, 239}};
  EXPECT_EQ(receptive_field(kernels), 1 + 5 + 42 + 5 * 239);
  // "same" has three zeros of five behind, and 598 of 1195.
  EXPECT_EQ(look_ahead(kernels), 3 + 21 + 598);
}

TEST(LeastDepth, IsTheFirstThatCoversTheLength) {
  for (int64_t kernel_size : {2, 3, 5, 7}) {
    for (int64_t base : {1, 2, 3, 5}) {
      for (int64_t length = 1; length <= 200; ++length) {
        const int64_t depth = least_depth(length, kernel_size, base);
        EXPECT_GE(field_of(kernel_size, base, depth), length);
        if (depth > 1) {
          EXPECT_LT(field_of(kernel_size, base, depth - 1), length)
              << "kernel " << kernel_size << ", base " << base << ", length " << length;
        }
      }
    }
  }
}

// A logarithm in floating point gives 4.
TEST(LeastDepth, IsExactWhereALogarithmIsNot) {
  EXPECT_EQ(least_depth(63, 2, 5), 3);
  EXPECT_EQ(least_depth(64, 2, 5), 4);
}

TEST(LeastDepth, OfHugeLengths) {
  const int64_t huge = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(least_depth(huge, 2), 62);
  EXPECT_EQ(least_depth(huge, huge), 1);
  EXPECT_EQ(least_depth(huge, 2, 1), huge / 2);
  EXPECT_EQ(least_depth(huge, 3, huge), 2);
}

TEST(LeastDepth, RefusesWhatNoDepthCovers) {
  EXPECT_EQ(least_depth(1, 1), 1);
  expect_throws<ValueError>([] { least_depth(2, 1); },
                            {"[least_depth] kernel_size: got 1 for a length of 2, wanted 2"});
  expect_throws<ValueError>([] { least_depth(0, 2); }, {"[least_depth] length: got 0"});
  expect_throws<ValueError>([] { least_depth(5, 2, 0); }, {"[least_depth] base: got 0"});
  expect_throws<ValueError>([] { dilations_of(2, 40); }, {"[dilations_of] depth: got 40"});
  const DilatedKernel none[] = {{0, 1}};
  expect_throws<ValueError>([&] { receptive_field(none); }, {"kernel size: got 0"});
  const DilatedKernel huge[] = {{int64_t{1} << 40, int64_t{1} << 40}};
  expect_throws<ValueError>([&] { receptive_field(huge); }, {"too large"});
  const int64_t largest = std::numeric_limits<int64_t>::max();
  const DilatedKernel far[] = {{2, largest}, {2, largest}, {2, largest}};
  EXPECT_EQ(look_ahead({far, 1}), largest / 2 + 1);
  expect_throws<ValueError>([&] { look_ahead(far); }, {"more than 64 bits hold"});
}

TEST(Coverages, CountElementsAndPadding) {
  const auto expect = [](const Coverage& found, int64_t elements, int64_t padding) {
    EXPECT_EQ(found.elements, elements);
    EXPECT_EQ(found.padding, padding);
  };
  expect(coverage_of(0, 10, 7), 1, 6);
  expect(coverage_of(6, 10, 7), 7, 0);
  expect(coverage_of(9, 10, 30), 10, 20);
  expect(coverage_of(0, 10, 7, 3), 4, 3);
  expect(coverage_of(5, 10, 7, 3), 7, 0);
  expect(coverage_of(9, 10, 7, 3), 4, 3);
  expect_throws<ValueError>([] { coverage_of(0, 0, 3); }, {"length: got 0"});
  expect_throws<ValueError>([] { coverage_of(0, 1, 0); }, {"field: got 0"});
  expect_throws<ValueError>([] { coverage_of(10, 10, 3); }, {"t: got 10, wanted 0 to 9"});
}

}  // namespace
}  // namespace warptape
