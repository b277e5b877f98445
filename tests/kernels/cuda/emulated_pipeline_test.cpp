// Kernels that copy ahead do: what a step waits for is not all that is under way.

#include "core/simt/bfloat16.h"
#include "emulator/engine/async_copies.h"
#include "kernels/conv2d/conv2d_products.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/cuda/whole_numbers.h"

namespace warptape {
namespace {

using simt::bfloat16;

// The copies of two steps run beside the arithmetic of the one before.
TEST(Pipelines, TheMatrixCoreCopiesStepsAhead) {
  const ConvGeometry g = ConvCase{1, 32, 4, 4, 8, {1, 3}}.geometry();  // three steps in bfloat16
  DeviceArray<bfloat16> x(g.pixels() * g.in_channels);
  DeviceArray<bfloat16> filters(g.out_channels * conv2d_products::filter_size(g));
  DeviceArray<bfloat16> y(g.out_pixels() * g.out_channels);
  gpu::synchronize();
  simt::take_most_async_groups();
  matrix::run_product("conv2d", conv2d_products::forward<bfloat16>(g, x.data(), filters.data(),
                                                                   nullptr, false, y.data()));
  gpu::synchronize();
  EXPECT_EQ(simt::take_most_async_groups(), 2u);
  gpu::synchronize();
  EXPECT_EQ(simt::take_most_async_groups(), 0u);
}

}  // namespace
}  // namespace warptape
