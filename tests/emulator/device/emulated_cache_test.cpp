// The emulated device sees into blocks that the cache above it keeps: it refuses who uses one that
// has no owner, or more of it than was asked for.

#include <fmt/format.h>
#include <cmath>

#include "core/storage.h"
#include "core/tensor.h"
#include "emulator/device/dry_run.h"
#include "tests/core/device/test_kernels.h"
#include "tests/core/expect_throws.h"
#include "tests/emulator/device/emulated_test.h"
#include "tests/support/sanitizers.h"

namespace warptape {
namespace {

using test_kernels::add;

class EmulatedCache : public EmulatedTest {
 protected:
  EmulatedCache() : scope_(stream_) { empty_cache(cuda); }

  gpu::Stream stream_;
  gpu::Stream other_;
  gpu::StreamScope scope_;
};

float* floats_of(Tensor& tensor) {
  return tensor.mutable_data<float>();
}

TEST_F(EmulatedCache, UseOfACachedBlockIsRefused) {
  float* freed = nullptr;
  {
    Tensor x = Tensor::full({100}, 1, float32, cuda);
    freed = floats_of(x);
  }
  ASSERT_GT(memory_stats(cuda).cached_bytes, 0U);
  expect_throws<DeviceError>([&] { add(freed, 100, 1, stream_.handle()); },
                             {"[add] argument 1", "has been freed"});
  Tensor next = Tensor::full({100}, 1, float32, cuda);
  ASSERT_EQ(floats_of(next), freed);
  EXPECT_NO_THROW(add(freed, 100, 1, stream_.handle()));
  EXPECT_EQ(next.to_vector<float>(), floats(100, 2));
}

TEST_F(EmulatedCache, NextOwnersFindNoValuesOfTheLast) {
  const void* data = nullptr;
  {
    const Tensor x = Tensor::full({100}, 1, float32, cuda);
    data = x.raw_data();
  }
  const Tensor next = Tensor::empty({100}, float32, cuda);
  ASSERT_EQ(next.raw_data(), data);
  for (float value : next.to_vector<float>()) {
    EXPECT_TRUE(std::isnan(value));
  }
}

// The block of 100 floats, of 448 bytes, then that of 110: the class does not hide the size.
TEST_F(EmulatedCache, OverrunsAreOfWhatWasAskedFor) {
  for (int64_t n : {100, 110, 100}) {
    Tensor x = Tensor::full({n}, 1, float32, cuda);
    const auto overrun = [&] {
      test_kernels::add_at(floats_of(x), n, 1, stream_.handle());
      gpu::synchronize();
    };
    EXPECT_NO_THROW(test_kernels::add_at(floats_of(x), n - 1, 1, stream_.handle()));
    if (under_address_sanitizer()) {
      EXPECT_DEATH(overrun(), "AddressSanitizer: use-after-poison");
      continue;
    }
    expect_throws<DeviceError>(overrun, {"[add_at] wrote past the end of",
                                         fmt::format("{} bytes: byte {}", 4 * n, 4 * n)});
    gpu::emulated::reset_device();
  }
}

TEST_F(EmulatedCache, FreeingWhatAnotherStreamStillUsesIsAFault) {
  {
    Tensor x = Tensor::full({100}, 1, float32, cuda);
    gpu::synchronize(stream_.handle());
    add(floats_of(x), 100, 1, other_.handle());
  }
  expect_throws<DeviceError>([] { gpu::synchronize(); },
                             {"[deallocate] writes", "that [add] on another stream writes"});
}

TEST_F(EmulatedCache, FreeingBehindAnEventIsNone) {
  {
    Tensor x = Tensor::full({100}, 1, float32, cuda);
    gpu::synchronize(stream_.handle());
    add(floats_of(x), 100, 1, other_.handle());
    gpu::Event used;
    used.record(other_.handle());
    used.make_wait(stream_.handle());
  }
  const Tensor next = Tensor::full({100}, 3, float32, cuda);
  EXPECT_EQ(next.to_vector<float>(), floats(100, 3));
}

TEST_F(EmulatedCache, ReplaysOfWhatIsInTheCacheAreRefused) {
  auto x = std::make_unique<Tensor>(Tensor::full({100}, 1, float32, cuda));
  gpu::synchronize();
  const gpu::Graph graph(stream_, [&] { add(floats_of(*x), 100, 1, gpu::current_stream()); });
  EXPECT_NO_THROW(graph.launch(stream_.handle()));
  x.reset();
  const auto replay = [&] { graph.launch(stream_.handle()); };
  expect_throws<DeviceError>(replay, {"[Graph::launch]", "has been freed since the capture"});
  const Tensor next = Tensor::full({100}, 3, float32, cuda);  // in the same block
  expect_throws<DeviceError>(replay, {"[Graph::launch]", "has been freed since the capture"});
  EXPECT_EQ(next.to_vector<float>(), floats(100, 3));
}

void run_out_of_memory(gpu::Stream& other) {
  const gpu::emulated::DryRun dry;  // nobody touches so much
  const auto most = static_cast<int64_t>(gpu::properties().memory_bytes);
  const int64_t more = most / 8 * 5;
  { const Tensor x = Tensor::empty({more}, uint8, cuda); }
  {
    const gpu::StreamScope scope(other);
    Tensor::empty({most / 16}, uint8, cuda);
  }
  EXPECT_GE(memory_stats(cuda).cached_bytes, static_cast<size_t>(more));
  const Tensor next = Tensor::empty({most / 2}, uint8, cuda);
  EXPECT_EQ(memory_stats(cuda).cached_bytes, 0U);
  expect_throws<OutOfMemory>([&] { Tensor::empty({more}, uint8, cuda); },
                             {"[allocate] out of memory on cuda:0", "cached 0"});
}

// In a process of its own: what other suites left may lie in the middle of the memory.
TEST_F(EmulatedCache, CachedBlocksGoBeforeMemoryRunsOut) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        run_out_of_memory(other_);
        std::exit(HasFailure() ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

// A block of a DryRun has no memory of its own yet; its next owner gets some.
TEST_F(EmulatedCache, BlocksOfADryRunServeRealWorkAfterIt) {
  const void* data = nullptr;
  {
    const gpu::emulated::DryRun dry;
    data = Tensor::empty({100}, float32, cuda).raw_data();
  }
  Tensor next = Tensor::full({100}, 3, float32, cuda);
  EXPECT_EQ(next.raw_data(), data);
  add(floats_of(next), 100, 1, stream_.handle());
  EXPECT_EQ(next.to_vector<float>(), floats(100, 4));
}

}  // namespace
}  // namespace warptape
