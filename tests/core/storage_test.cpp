#include "core/storage.h"
#include "core/device/on_device.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "core/tensor.h"
#include "tests/core/expect_throws.h"
#include "tests/support/allocations.h"
#include "tests/support/sanitizers.h"

namespace warptape {

void kernel_of_builds_with_a_gpu();  // defined nowhere: a build without one must link all the same

namespace {

const bool under_asan = under_address_sanitizer();

TEST(Storages, LiveBytesFollowTheirOwners) {
  const size_t before = memory_stats(cpu).live_bytes;
  {
    const auto storage = Storage::allocate(100000, cpu);
    EXPECT_EQ(storage->bytes(), 100000U);
    EXPECT_EQ(storage->device(), cpu);
    const size_t held = memory_stats(cpu).live_bytes - before;
    EXPECT_GE(held, 100000U);
    EXPECT_LE(held, 100000U * 5 / 4 + 64);
  }
  EXPECT_EQ(memory_stats(cpu).live_bytes, before);
}

TEST(Storages, ViewsKeepTheirBlockAlive) {
  const size_t before = memory_stats(cpu).live_bytes;
  Tensor part;
  {
    const Tensor whole = Tensor::zeros({1000});
    part = whole.slice(10, 20);
  }
  EXPECT_GE(memory_stats(cpu).live_bytes - before, 4000U);
  part = Tensor();
  EXPECT_EQ(memory_stats(cpu).live_bytes, before);
}

TEST(Storages, PeakIsTheHighestLiveSinceReset) {
  reset_peak_memory_stats(cpu);
  const size_t start = memory_stats(cpu).live_bytes;
  EXPECT_EQ(memory_stats(cpu).peak_bytes, start);
  { const auto storage = Storage::allocate(1 << 20, cpu); }
  { const auto smaller = Storage::allocate(1 << 10, cpu); }
  EXPECT_EQ(memory_stats(cpu).live_bytes, start);
  EXPECT_GE(memory_stats(cpu).peak_bytes, start + (1 << 20));
  reset_peak_memory_stats(cpu);
  EXPECT_EQ(memory_stats(cpu).peak_bytes, start);
}

TEST(Storages, FreedBlocksAreReused) {
  if (under_asan) {
    GTEST_SKIP() << "under AddressSanitizer blocks are never reused";
  }
  auto storage = Storage::allocate(123456, cpu);
  const void* data = storage->data();
  const size_t cached_before = memory_stats(cpu).cached_bytes;
  storage.reset();
  EXPECT_GE(memory_stats(cpu).cached_bytes, cached_before + 123456);
  storage = Storage::allocate(123400, cpu);
  EXPECT_EQ(storage->data(), data);
  EXPECT_EQ(memory_stats(cpu).cached_bytes, cached_before);
}

// A block of a million bytes serves a little more or less, too.
TEST(Storages, BlocksServeSizesAFewPercentApart) {
  if (under_asan) {
    GTEST_SKIP() << "under AddressSanitizer blocks have their exact size";
  }
  auto storage = Storage::allocate(1'000'000, cpu);
  const void* data = storage->data();
  for (size_t bytes : {size_t{1'040'000}, size_t{990'000}}) {
    storage.reset();
    storage = Storage::allocate(bytes, cpu);
    EXPECT_EQ(storage->data(), data) << bytes;
  }
}

// Ends the program with 0 if a block is to be had once an idle one has been given back.
[[noreturn]] void allocate_beside_an_idle_block() {
  constexpr size_t block = size_t{256} << 20;
  { const auto idle = Storage::allocate(block, cpu); }
  std::ifstream statm("/proc/self/statm");
  size_t pages = 0;
  statm >> pages;
  const rlim_t limit = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE)) + block / 2;
  const rlimit limits{limit, limit};
  setrlimit(RLIMIT_AS, &limits);
  try {
    const auto storage = Storage::allocate(block + (block >> 2), cpu);
    std::_Exit(memory_stats(cpu).cached_bytes == 0 ? 0 : 2);
  } catch (const OutOfMemory&) {
    std::_Exit(1);
  }
}

TEST(Storages, IdleBlocksAreGivenBackBeforeMemoryRunsOut) {
  if (under_thread_sanitizer()) {
    GTEST_SKIP() << "ThreadSanitizer needs its address space";
  }
  if (under_asan) {
    GTEST_SKIP() << "AddressSanitizer needs its address space";
  }
  EXPECT_EXIT(allocate_beside_an_idle_block(), testing::ExitedWithCode(0), "");
}

TEST(Storages, ReusedBlocksStartWithVersionZero) {
  auto storage = Storage::allocate(5000, cpu);
  storage->bump_version();
  EXPECT_EQ(storage->version(), 1U);
  storage = nullptr;
  EXPECT_EQ(Storage::allocate(5000, cpu)->version(), 0U);
}

TEST(Storages, CachedMemoryCanBeGivenBack) {
  { const auto storage = Storage::allocate(1 << 16, cpu); }
  if (!under_asan) {
    EXPECT_GT(memory_stats(cpu).cached_bytes, 0U);
  }
  const size_t live = memory_stats(cpu).live_bytes;
  empty_cache(cpu);
  EXPECT_EQ(memory_stats(cpu).cached_bytes, 0U);
  EXPECT_EQ(memory_stats(cpu).live_bytes, live);
}

TEST(Storages, BlocksAreAlignedToCacheLines) {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{65}, size_t{5} << 20}) {
    const auto storage = Storage::allocate(bytes, cpu);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(storage->data()) % 64, 0U) << bytes;
  }
}

TEST(Storages, PoisonFillsNewAndReusedBlocksWithNan) {
  const PoisonedAllocations poisoned;
  for (int round = 0; round < 2; ++round) {
    Tensor floats = Tensor::empty({100});
    Tensor doubles = Tensor::empty({100}, float64);
    for (int64_t i = 0; i < 100; ++i) {
      ASSERT_TRUE(std::isnan(floats.data<float>()[i]));
      ASSERT_TRUE(std::isnan(doubles.data<double>()[i]));
    }
    floats.mutable_data<float>()[0] = 0;
    doubles.mutable_data<double>()[0] = 0;
  }
  EXPECT_EQ(Tensor::empty({3}, uint8).to_vector<uint8_t>(), std::vector<uint8_t>(3, 0xFF));
}

TEST(Storages, AbsurdRequestsAreOutOfMemoryWithAllFigures) {
  if (under_thread_sanitizer()) {
    GTEST_SKIP() << "ThreadSanitizer ends the program at such requests";
  }
  if (under_asan) {
    GTEST_SKIP() << "AddressSanitizer ends the program at such requests";
  }
  const size_t live = memory_stats(cpu).live_bytes;
  expect_throws<OutOfMemory>(
      [] { Storage::allocate(size_t{1} << 60, cpu); },
      {"[allocate]", "cpu", "requested 1152921504606846976 bytes", "live", "peak", "cached"});
  EXPECT_EQ(memory_stats(cpu).live_bytes, live);
  EXPECT_NO_THROW(Storage::allocate(1000, cpu));
}

TEST(Storages, ThreadsCanAllocateAtOnce) {
  const size_t before = memory_stats(cpu).live_bytes;
  std::atomic<int> faults{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &faults] {
      std::vector<Tensor> held;
      for (int round = 0; round < 200; ++round) {
        held.push_back(Tensor::full({1 + round % 7 * 100}, t * 1000 + round));
        if (held.size() > 5) {
          const int oldest = round - 5;
          for (float value : held.front().to_vector<float>()) {
            faults += value == static_cast<float>(t * 1000 + oldest) ? 0 : 1;
          }
          held.erase(held.begin());
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(faults, 0);
  EXPECT_EQ(memory_stats(cpu).live_bytes, before);
}

TEST(Devices, ArePrintedAndParsed) {
  EXPECT_EQ(to_string(cpu), "cpu");
  EXPECT_EQ(to_string(Device{DeviceType::CUDA, 1}), "cuda:1");
  EXPECT_EQ(parse_device("cpu"), cpu);
  EXPECT_EQ(parse_device("cuda"), (cuda));
  EXPECT_EQ(parse_device("cuda:3"), (Device{DeviceType::CUDA, 3}));
}

TEST(Devices, OtherNamesAreErrors) {
  for (const char* text : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", "cpu "}) {
    expect_throws<ValueError>([&] { parse_device(text); }, {"[device]", "\"" + std::string(text)});
  }
}

TEST(Devices, TheCpuIsThereAndOthersSayThatTheyAreNot) {
  EXPECT_TRUE(is_available(DeviceType::CPU));
  EXPECT_NO_THROW(backend(cpu).synchronize());
  if (!is_available(DeviceType::CUDA)) {
    expect_throws<DeviceError>([] { backend({DeviceType::CUDA, 1}); }, {"cuda:1", "not available"});
  }
}

TEST(Devices, AnOpWithoutAKernelNamesItselfAndTheDevice) {
  int calls = 0;
  on_device("op", cpu, [&] { ++calls; });
  EXPECT_EQ(calls, 1);
  expect_throws<DeviceError>(
      [&] {
        on_device("op", {DeviceType::CUDA, 0}, [&] { ++calls; });
      },
      {"[op] has no kernel", "cuda:0"});
  EXPECT_EQ(calls, 1);
}

TEST(Devices, AKernelForTheGpuIsNeverReferredToWithoutOne) {
  int calls = 0;
  on_device(
      "op", cpu, [&] { ++calls; },
      [&] {
        if constexpr (!has_gpu) {
          kernel_of_builds_with_a_gpu();
        }
        calls += 10;
      });
  EXPECT_EQ(calls, 1);
  const auto on_cuda = [&] {
    on_device(
        "op", {DeviceType::CUDA, 0}, [&] { ++calls; }, [&] { calls += 10; });
  };
  if constexpr (has_gpu) {
    on_cuda();
    EXPECT_EQ(calls, 11);
  } else {
    expect_throws<DeviceError>(on_cuda, {"[op] has no kernel", "cuda:0"});
  }
}

}  // namespace
}  // namespace warptape
