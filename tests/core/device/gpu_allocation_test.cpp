// The cache of device memory: which blocks serve which requests, and what it says of itself.

#include <cstdio>
#include <cstdlib>

#include "core/storage.h"
#include "core/tensor.h"
#include "tests/core/device/gpu_test.h"
#include "tests/core/device/test_kernels.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

class GpuAllocations : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (!IsSkipped()) {
      empty_cache(cuda);
    }
  }
};

uint64_t device_allocations() {
  return memory_stats(cuda).device_allocations;
}

TEST_F(GpuAllocations, FreedBlocksServeTheirStreamAgain) {
  const gpu::Stream stream;
  const gpu::StreamScope scope(stream);
  auto storage = Storage::allocate(100000, cuda);
  const void* data = storage->data();
  const uint64_t before = device_allocations();
  for (size_t bytes : {size_t{98305}, size_t{100000}, size_t{106496}}) {  // of one size class
    storage.reset();
    storage = Storage::allocate(bytes, cuda);
    EXPECT_EQ(storage->data(), data) << bytes;
    EXPECT_EQ(storage->bytes(), bytes);
  }
  EXPECT_EQ(device_allocations(), before);
  storage.reset();
  EXPECT_NE(Storage::allocate(106497, cuda)->data(), data);
  EXPECT_EQ(device_allocations(), before + 1);
}

// Kernels of the next owner, which run behind those of the last, find no trace of them.
TEST_F(GpuAllocations, NextOwnersNeedNotWait) {
  const gpu::Stream stream;
  const gpu::StreamScope scope(stream);
  for (int round = 0; round < 5; ++round) {
    Tensor x = Tensor::full({1000}, round, float32, cuda);
    test_kernels::add(x.mutable_data<float>(), 1000, 1, stream.handle());
    EXPECT_EQ(x.to_vector<float>(), floats(1000, static_cast<float>(round + 1)));
  }
}

TEST_F(GpuAllocations, StreamsKeepTheirBlocksApart) {
  const gpu::Stream one;
  const gpu::Stream two;
  const void* data = nullptr;
  {
    const gpu::StreamScope scope(one);
    data = Storage::allocate(5000, cuda)->data();
  }
  const gpu::StreamScope scope(two);
  const auto own = Storage::allocate(5000, cuda);
  EXPECT_NE(own->data(), data);
  const gpu::StreamScope back(one);
  EXPECT_EQ(Storage::allocate(5000, cuda)->data(), data);
}

TEST_F(GpuAllocations, BlocksOfAStreamThatIsGoneServeOthers) {
  const void* data = nullptr;
  {
    const gpu::Stream stream;
    const gpu::StreamScope scope(stream);
    data = Tensor::full({3000}, 1, float32, cuda).raw_data();
  }
  const uint64_t before = device_allocations();
  const Tensor x = Tensor::full({3000}, 2, float32, cuda);
  EXPECT_EQ(x.raw_data(), data);
  EXPECT_EQ(x.to_vector<float>(), floats(3000, 2));
  EXPECT_EQ(device_allocations(), before);
}

TEST_F(GpuAllocations, BlocksThatOutliveTheirStreamAreNotLost) {
  Tensor x;
  {
    const gpu::Stream stream;
    const gpu::StreamScope scope(stream);
    x = Tensor::full({3000}, 1, float32, cuda);
  }
  const size_t reserved = memory_reserved(cuda);
  x = Tensor();
  EXPECT_LT(memory_reserved(cuda), reserved);
  EXPECT_NO_THROW(gpu::synchronize());
}

TEST_F(GpuAllocations, StatisticsTellLiveFromReserved) {
  const size_t live = memory_allocated(cuda);
  const size_t reserved = memory_reserved(cuda);
  reset_peak_memory_stats(cuda);
  {
    const auto a = Storage::allocate(1000001, cuda);
    const auto b = Storage::allocate(10, cuda);
    EXPECT_EQ(memory_allocated(cuda), live + 1000011);
    EXPECT_GE(memory_reserved(cuda), reserved + 1000011);
    EXPECT_LE(memory_reserved(cuda), reserved + 1000011 * 9 / 8 + 64);
    EXPECT_EQ(memory_stats(cuda).cached_bytes, 0U);
  }
  EXPECT_EQ(memory_allocated(cuda), live);
  EXPECT_EQ(max_memory_allocated(cuda), live + 1000011);
  EXPECT_EQ(memory_stats(cuda).cached_bytes, memory_reserved(cuda) - reserved);
  empty_cache(cuda);
  EXPECT_EQ(memory_stats(cuda).cached_bytes, 0U);
  EXPECT_EQ(memory_reserved(cuda), reserved);
}

// A replay would use a block that by then has another owner.
TEST_F(GpuAllocations, AreRefusedDuringCaptureEvenWhereABlockIsThere) {
  const gpu::Stream stream;
  {
    const gpu::StreamScope scope(stream);
    Storage::allocate(5000, cuda);
  }
  const size_t cached = memory_stats(cuda).cached_bytes;
  EXPECT_GT(cached, 0U);
  expect_throws<DeviceError>(
      [&] { const gpu::Graph graph(stream, [] { Storage::allocate(5000, cuda); }); },
      {"[allocate]", "graph capture"});
  EXPECT_EQ(memory_stats(cuda).cached_bytes, cached);
}

TEST_F(GpuAllocations, WhatIsFreedDuringCaptureIsNotCached) {
  const gpu::Stream stream;
  const gpu::StreamScope scope(stream);
  Tensor bystander = Tensor::full({2000}, 1, float32, cuda);
  Tensor x = Tensor::full({100}, 1, float32, cuda);
  gpu::synchronize();
  const size_t cached = memory_stats(cuda).cached_bytes;
  const gpu::Graph graph(stream, [&] {
    test_kernels::add(x.mutable_data<float>(), 100, 1, gpu::current_stream());
    bystander = Tensor();
  });
  EXPECT_EQ(memory_stats(cuda).cached_bytes, cached);
  graph.launch(stream.handle());
  EXPECT_EQ(x.to_vector<float>(), floats(100, 2));
}

class GpuWithoutCache : public GpuTest {};

// In a process of its own, as the variable is read once.
TEST_F(GpuWithoutCache, BlocksComeAndGoAtTheirExactSize) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto allocate_and_free = [] {
    ::setenv("WARPTAPE_MEMORY_CACHE", "0", 1);
    const auto storage = Storage::allocate(100001, cuda);
    const bool exact = memory_reserved(cuda) == 100001;
    Storage::allocate(100001, cuda);
    const MemoryStats stats = memory_stats(cuda);
    std::exit(exact && stats.cached_bytes == 0 && stats.device_allocations == 2 ? 0 : 1);
  };
  EXPECT_EXIT(allocate_and_free(), ::testing::ExitedWithCode(0), "");
}

TEST_F(GpuWithoutCache, OtherValuesAreErrors) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto allocate = [] {
    ::setenv("WARPTAPE_MEMORY_CACHE", "no", 1);
    try {
      Storage::allocate(1, cuda);
    } catch (const ValueError& error) {
      std::fprintf(stderr, "%s\n", error.what());
      std::exit(0);
    }
    std::exit(1);
  };
  EXPECT_EXIT(allocate(), ::testing::ExitedWithCode(0), "WARPTAPE_MEMORY_CACHE: got .no.");
}

}  // namespace
}  // namespace warptape
