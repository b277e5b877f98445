// Results that wait (core/deferred.h), on "cuda".

#include <vector>

#include "core/deferred.h"
#include "kernels/pointwise/pointwise.h"
#include "tests/core/device/gpu_test.h"

namespace warptape {
namespace {

class DeferredCuda : public GpuTest {};

TEST_F(DeferredCuda, NothingIsLaunchedBeforeItIsAskedFor) {
  const Tensor x = tensor<float>({-1, 2, 3}, {3}, cuda);
  const DeferralScope scope;
  const uint64_t before = gpu::launches;
  const Tensor y = relu(x);
  EXPECT_EQ(gpu::launches - before, 0U);
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{0, 2, 3}));
  EXPECT_EQ(gpu::launches - before, 1U);
}

// What the kernel reads belongs to the stream where it was made, and goes back there.
TEST_F(DeferredCuda, AnotherStreamMayAsk) {
  const gpu::Stream first;
  const gpu::Stream second;
  gpu::Event made;
  const DeferralScope scope;
  Tensor y;
  {
    const gpu::StreamScope on_first(first);
    const Tensor x = tensor<float>({-1, 2, 3}, {3}, cuda);
    y = relu(add(x, x));
    made.record(first.handle());
  }
  {
    const gpu::StreamScope on_second(second);
    made.make_wait(second.handle());
    EXPECT_EQ(y.device(), cuda);
    y.raw_data();
  }
  {
    const gpu::StreamScope on_first(first);
    const Tensor reused = add(tensor<float>({7, 7, 7}, {3}, cuda), 1.0);
    gpu::synchronize();
  }
  const gpu::StreamScope on_second(second);
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{0, 4, 6}));
  y = Tensor();
}

}  // namespace
}  // namespace warptape
