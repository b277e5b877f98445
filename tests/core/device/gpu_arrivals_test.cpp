// Counters for the blocks of a launch, on both halves of the device seam.

#include "core/device/arrivals.h"

#include <memory>
#include <set>

#include "core/simt/build.h"
#include "tests/core/device/gpu_test.h"
#include "tests/core/device/test_kernels.h"
#include "tests/core/expect_throws.h"
#include "tests/support/sanitizers.h"

#ifdef WARPTAPE_SIMT
#include "emulator/device/dry_run.h"
#include "emulator/device/emulated.h"
#endif

namespace warptape {
namespace {

using gpu::arrival_counters;
using gpu::Graph;
using gpu::most_arrival_counters;
using gpu::Stream;

class GpuArrivals : public GpuTest {};

std::vector<unsigned long long> values_of(const unsigned long long* counters,
                                          gpu::StreamHandle stream) {
  std::vector<unsigned long long> values(most_arrival_counters);
  gpu::copy_to_host(values.data(), counters, values.size() * sizeof(values[0]), stream);
  return values;
}

const std::vector<unsigned long long> zeros(most_arrival_counters);

TEST_F(GpuArrivals, AreZerosOfAStreamsOwn) {
  const Stream one;
  const Stream two;
  unsigned long long* const counters = arrival_counters(one.handle(), most_arrival_counters);
  EXPECT_EQ(values_of(counters, one.handle()), zeros);
  EXPECT_EQ(arrival_counters(one.handle(), 1), counters);
  EXPECT_NE(arrival_counters(two.handle(), 1), counters);
}

TEST_F(GpuArrivals, AreNoMoreThanThereAre) {
  const Stream stream;
  expect_throws<DeviceError>([&] { arrival_counters(stream.handle(), most_arrival_counters + 1); },
                             {"[arrival_counters]", "1025", "at most 1024"});
  expect_throws<DeviceError>([] { arrival_counters(nullptr, 1); },
                             {"[arrival_counters]", "nullptr"});
}

TEST_F(GpuArrivals, OfAGraphAreItsOwn) {
  const Stream stream;
  const DeviceFloats a(floats(10, 0), stream.handle());
  std::set<unsigned long long*> all{arrival_counters(stream.handle(), 1)};
  std::vector<std::unique_ptr<Graph>> graphs;
  for (int i = 0; i < 2; ++i) {
    unsigned long long* of_graph = nullptr;
    graphs.push_back(std::make_unique<Graph>(stream, [&] {
      of_graph = arrival_counters(stream.handle(), 1);
      EXPECT_EQ(arrival_counters(stream.handle(), 1), of_graph);
      test_kernels::add(a.data(), 10, 1, stream.handle());
    }));
    EXPECT_EQ(values_of(of_graph, stream.handle()), zeros);
    all.insert(of_graph);
  }
  EXPECT_EQ(all.size(), 3U);
  EXPECT_EQ(all.count(arrival_counters(stream.handle(), 1)), 1U) << "after the captures";
}

TEST_F(GpuArrivals, OfTheStreamsOfACapture) {
  const Stream stream;
  std::vector<std::unique_ptr<Stream>> branches;
  for (int i = 0; i < gpu::most_counting_streams; ++i) {
    branches.push_back(std::make_unique<Stream>());
  }
  std::set<unsigned long long*> all;
  expect_throws<DeviceError>(
      [&] {
        const Graph graph(stream, [&] {
          gpu::Event forked;
          forked.record(stream.handle());
          all.insert(arrival_counters(stream.handle(), 1));
          for (const auto& branch : branches) {
            forked.make_wait(branch->handle());
            all.insert(arrival_counters(branch->handle(), 1));
          }
        });
      },
      {"[arrival_counters]", "more than 8 streams of a capture"});
  EXPECT_EQ(all.size(), 8U);
  // The stream is as before.
  EXPECT_EQ(values_of(arrival_counters(stream.handle(), 1), stream.handle()), zeros);
}

#ifdef WARPTAPE_SIMT
TEST_F(GpuArrivals, OfADryRunAreZeros) {
  const Stream stream;
  unsigned long long* counters = nullptr;
  {
    const gpu::emulated::DryRun dry;
    counters = arrival_counters(stream.handle(), 1);
    test_kernels::add(reinterpret_cast<float*>(counters), 10, 1, stream.handle());
  }
  EXPECT_EQ(values_of(counters, stream.handle()), zeros);
}

TEST_F(GpuArrivals, OfKernelsThatAFaultEndedAreZeros) {
  if (under_address_sanitizer()) {
    GTEST_SKIP() << "AddressSanitizer ends the program at the fault";
  }
  const Stream stream;
  const DeviceFloats a(floats(10, 0), stream.handle());
  unsigned long long* const counters = arrival_counters(stream.handle(), 1);
  test_kernels::add(reinterpret_cast<float*>(counters), 10, 1, stream.handle());
  EXPECT_NE(values_of(counters, stream.handle()), zeros);
  test_kernels::add_at(a.data(), 11, 1, stream.handle());
  EXPECT_THROW(gpu::synchronize(), DeviceError);
  gpu::emulated::reset_device();
  EXPECT_EQ(values_of(counters, stream.handle()), zeros);
}
#endif

}  // namespace
}  // namespace warptape
