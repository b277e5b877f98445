// Graph capture and replay, on both halves of the device seam.

#include "tests/core/device/gpu_test.h"
#include "tests/core/device/test_kernels.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

using gpu::Event;
using gpu::Graph;
using gpu::Stream;

class GpuGraphs : public GpuTest {};

TEST_F(GpuGraphs, RecordOnceAndRunOften) {
  const Stream stream;
  const DeviceFloats a(floats(200, 0), stream.handle());
  const DeviceFloats b(floats(200, 0), stream.handle());
  int runs = 0;
  const Graph graph(stream, [&] {
    ++runs;
    EXPECT_TRUE(gpu::is_capturing());
    EXPECT_EQ(gpu::current_stream(), stream.handle());
    test_kernels::add(a.data(), 200, 1, gpu::current_stream());
    gpu::copy(b.data(), a.data(), a.bytes(), gpu::current_stream());
    test_kernels::add(b.data(), 200, 10, gpu::current_stream());
  });
  EXPECT_FALSE(gpu::is_capturing());
  EXPECT_EQ(a.to_host(), floats(200, 0));
  for (int i = 0; i < 3; ++i) {
    graph.launch(stream.handle());
  }
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(a.to_host(), floats(200, 3));
  EXPECT_EQ(b.to_host(), floats(200, 13));
}

TEST_F(GpuGraphs, EventsForkAndJoinStreams) {
  const Stream stream;
  const Stream side;
  const DeviceFloats a(floats(200, 1), stream.handle());
  const DeviceFloats b(200, stream.handle());
  const DeviceFloats c(200, stream.handle());
  const Graph graph(stream, [&] {
    Event forked;
    Event joined;
    test_kernels::add(a.data(), 200, 1, stream.handle());
    forked.record(stream.handle());
    forked.make_wait(side.handle());
    test_kernels::scale(a.data(), b.data(), 200, 10, side.handle());
    test_kernels::scale(a.data(), c.data(), 200, 100, stream.handle());
    joined.record(side.handle());
    joined.make_wait(stream.handle());
    test_kernels::add(a.data(), 200, 1, stream.handle());
  });
  graph.launch(stream.handle());
  graph.launch(stream.handle());
  EXPECT_EQ(a.to_host(), floats(200, 5));
  EXPECT_EQ(b.to_host(), floats(200, 40));
  EXPECT_EQ(c.to_host(), floats(200, 400));
  // The side stream is free again.
  test_kernels::add(b.data(), 200, 1, side.handle());
  gpu::synchronize(side.handle());
  EXPECT_EQ(b.to_host(), floats(200, 41));
}

TEST_F(GpuGraphs, RunOnOtherStreamsInOrderWithTheirWork) {
  const Stream stream;
  const Stream other;
  const DeviceFloats a(floats(100, 1), stream.handle());
  const Graph graph(stream, [&] { test_kernels::add(a.data(), 100, 1, stream.handle()); });
  gpu::synchronize();
  test_kernels::scale(a.data(), a.data(), 100, 3, other.handle());
  graph.launch(other.handle());
  test_kernels::scale(a.data(), a.data(), 100, 3, other.handle());
  EXPECT_EQ(a.to_host(other.handle()), floats(100, 12));
}

TEST_F(GpuGraphs, ReadPinnedMemoryAtEachReplay) {
  const Stream stream;
  PinnedFloats input(50, 1);
  const DeviceFloats device(50, stream.handle());
  const Graph graph(stream, [&] {
    gpu::copy_from_pinned(device.data(), input.data(), input.bytes(), stream.handle());
    test_kernels::add(device.data(), 50, 1, stream.handle());
  });
  for (float value : {1.0F, 5.0F}) {
    std::fill_n(input.data(), 50, value);
    graph.launch(stream.handle());
    EXPECT_EQ(device.to_host(), floats(50, value + 1));
  }
}

TEST_F(GpuGraphs, RefuseWhatCannotBeRecorded) {
  const Stream stream;
  const DeviceFloats device(floats(10, 1), stream.handle());
  std::vector<float> values(10);
  const auto capture = [&](auto&& work) { return [&, work] { Graph graph(stream, work); }; };
  expect_throws<DeviceError>(capture([&] { gpu::allocate(10, stream.handle()); }),
                             {"[allocate]", "during graph capture"});
  expect_throws<DeviceError>(capture([&] { gpu::synchronize(stream.handle()); }),
                             {"[synchronize]", "during graph capture"});
  expect_throws<DeviceError>(capture([&] { gpu::synchronize(); }),
                             {"[synchronize]", "during graph capture"});
  expect_throws<DeviceError>(
      capture([&] { gpu::copy_from_host(device.data(), values.data(), 40, stream.handle()); }),
      {"[copy_from_host]", "during graph capture"});
  expect_throws<DeviceError>(
      capture([&] { gpu::copy_to_host(values.data(), device.data(), 40, stream.handle()); }),
      {"[copy_to_host]", "during graph capture"});
  EXPECT_EQ(device.to_host(), floats(10, 1));  // the stream runs again
}

TEST_F(GpuGraphs, AnUnjoinedStreamIsAnError) {
  const Stream stream;
  const Stream side;
  const DeviceFloats a(floats(10, 1), stream.handle());
  const auto unjoined = [&] {
    Graph graph(stream, [&] {
      Event forked;
      forked.record(stream.handle());
      forked.make_wait(side.handle());
      test_kernels::add(a.data(), 10, 1, side.handle());
    });
  };
  EXPECT_THROW(unjoined(), DeviceError);
  EXPECT_EQ(a.to_host(), floats(10, 1));
}

TEST_F(GpuGraphs, AnExceptionInsideEndsTheCapture) {
  const Stream stream;
  const DeviceFloats a(floats(10, 1), stream.handle());
  const auto failing = [&] {
    Graph graph(stream, [&] {
      test_kernels::add(a.data(), 10, 1, stream.handle());
      throw ValueError("[test] of the caller");
    });
  };
  expect_throws<ValueError>(failing, {"[test] of the caller"});
  EXPECT_FALSE(gpu::is_capturing());
  EXPECT_EQ(a.to_host(), floats(10, 1));
}

TEST_F(GpuGraphs, OtherMemoryFreedMeanwhileGoesBackAfterwards) {
  const Stream stream;
  const DeviceFloats a(floats(10, 1), stream.handle());
  void* bystander = gpu::allocate(4000, stream.handle());
  const Graph graph(stream, [&] {
    gpu::deallocate(bystander, stream.handle());
    test_kernels::add(a.data(), 10, 1, stream.handle());
  });
  graph.launch(stream.handle());
  EXPECT_EQ(a.to_host(), floats(10, 2));
  void* again = gpu::allocate(4000, stream.handle());
  EXPECT_EQ(again, bystander);
  gpu::deallocate(again, stream.handle());
}

}  // namespace
}  // namespace warptape
