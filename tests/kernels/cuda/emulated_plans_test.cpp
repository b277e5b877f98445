// Packs are taken where all tensors allow them and nowhere else, by kernels whose plan is their
// launch; and sizes beyond 32 bits.

#include <gtest/gtest.h>

#include "core/primitives.h"
#include "core/tape.h"
#include "emulator/device/dry_run.h"
#include "kernels/ops.h"
#include "kernels/pool/pool.cuh"
#include "tests/core/device/gpu_test.h"

namespace warptape {
namespace {

using gpu::emulated::DryLaunch;
using gpu::emulated::DryRun;

class LaunchPlans : public GpuTest {};

// Of the shape, `offset` elements behind a multiple of 16 bytes.
Tensor floats(const Shape& shape, int64_t offset = 0) {
  return Tensor::empty({shape.numel() + offset}, float32, cuda)
      .slice(offset, shape.numel() + offset)
      .view(shape);
}

DryLaunch launch_of(DryRun& dry, const std::function<void()>& work) {
  dry.take_launches();
  work();
  const std::vector<DryLaunch> launches = dry.take_launches();
  EXPECT_EQ(launches.size(), 1u);
  return launches.empty() ? DryLaunch{} : launches[0];
}

TEST_F(LaunchPlans, ElementwiseTakesPacks) {
  DryRun dry;
  constexpr int64_t n = 1 << 20;
  const auto blocks = [&](const Tensor& a, const Tensor& b) {
    return launch_of(dry, [&] { add(a, b); }).blocks();
  };
  EXPECT_EQ(blocks(floats({n}), floats({n})), n / 4 / 4 / 256);
  EXPECT_EQ(blocks(floats({n}, 1), floats({n})), n / 4 / 256);
  EXPECT_EQ(blocks(floats({n}), floats({n}, 1)), n / 4 / 256);
  // A row repeated: packs along it.
  EXPECT_EQ(blocks(floats({1024, 1024}), floats({1024})), n / 4 / 16 / 256);
}

TEST_F(LaunchPlans, EmbeddingsTakePacks) {
  DryRun dry;
  const Tensor index = Tensor::zeros({64}, int64, cuda);
  // The blocks of a kernel whose thread owns a pack of 4, or an element.
  const auto blocks = [&](int64_t columns, int64_t offset, const char* kernel) {
    Tensor weight = floats({10, columns}, offset);
    Tape tape;
    tape.watch(weight);
    dry.take_launches();
    const Tensor y = embedding(index, weight);
    tape.backward(y, floats({64, columns}, offset));
    for (const DryLaunch& launch : dry.take_launches()) {
      if (launch.name == kernel) {
        return launch.blocks();
      }
    }
    ADD_FAILURE() << "there is no launch " << kernel;
    return int64_t{0};
  };
  for (const char* kernel : {"embedding", "embedding_backward"}) {
    EXPECT_EQ(blocks(64, 0, kernel), 64 * 64 / 4 / 256) << kernel;
    EXPECT_EQ(blocks(66, 0, kernel), (64 * 66 + 255) / 256) << kernel << ", no whole packs";
  }
  EXPECT_EQ(blocks(64, 1, "embedding"), 64 * 64 / 256) << "off alignment";
}

TEST_F(LaunchPlans, RelayoutTakesTilesOfPacks) {
  DryRun dry;
  const auto blocks = [&](const Shape& shape, int64_t offset) {
    const Tensor x = floats(shape, offset);
    return launch_of(dry, [&] { primitives::relayout(x, MemoryFormat::ChannelsLast); }).blocks();
  };
  EXPECT_EQ(blocks({8, 64, 32, 32}, 0), 8 * (1024 / 32));
  EXPECT_EQ(blocks({8, 64, 32, 32}, 1), 8 * (1024 / 32) * (64 / 32));
  EXPECT_EQ(blocks({8, 66, 32, 32}, 0), 8 * (1024 / 32) * 3);
  const Tensor x = floats({1024, 512});
  EXPECT_EQ(launch_of(dry, [&] { transpose(x, 0, 1); }).blocks(), (512 / 32) * (1024 / 128));
}

TEST_F(LaunchPlans, DropoutTakesPacks) {
  DryRun dry;
  const auto launch = [&](const Tensor& x) { return launch_of(dry, [&] { dropout(x, 0.5); }); };
  // A thread owns four elements either way, one by one or as a pack.
  EXPECT_EQ(launch(floats({1 << 20})).function, launch(floats({1 << 10})).function);
  EXPECT_NE(launch(floats({1 << 20})).function, launch(floats({1 << 20}, 1)).function);
  const auto last = [&](const Shape& shape) {
    return launch(Tensor::empty(shape, float32, cuda, MemoryFormat::ChannelsLast)).blocks();
  };
  EXPECT_EQ(last({8, 64, 32, 32}), 8 * 64 * 1024 / 16 / 256);
  EXPECT_EQ(last({8, 66, 32, 32}), 8 * 66 * 1024 / 4 / 256);
  EXPECT_EQ(last({8, 64, 31, 31}), (8 * 64 * 31 * 31 + 255) / 256);
}

TEST_F(LaunchPlans, PoolingTakesPacksOfChannels) {
  DryRun dry;
  const auto blocks = [&](const Shape& shape) {
    const Tensor x = Tensor::empty(shape, float32, cuda, MemoryFormat::ChannelsLast);
    const int64_t of_max = launch_of(dry, [&] { max_pool2d(x, {}); }).blocks();
    EXPECT_EQ(launch_of(dry, [&] { avg_pool2d(x, {}); }).blocks(), of_max);
    return of_max;
  };
  EXPECT_EQ(blocks({8, 64, 32, 32}), 8 * 16 * 16 * 64 / 4 / 256);
  EXPECT_EQ(blocks({8, 66, 32, 32}), 8 * 16 * 16 * 66 / 256);
  alignas(16) const float memory[8] = {};
  PoolGeometry g{};
  g.channels = 64;
  EXPECT_TRUE(pool::fits_packs(g, memory, memory + 4));
  EXPECT_FALSE(pool::fits_packs(g, memory + 1, memory));
  EXPECT_FALSE(pool::fits_packs(g, memory, memory + 1));
  g.channels = 66;
  EXPECT_FALSE(pool::fits_packs(g, memory, memory));
}

TEST_F(LaunchPlans, PoolingCountsBeyond32Bits) {
  PoolGeometry g{};
  g.batch = int64_t{1} << 20;
  g.channels = 64;
  const pool::Windows w(g);
  EXPECT_EQ(pool::config_of<1>("pool", nullptr, w, 64, 64).grid.x, 1u << 30);
  EXPECT_EQ(pool::config_of<4>("pool", nullptr, w, 64, 64).grid.x, 1u << 28);
  EXPECT_EQ(pool::pixel_offset(w, g.batch - 1, 64, 64, 63, 62),
            ((((int64_t{1} << 20) - 1) * 64 + 63) * 64 + 62) * 64);
}

TEST_F(LaunchPlans, ADryRunTouchesNothing) {
  Tensor x = Tensor::full({100}, 3, float32, cuda);
  {
    DryRun dry;
    primitives::fill(x, 7);
    Tensor large = Tensor::full({int64_t{1} << 28}, 1, float32, cuda);
    const std::vector<DryLaunch> launches = dry.take_launches();
    ASSERT_EQ(launches.size(), 2u);
    EXPECT_EQ(launches[0].name, "fill");
    EXPECT_EQ(launches[0].largest_bytes, 400u);
    EXPECT_EQ(launches[1].largest_bytes, size_t{4} << 28);
    EXPECT_EQ(launches[1].bytes, launches[1].largest_bytes);
    EXPECT_TRUE(dry.take_launches().empty());
    EXPECT_THROW(DryRun(), DeviceError);
  }
  EXPECT_EQ(x.to_vector<float>(), std::vector<float>(100, 3));
  EXPECT_EQ(add(x, x).to_vector<float>(), std::vector<float>(100, 6));
}

}  // namespace
}  // namespace warptape
