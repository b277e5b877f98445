// Launches at and beyond the limits of a block, on both halves of the device seam.

#include <algorithm>
#include <numeric>

#include "tests/core/device/gpu_test.h"
#include "tests/core/device/test_kernels.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

using gpu::Stream;

class GpuLaunches : public GpuTest {};

TEST_F(GpuLaunches, BeyondTheLimitsAreRefusedAtOnceAndDoNotStick) {
  const Stream stream;
  std::vector<float> values = floats(1000, 1);
  std::iota(values.begin(), values.end(), 0.0F);
  const DeviceFloats device(values, stream.handle());
  const auto refused = [&](int64_t n, unsigned threads) {
    expect_throws<DeviceError>(
        [&] { test_kernels::reverse(device.data(), n, threads, stream.handle()); }, {"[reverse]"});
    EXPECT_NO_THROW(gpu::synchronize(stream.handle()));
    EXPECT_EQ(device.to_host(), values);
    test_kernels::reverse(device.data(), 1000, 256, stream.handle());
    std::reverse(values.begin(), values.end());
    EXPECT_EQ(device.to_host(), values);
  };
  refused(1000, 1025);
  refused(1000, 0);
  refused(1 << 18, 256);  // 1 MB of shared memory
}

TEST_F(GpuLaunches, MayHaveMoreThan48KBOfDynamicSharedMemory) {
  const Stream stream;
  std::vector<float> values(16 << 10);  // 64 KB
  std::iota(values.begin(), values.end(), 0.0F);
  const DeviceFloats device(values, stream.handle());
  test_kernels::reverse(device.data(), device.size(), 1024, stream.handle());
  std::reverse(values.begin(), values.end());
  EXPECT_EQ(device.to_host(), values);
}

}  // namespace
}  // namespace warptape
