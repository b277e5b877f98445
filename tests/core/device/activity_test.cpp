#include "core/device/activity.h"

#include <gtest/gtest.h>

#include "core/device/gpu.h"
#include "core/primitives.h"
#include "core/profile.h"

namespace warptape {
namespace {

// A fill by a kernel, and a copy to the host, recorded.
struct Recorded {
  profile::Recording host;
  std::vector<gpu::Activity> device;
};
Recorded record_two() {
  Tensor x = Tensor::empty({1000}, float32, cuda);
  gpu::synchronize();
  const auto recorder = gpu::record_activities();
  profile::start(recorder.get());
  {
    const profile::Range range("outer");
    primitives::fill(x, 2);
    EXPECT_EQ(x.to_vector<float>()[999], 2);
  }
  gpu::synchronize();
  Recorded result;
  result.host = profile::stop_recording();
  if (recorder->times_kernels()) {
    result.device = recorder->finish();
  }
  return result;
}

TEST(GpuActivity, KernelsBelongToTheirLaunchAndRange) {
  const Recorded recorded = record_two();
  ASSERT_EQ(recorded.host.launches.size(), 1U);
  const profile::Launch& launch = recorded.host.launches[0];
  EXPECT_TRUE(launch.has_work);
  EXPECT_EQ(launch.work.bytes_written, 4000);
  EXPECT_EQ(launch.work.bytes_read, 0);
  EXPECT_GT(launch.size.blocks, 0);
  if (recorded.device.empty()) {
    GTEST_SKIP() << "kernels are not timed here";
  }
  int kernels = 0;
  int copies = 0;
  for (const gpu::Activity& activity : recorded.device) {
    EXPECT_GE(activity.duration_ns, 0);
    EXPECT_NE(activity.range, 0U);
    if (activity.kind == gpu::Activity::Kind::Kernel) {
      ++kernels;
      EXPECT_EQ(activity.launch, launch.id);
      EXPECT_EQ(activity.range, launch.range);
    } else if (activity.kind == gpu::Activity::Kind::Copy) {
      ++copies;
      EXPECT_EQ(activity.launch, 0U);
      EXPECT_EQ(activity.bytes, 4000);
    }
  }
  EXPECT_EQ(kernels, 1);
  EXPECT_EQ(copies, 1);
}

TEST(GpuActivity, NothingIsRecordedBehindIt) {
  record_two();
  Tensor x = Tensor::empty({8}, float32, cuda);
  primitives::fill(x, 1);
  gpu::synchronize();
  EXPECT_EQ(gpu::launch_listener.load(), nullptr);
  const Recorded again = record_two();
  EXPECT_EQ(again.host.launches.size(), 1U);
}

}  // namespace
}  // namespace warptape
