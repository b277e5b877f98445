// Offsets beyond 2^31, for which no test has the memory: the arithmetic alone, with made-up
// pointers.

#include <gtest/gtest.h>

#include "kernels/pool/pool.cuh"

namespace warptape {
namespace {

constexpr int64_t large = int64_t{1} << 33;

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
