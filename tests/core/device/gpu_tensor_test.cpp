// Tensors on device cuda: storages, statistics and moves between devices.

#include "core/primitives.h"
#include "tests/core/device/gpu_test.h"
#include "tests/core/expect_throws.h"
#include "tests/support/allocations.h"

namespace warptape {
namespace {

class GpuTensors : public GpuTest {};

TEST_F(GpuTensors, GoToTheDeviceAndBack) {
  const Tensor x = tensor<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor there = x.to(cuda);
  EXPECT_EQ(there.device(), cuda);
  EXPECT_EQ(there.shape(), Shape({2, 3}));
  EXPECT_EQ(there.to_vector<float>(), x.to_vector<float>());
  const Tensor back = there.to(cpu);
  EXPECT_EQ(back.device(), cpu);
  EXPECT_EQ(back.to_vector<float>(), x.to_vector<float>());
  EXPECT_EQ(tensor<double>({2.5}, {1}, cuda).item(), 2.5);
}

TEST_F(GpuTensors, KeepTheirMemoryFormat) {
  std::vector<int64_t> values(2 * 3 * 4 * 5);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<int64_t>(i);
  }
  const Tensor x = primitives::relayout(tensor(values, {2, 3, 4, 5}), MemoryFormat::ChannelsLast);
  const Tensor there = x.to(cuda);
  EXPECT_EQ(there.memory_format(), MemoryFormat::ChannelsLast);
  EXPECT_EQ(there.to_vector<int64_t>(), values);
  EXPECT_EQ(there.to(cpu).memory_format(), MemoryFormat::ChannelsLast);
}

TEST_F(GpuTensors, OfTheSameDeviceShareTheirStorage) {
  const Tensor x = tensor<float>({1, 2}, {2}, cuda);
  EXPECT_TRUE(x.to(cuda).shares_storage_with(x));
  const Tensor y = tensor<float>({1, 2}, {2});
  EXPECT_TRUE(y.to(cpu).shares_storage_with(y));
}

TEST_F(GpuTensors, SlicesAndEmptyOnesMoveToo) {
  const Tensor x = tensor<float>({1, 2, 3, 4, 5, 6}, {3, 2}).to(cuda);
  EXPECT_EQ(x.slice(1, 2).to(cpu).to_vector<float>(), (std::vector<float>{3, 4}));
  EXPECT_EQ(x.slice(3, 3).to(cpu).numel(), 0);
  EXPECT_EQ(Tensor::empty({0, 5}).to(cuda).to(cpu).shape(), Shape({0, 5}));
}

TEST_F(GpuTensors, AreCountedByDevice) {
  const size_t host = memory_stats(cpu).live_bytes;
  const size_t before = memory_stats(cuda).live_bytes;
  reset_peak_memory_stats(cuda);
  {
    const auto storage = Storage::allocate(123456, cuda);
    EXPECT_EQ(memory_stats(cuda).live_bytes, before + 123456);
    EXPECT_EQ(memory_stats(cpu).live_bytes, host);
  }
  EXPECT_EQ(memory_stats(cuda).live_bytes, before);
  EXPECT_EQ(memory_stats(cuda).peak_bytes, before + 123456);
}

TEST_F(GpuTensors, AbsurdRequestsAreOutOfMemory) {
  expect_throws<OutOfMemory>([] { Storage::allocate(size_t{1} << 50, cuda); },
                             {"[allocate]", "cuda:0", "requested 1125899906842624 bytes"});
}

TEST_F(GpuTensors, OutliveTheStreamOfTheirStorage) {
  Tensor x;
  {
    const gpu::Stream stream;
    const gpu::StreamScope scope(stream);
    x = tensor<float>({1, 2, 3}, {3}, cuda);
  }
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{1, 2, 3}));
  x = Tensor();
  EXPECT_NO_THROW(backend(cuda).synchronize());
}

TEST_F(GpuTensors, PoisonedBlocksAreNan) {
  const PoisonedAllocations poisoned;
  const Tensor x = Tensor::empty({100}, uint8, cuda);
  EXPECT_EQ(x.to_vector<uint8_t>(), std::vector<uint8_t>(100, 0xFF));
}

TEST_F(GpuTensors, PrimitivesRefuseTwoDevices) {
  const Tensor x = tensor<float>({1, 2}, {2});
  Tensor y = tensor<float>({1, 2}, {2}, cuda);
  expect_throws<DeviceError>([&] { primitives::copy(x, y); }, {"[copy] devices", "cpu", "cuda:0"});
  expect_throws<DeviceError>([&] { primitives::add(x, y); }, {"[add] devices", "cpu", "cuda:0"});
}

TEST_F(GpuTensors, ThereIsOneDevice) {
  expect_throws<DeviceError>(
      [] {
        backend({DeviceType::CUDA, 1});
      },
      {"cuda:1 is not available", "one GPU"});
}

}  // namespace
}  // namespace warptape
