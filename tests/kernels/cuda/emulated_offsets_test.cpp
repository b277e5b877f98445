// Offsets beyond 2^31, for which no test has the memory: the arithmetic alone, with made-up
// pointers.

#include <gtest/gtest.h>

#include <cstdint>

#include "kernels/common/pool.cuh"
#include "kernels/matrix/output.h"
#include "kernels/matrix/views.h"

namespace warptape {
namespace {

constexpr int64_t large = int64_t{1} << 33;

float* made_up() {
  return reinterpret_cast<float*>(uintptr_t{1} << 12);
}

// Elements from the made-up pointer on.
int64_t offset_of(const float* pointer) {
  return static_cast<int64_t>(reinterpret_cast<uintptr_t>(pointer) -
                              reinterpret_cast<uintptr_t>(made_up())) /
         static_cast<int64_t>(sizeof(float));
}

TEST(LargeOffsets, RowsOfMatrices) {
  matrix::MatrixView<float> view;
  view.data = made_up();
  view.row_stride = int64_t{1} << 20;
  view.depth_stride = 1;
  EXPECT_EQ(offset_of(view.at(1 << 13, 5)), large + 5);
  view.row_stride = 1;
  view.depth_stride = int64_t{1} << 20;
  EXPECT_EQ(offset_of(view.at(5, 1 << 13)), large + 5);
}

TEST(LargeOffsets, Images) {
  matrix::ImageView<float, true> view;
  view.data = made_up();
  view.taps.height = 1 << 10;
  view.taps.width = 1 << 10;
  view.taps.pixel_pitch = 1 << 10;
  view.taps.image_pitch = int64_t{1} << 30;
  const int64_t in_image = (int64_t{1023} * 1024 + 1022) * 1024 + 7;
  EXPECT_EQ(offset_of(view.at({8, 1023, 1022}, {0, 0, 7})), large + in_image);
}

TEST(LargeOffsets, RowsOfResults) {
  matrix::Output<float> out;
  out.rows = {1 << 10, 1 << 10, 1 << 10};
  out.row_stride = {int64_t{1} << 30, int64_t{1} << 20, 1 << 10};
  EXPECT_EQ(out.row_stride.offset(out.rows.split((8 << 20) + (3 << 10) + 2)),
            large + (3 << 20) + (2 << 10));
}

TEST(LargeOffsets, Pooling) {
  constexpr int side = 1 << 10;
  constexpr int64_t image = int64_t{side} * side * side;
  const pool::Windows w(PoolGeometry{.batch = 9,
                                     .channels = side,
                                     .height = side,
                                     .width = side,
                                     .out_height = side,
                                     .out_width = side,
                                     .kernel = 1,
                                     .stride = 1,
                                     .padding = 0,
                                     .dilation = 1});
  EXPECT_EQ(pool::pixel_offset(w, 8, side, side, 2, 3), large + (2 * side + 3) * side);
  const LaunchConfig config = pool::config_of<4>("pool", nullptr, w, side, side);
  EXPECT_EQ(int64_t{config.grid.x} * config.block.x, 9 * image / 4);
  // The last thread's place.
  blockIdx = {config.grid.x - 1, 0, 0};
  threadIdx = {config.block.x - 1, 0, 0};
  const pool::Place last = pool::own_place<4>(w, side, side);
  blockIdx = {};
  threadIdx = {};
  EXPECT_EQ(last.image, 8);
  EXPECT_EQ(last.row, side - 1);
  EXPECT_EQ(last.column, side - 1);
  EXPECT_EQ(last.channel, side - 4);
}

}  // namespace
}  // namespace warptape
