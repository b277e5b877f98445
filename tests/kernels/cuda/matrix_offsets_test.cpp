// Where the matrix core looks for elements beyond 2^31 of them. Nobody reads these addresses, so
// that they need no memory behind them.

#include <gtest/gtest.h>

#include <cstdint>

#include "kernels/matrix/output.h"
#include "kernels/matrix/views.h"

namespace warptape {
namespace {

using namespace matrix;

// Elements from the start of a made-up allocation.
float* const memory = reinterpret_cast<float*>(uintptr_t{1} << 40);
int64_t offset(const float* pointer) {
  return (reinterpret_cast<intptr_t>(pointer) - reinterpret_cast<intptr_t>(memory)) /
         static_cast<int64_t>(sizeof(float));
}

constexpr int many = 2'000'000'000;

TEST(MatrixOffsets, OfMatrices) {
  const MatrixView<float> rows{memory, {many}, {many}, 70'000, 1, 0};
  EXPECT_EQ(offset(rows.at(100'000, 60'000)), 7'000'060'000);
  EXPECT_EQ(offset(rows.at(many - 1, 3)), (many - 1) * int64_t{70'000} + 3);
  const MatrixView<float> columns{memory, {many}, {many}, 1, 70'000, 0};
  EXPECT_EQ(offset(columns.at(5, 100'000)), 7'000'000'005);
}

TEST(MatrixOffsets, OfFilters) {
  // All of a group's elements are counted in 32 bits: the last one.
  const FilterView<float> view{memory, {64}, {3, 3, 1'000'000}, 64 * 3, 64, 64 * 9, 0};
  EXPECT_EQ(offset(view.at(63, {2, 2, 999'999})), 2 * 64 * 3 + 2 * 64 + 999'999 * 64 * 9 + 63);
}

TEST(MatrixOffsets, OfImages) {
  ImageView<float, true> view;
  view.data = memory;
  view.rows = {5000, 1000, 1000};
  view.depth = {3, 3, 64};
  view.taps = TapGeometry::of_images(1000, 1000, 2000);
  view.taps.offset_y = -1;
  view.taps.offset_x = -1;
  EXPECT_EQ(view.taps.image_pitch, 2'000'000'000);
  EXPECT_EQ(offset(view.at({4000, 999, 999}, {1, 1, 63})),
            4000 * int64_t{2'000'000'000} + (999 * int64_t{1000} + 999) * 2000 + 63);
  EXPECT_EQ(view.at({4000, 0, 5}, {0, 1, 0}), nullptr);
  EXPECT_EQ(view.at({4000, 5, 999}, {1, 2, 0}), nullptr);
  // Images of 2^31 elements and more, one pixel wide: a matrix of as many rows.
  const auto wide = TapGeometry::of_images(60'000, 60'000, 1);
  EXPECT_EQ(wide.image_pitch, 3'600'000'000);
  ImageView<float, false> rows;
  rows.data = memory;
  rows.rows = {1, 1, 70'000};
  rows.depth = {many, 1, 1};
  rows.taps = TapGeometry::of_images(1, 1, 70'000);
  EXPECT_EQ(offset(rows.at({0, 0, 69'999}, {1'999'999'999, 0, 0})),
            1'999'999'999 * int64_t{70'000} + 69'999);
}

TEST(MatrixOffsets, OfResults) {
  Output<float> out;
  out.data = memory;
  out.rows = {3000, 1000, 500};
  out.row_stride = {1'000'000'000, 1'000'000, 2000};
  out.columns = 1000;
  out.groups = 7;
  out.group_stride = 3'000'000'000;
  EXPECT_EQ(out.results(), int64_t{1'500'000'000} * 1000 * 7);
  // Row 1,499,999,999 is pixel (2999, 999, 499).
  EXPECT_EQ(offset(out.at(6, 1'499'999'999)), 6 * int64_t{3'000'000'000} +
                                                  2999 * int64_t{1'000'000'000} +
                                                  999 * int64_t{1'000'000} + 499 * 2000);
}

}  // namespace
}  // namespace warptape
