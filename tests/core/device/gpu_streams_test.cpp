// Streams, events and the report word, on both halves of the device seam.

#include <cstdlib>
#include <thread>

#include "tests/core/device/gpu_test.h"
#include "tests/core/device/test_kernels.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

using gpu::Event;
using gpu::Stream;
using gpu::StreamScope;

class GpuStreams : public GpuTest {};

TEST_F(GpuStreams, TheInnermostScopeOfTheThreadIsCurrent) {
  const gpu::StreamHandle shared = gpu::current_stream();
  ASSERT_NE(shared, nullptr);
  EXPECT_EQ(gpu::current_stream(), shared);
  const Stream outer;
  const Stream inner;
  {
    const StreamScope outer_scope(outer);
    EXPECT_EQ(gpu::current_stream(), outer.handle());
    {
      const StreamScope inner_scope(inner);
      EXPECT_EQ(gpu::current_stream(), inner.handle());
      std::thread([&] { EXPECT_EQ(gpu::current_stream(), shared); }).join();
    }
    EXPECT_EQ(gpu::current_stream(), outer.handle());
  }
  EXPECT_EQ(gpu::current_stream(), shared);
}

TEST_F(GpuStreams, ThereIsNoDefaultStream) {
  const Stream stream;
  const DeviceFloats device(10, stream.handle());
  expect_throws<DeviceError>([&] { test_kernels::add(device.data(), 10, 1, nullptr); },
                             {"[add]", "nullptr", "no default stream"});
  expect_throws<DeviceError>([] { gpu::allocate(10, nullptr); }, {"[allocate]", "no default"});
  expect_throws<DeviceError>([] { gpu::synchronize(nullptr); }, {"[synchronize]", "no default"});
  Event event;
  expect_throws<DeviceError>([&] { event.record(nullptr); }, {"[Event::record]", "no default"});
}

TEST_F(GpuStreams, EventsOrderStreams) {
  const Stream producer;
  const Stream consumer;
  Event made;
  Event read;
  const DeviceFloats a(floats(1000, 0), producer.handle());
  const DeviceFloats b(1000, consumer.handle());
  for (int round = 1; round <= 5; ++round) {
    read.make_wait(producer.handle());  // in the first round never recorded: waits for nothing
    test_kernels::add(a.data(), 1000, 1, producer.handle());
    made.record(producer.handle());
    made.make_wait(consumer.handle());
    test_kernels::scale(a.data(), b.data(), 1000, 2, consumer.handle());
    read.record(consumer.handle());
    EXPECT_EQ(b.to_host(), floats(1000, 2.0F * static_cast<float>(round)));
  }
  read.make_wait(producer.handle());  // before the producer frees `a`
}

TEST_F(GpuStreams, TheHostOrdersStreamsToo) {
  const Stream one;
  const Stream two;
  const DeviceFloats a(floats(100, 1), one.handle());
  test_kernels::add(a.data(), 100, 1, one.handle());
  gpu::synchronize(one.handle());
  test_kernels::add(a.data(), 100, 1, two.handle());
  Event event;
  event.record(two.handle());
  event.synchronize();
  test_kernels::add(a.data(), 100, 1, one.handle());
  EXPECT_EQ(a.to_host(), floats(100, 4));
}

TEST_F(GpuStreams, DestructionFinishesWhatIsQueued) {
  const Stream keeper;
  const DeviceFloats a(floats(100, 1), keeper.handle());
  gpu::synchronize();
  {
    const Stream brief;
    test_kernels::add(a.data(), 100, 1, brief.handle());
  }
  EXPECT_EQ(a.to_host(), floats(100, 2));
}

TEST_F(GpuStreams, EmptyEventsWaitForNothing) {
  const Event never_recorded;
  EXPECT_NO_THROW(never_recorded.synchronize());
}

TEST_F(GpuStreams, TimedEventsTellTheTimeBetweenThem) {
  const Stream stream;
  const DeviceFloats a(floats(1000, 1), stream.handle());
  Event start(Event::Timing::On);
  Event middle(Event::Timing::On);
  Event end(Event::Timing::On);
  start.record(stream.handle());
  test_kernels::add(a.data(), 1000, 1, stream.handle());
  middle.record(stream.handle());
  test_kernels::add(a.data(), 1000, 1, stream.handle());
  end.record(stream.handle());
  const double first = middle.milliseconds_since(start);
  const double both = end.milliseconds_since(start);
  EXPECT_GT(first, 0);
  EXPECT_GT(both, first);
  EXPECT_NEAR(both - first, end.milliseconds_since(middle), 0.01);
}

TEST_F(GpuStreams, OnlyTimedEventsThatWereRecordedHaveATime) {
  const Stream stream;
  Event timed(Event::Timing::On);
  const Event never_recorded(Event::Timing::On);
  Event untimed;
  timed.record(stream.handle());
  untimed.record(stream.handle());
  const auto throws = [](const Event& from, const Event& to) {
    expect_throws<DeviceError>([&] { to.milliseconds_since(from); }, {"milliseconds_since"});
  };
  throws(timed, untimed);
  throws(untimed, timed);
  throws(timed, never_recorded);
}

TEST_F(GpuStreams, PropertiesDescribeTheDevice) {
  const gpu::Properties properties = gpu::properties();
  EXPECT_FALSE(properties.name.empty());
  EXPECT_FALSE(properties.versions.empty());
  EXPECT_GE(properties.compute_capability, 80);
  EXPECT_GT(properties.multiprocessors, 0);
  EXPECT_GT(properties.memory_bytes, size_t{1} << 28);
}

class GpuReports : public GpuTest {};

TEST_F(GpuReports, AreRaisedAtTheNextSynchronisationAndOnce) {
  static const int code = gpu::register_report("[clamp] element {index}: got {value}, wanted 0 up");
  const Stream stream;
  std::vector<float> values = floats(500, 1);
  values[321] = -17;
  const DeviceFloats device(values, stream.handle());
  EXPECT_NO_THROW(
      test_kernels::clamp(device.data(), 500, code, gpu::report_word(), stream.handle()));
  expect_throws<ValueError>([&] { gpu::synchronize(stream.handle()); },
                            {"[clamp] element 321: got -17, wanted 0 up"});
  EXPECT_NO_THROW(gpu::synchronize(stream.handle()));
  values[321] = 0;
  EXPECT_EQ(device.to_host(), values);
}

TEST_F(GpuReports, AreRaisedByCopiesToTheHostToo) {
  static const int code = gpu::register_report("[clamp] {value} at {index}");
  const Stream stream;
  const DeviceFloats device(floats(1, -2), stream.handle());
  test_kernels::clamp(device.data(), 1, code, gpu::report_word(), stream.handle());
  expect_throws<ValueError>([&] { device.to_host(); }, {"[clamp] -2 at 0"});
  EXPECT_EQ(device.to_host(), floats(1, 0));
}

TEST_F(GpuReports, OfStreamsThatNothingOrders) {
  static const int code = gpu::register_report("[clamp] several");
  const Stream one;
  const Stream two;
  const DeviceFloats a(floats(100, -1), one.handle());
  const DeviceFloats b(floats(100, -1), two.handle());
  test_kernels::clamp(a.data(), 100, code, gpu::report_word(), one.handle());
  test_kernels::clamp(b.data(), 100, code, gpu::report_word(), two.handle());
  expect_throws<ValueError>([] { gpu::synchronize(); }, {"[clamp] several"});
  EXPECT_NO_THROW(gpu::synchronize());
}

// In a process of its own, as the variable is read once.
TEST_F(GpuReports, AreRaisedByTheLaunchItselfWithWarptapeSync) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto launch_at_once = [] {
    ::setenv("WARPTAPE_SYNC", "1", 1);
    const int code = gpu::register_report("[clamp] at once");
    const Stream stream;
    const DeviceFloats device(floats(1, -2), stream.handle());
    try {
      test_kernels::clamp(device.data(), 1, code, gpu::report_word(), stream.handle());
    } catch (const ValueError&) {
      std::exit(0);
    }
    std::exit(1);
  };
  EXPECT_EXIT(launch_at_once(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace warptape
