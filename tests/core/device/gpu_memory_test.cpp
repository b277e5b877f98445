// Memory and copies, on both halves of the device seam.

#include <numeric>
#include <thread>

#include "tests/core/device/gpu_test.h"
#include "tests/core/device/test_kernels.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

using gpu::Stream;

class GpuMemory : public GpuTest {};

TEST_F(GpuMemory, IsAlignedTo256Bytes) {
  const Stream stream;
  for (int64_t n : {0, 1, 63, 64, 65, 1 << 20}) {
    const DeviceFloats floats(n, stream.handle());
    ASSERT_NE(floats.data(), nullptr);
    EXPECT_EQ(reinterpret_cast<size_t>(floats.data()) % 256, 0U) << n;
  }
}

TEST_F(GpuMemory, ComesBackToTheStreamThatFreedIt) {
  const Stream stream;
  void* first = gpu::allocate(10000, stream.handle());
  void* second = gpu::allocate(10000, stream.handle());
  EXPECT_NE(first, second);
  gpu::deallocate(first, stream.handle());
  void* third = gpu::allocate(10000, stream.handle());
  EXPECT_EQ(third, first);
  gpu::deallocate(third, stream.handle());
  gpu::deallocate(second, stream.handle());
}

TEST_F(GpuMemory, OfAnotherStreamIsNotTakenBeforeItIsFree) {
  const Stream stream;
  const Stream other;
  void* first = gpu::allocate(20000, stream.handle());
  test_kernels::add(static_cast<float*>(first), 5000, 1, stream.handle());
  gpu::deallocate(first, stream.handle());
  void* second = gpu::allocate(20000, other.handle());
  test_kernels::add(static_cast<float*>(second), 5000, 1, other.handle());
  gpu::deallocate(second, other.handle());
  EXPECT_NO_THROW(gpu::synchronize());
}

TEST_F(GpuMemory, AbsurdRequestsReturnNull) {
  const Stream stream;
  EXPECT_EQ(gpu::allocate(size_t{1} << 50, stream.handle()), nullptr);
  const DeviceFloats still_works(floats(10, 3), stream.handle());
  EXPECT_EQ(still_works.to_host(), floats(10, 3));
}

TEST_F(GpuMemory, CopiesRunInStreamOrder) {
  const Stream stream;
  const DeviceFloats a(floats(1000, 1), stream.handle());
  const DeviceFloats b(1000, stream.handle());
  gpu::copy(b.data(), a.data(), a.bytes(), stream.handle());
  test_kernels::add(a.data(), 1000, 1, stream.handle());
  EXPECT_EQ(b.to_host(), floats(1000, 1));
  EXPECT_EQ(a.to_host(), floats(1000, 2));
  gpu::fill_bytes(a.data(), 0, a.bytes() / 2, stream.handle());
  std::vector<float> wanted = floats(1000, 2);
  std::fill_n(wanted.begin(), 500, 0.0F);
  EXPECT_EQ(a.to_host(), wanted);
}

TEST_F(GpuMemory, PinnedCopiesAndStructsOfPointers) {
  const Stream stream;
  PinnedFloats source(100, 7);
  PinnedFloats target(100, 0);
  const DeviceFloats a(100, stream.handle());
  const DeviceFloats b(100, stream.handle());
  gpu::copy_from_pinned(a.data(), source.data(), source.bytes(), stream.handle());
  test_kernels::copy_pair(a.data(), b.data(), 100, stream.handle());
  gpu::copy_to_pinned(target.data(), b.data(), b.bytes(), stream.handle());
  gpu::synchronize(stream.handle());
  EXPECT_EQ(target[0], 7);
  EXPECT_EQ(target[99], 7);
  test_kernels::copy_pair(nullptr, b.data(), 100, stream.handle());
  EXPECT_EQ(b.to_host(), floats(100, 0));
}

TEST_F(GpuMemory, CopiesToAndFromOnePinnedBufferRunInStreamOrder) {
  const Stream stream;
  PinnedFloats buffer(100, 7);
  const DeviceFloats a(floats(100, 1), stream.handle());
  const DeviceFloats b(100, stream.handle());
  const DeviceFloats c(100, stream.handle());
  gpu::copy_from_pinned(b.data(), buffer.data(), b.bytes(), stream.handle());
  gpu::copy_to_pinned(buffer.data(), a.data(), a.bytes(), stream.handle());
  gpu::copy_from_pinned(c.data(), buffer.data(), c.bytes(), stream.handle());
  test_kernels::add(c.data(), 100, 1, stream.handle());
  gpu::copy_to_pinned(buffer.data(), c.data(), c.bytes(), stream.handle());
  gpu::synchronize(stream.handle());
  EXPECT_EQ(buffer[0], 2);
  EXPECT_EQ(buffer[99], 2);
  EXPECT_EQ(b.to_host(), floats(100, 7));
  EXPECT_EQ(c.to_host(), floats(100, 2));
}

TEST_F(GpuMemory, CopiesOfManyStagingBuffersArriveWhole) {
  const Stream stream;
  std::vector<float> values(6 * (1 << 20) + 17);  // 24 MB
  std::iota(values.begin(), values.end(), 0.0F);
  const DeviceFloats device(values, stream.handle());
  std::fill(values.begin(), values.begin() + 100, -1.0F);  // it has been read
  std::vector<float> back = device.to_host();
  for (size_t i = 0; i < 100; ++i) {
    ASSERT_EQ(back[i], static_cast<float>(i));
    back[i] = -1;
  }
  EXPECT_TRUE(back == values);
}

TEST_F(GpuMemory, AsynchronousCopiesNeedPinnedMemory) {
  const Stream stream;
  const DeviceFloats device(100, stream.handle());
  std::vector<float> values(100);
  expect_throws<DeviceError>(
      [&] { gpu::copy_from_pinned(device.data(), values.data(), device.bytes(), stream.handle()); },
      {"[copy_from_pinned]", "wanted pinned memory"});
  expect_throws<DeviceError>(
      [&] { gpu::copy_to_pinned(values.data(), device.data(), device.bytes(), stream.handle()); },
      {"[copy_to_pinned]", "wanted pinned memory"});
}

TEST_F(GpuMemory, NothingToDoIsNothing) {
  const Stream stream;
  const DeviceFloats none(0, stream.handle());
  EXPECT_NO_THROW(gpu::copy(none.data(), none.data(), 0, stream.handle()));
  EXPECT_NO_THROW(gpu::copy_from_host(none.data(), nullptr, 0, stream.handle()));
  EXPECT_NO_THROW(gpu::copy_to_host(nullptr, none.data(), 0, stream.handle()));
  EXPECT_NO_THROW(gpu::fill_bytes(none.data(), 0, 0, stream.handle()));
  EXPECT_NO_THROW(test_kernels::add(none.data(), 0, 1, stream.handle()));
  EXPECT_NO_THROW(gpu::deallocate(nullptr, stream.handle()));
  EXPECT_NO_THROW(gpu::deallocate_pinned(nullptr));
}

TEST_F(GpuMemory, ThreadsWorkOnStreamsOfTheirOwn) {
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> results(3);
  for (size_t t = 0; t < results.size(); ++t) {
    threads.emplace_back([t, &results] {
      const Stream stream;
      const gpu::StreamScope scope(stream);
      for (int round = 0; round < 20; ++round) {
        const DeviceFloats device(floats(300, static_cast<float>(t)), gpu::current_stream());
        test_kernels::add(device.data(), 300, static_cast<float>(round), gpu::current_stream());
        results[t] = device.to_host();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (size_t t = 0; t < results.size(); ++t) {
    EXPECT_EQ(results[t], floats(300, static_cast<float>(t) + 19));
  }
}

}  // namespace
}  // namespace warptape
