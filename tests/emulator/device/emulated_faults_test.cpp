// The nine faults of host code around kernels: each is planted and caught, and its correct twin
// passes.

#include <cmath>
#include <memory>

#include "tests/core/device/test_kernels.h"
#include "tests/core/expect_throws.h"
#include "tests/emulator/device/emulated_test.h"
#include "tests/support/sanitizers.h"

namespace warptape {
namespace {

using gpu::Event;
using gpu::Graph;
using gpu::Stream;
using test_kernels::add;

class EmulatedFaults : public EmulatedTest {
 protected:
  Stream stream_;
  Stream other_;
};

TEST_F(EmulatedFaults, MissingEvent) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  const DeviceFloats b(100, other_.handle());
  add(a.data(), 100, 1, stream_.handle());
  expect_throws<DeviceError>(
      [&] { test_kernels::scale(a.data(), b.data(), 100, 2, other_.handle()); },
      {"[scale] reads device memory (400 bytes", "that [add] on another stream writes",
       "no event orders them"});
  Event added;
  added.record(stream_.handle());
  added.make_wait(other_.handle());
  test_kernels::scale(a.data(), b.data(), 100, 2, other_.handle());
  expect_throws<DeviceError>(
      [&] { add(a.data(), 100, 1, stream_.handle()); },
      {"[add] writes device memory", "that [scale] on another stream reads"});
  Event scaled;
  scaled.record(other_.handle());
  scaled.make_wait(stream_.handle());
  add(a.data(), 100, 1, stream_.handle());
  EXPECT_EQ(b.to_host(), floats(100, 4));
  EXPECT_EQ(a.to_host(), floats(100, 3));
}

TEST_F(EmulatedFaults, MissingSynchronisation) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  PinnedFloats target(100, 5);
  gpu::copy_to_pinned(target.data(), a.data(), a.bytes(), stream_.handle());
  EXPECT_TRUE(std::isnan(target[0]) && std::isnan(target[99]));
  gpu::synchronize(stream_.handle());
  EXPECT_EQ(target[0], 1);
  EXPECT_EQ(target[99], 1);
}

TEST_F(EmulatedFaults, ReusedStagingBuffer) {
  const DeviceFloats a(100, stream_.handle());
  const DeviceFloats b(100, stream_.handle());
  PinnedFloats staging(100, 1);
  Event copied;
  gpu::copy_from_pinned(a.data(), staging.data(), a.bytes(), stream_.handle());
  copied.record(stream_.handle());
  copied.synchronize();
  staging[50] = 2;
  gpu::copy_from_pinned(b.data(), staging.data(), b.bytes(), stream_.handle());
  EXPECT_EQ(a.to_host(), floats(100, 1));
  EXPECT_EQ(b.to_host()[50], 2);

  gpu::copy_from_pinned(a.data(), staging.data(), a.bytes(), stream_.handle());
  staging[50] = 3;
  expect_throws<DeviceError>([&] { gpu::synchronize(); },
                             {"[copy_from_pinned]", "400 bytes was changed before the copy ran"});
}

TEST_F(EmulatedFaults, FreedStagingBuffer) {
  const DeviceFloats a(100, stream_.handle());
  {
    PinnedFloats staging(100, 1);
    gpu::copy_from_pinned(a.data(), staging.data(), a.bytes(), stream_.handle());
    gpu::synchronize();
  }
  EXPECT_EQ(a.to_host(), floats(100, 1));
  {
    PinnedFloats staging(100, 1);
    gpu::copy_from_pinned(a.data(), staging.data(), a.bytes(), stream_.handle());
  }
  expect_throws<DeviceError>([&] { gpu::synchronize(); },
                             {"[copy_from_pinned]", "400 bytes was freed before the copy ran"});
}

TEST_F(EmulatedFaults, HostPointerInAKernel) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  std::vector<float> host = floats(100, 1);
  expect_throws<DeviceError>(
      [&] { test_kernels::scale(host.data(), a.data(), 100, 2, stream_.handle()); },
      {"[scale] argument 1: got a host pointer", "wanted device memory"});
  expect_throws<DeviceError>(
      [&] { test_kernels::copy_pair(a.data(), host.data(), 100, stream_.handle()); },
      {"[copy_pair] argument 1: got a host pointer"});
  expect_throws<DeviceError>([&] { add(a.data(), 100, 1, nullptr); }, {"[add] stream"});
  test_kernels::scale(a.data(), a.data(), 100, 2, stream_.handle());
  EXPECT_EQ(a.to_host(), floats(100, 2));
}

TEST_F(EmulatedFaults, DevicePointerReadByTheHost) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  gpu::synchronize();
  const volatile float* data = a.data();
  EXPECT_DEATH(std::exit(static_cast<int>(data[3])),
               "device memory .*, in an allocation of 400 bytes.* was read by the host: copy it "
               "with gpu::copy_to_host");
  EXPECT_DEATH(a.data()[3] = 1, "was written by the host: copy it with gpu::copy_from_host");
  EXPECT_EQ(a.to_host()[3], 1);
}

TEST_F(EmulatedFaults, PointerMissingInForEachPointer) {
  if (under_thread_sanitizer()) {
    GTEST_SKIP() << "ThreadSanitizer ends the program first: nothing orders such an access";
  }
  const DeviceFloats a(floats(50, 1), stream_.handle());
  const DeviceFloats b(floats(50, 2), stream_.handle());
  gpu::synchronize();
  const auto run = [&](const auto& copy) {
    copy(a.data(), b.data(), 50, stream_.handle());
    gpu::synchronize();
  };
  EXPECT_DEATH(run(test_kernels::copy_from_unlisted),
               "device memory .*in an allocation of 200 bytes.* was read in kernel "
               "copy_from_unlisted, block .*, thread .*, for which no argument of the kernel has a "
               "pointer: is one missing in a for_each_pointer");
  EXPECT_DEATH(run(test_kernels::copy_to_unlisted),
               "was written in kernel copy_to_unlisted.* no argument of the kernel has a pointer "
               "that is not const");
  EXPECT_DEATH(run(test_kernels::copy_to_const),
               "was written in kernel copy_to_const.* has a pointer that is not const");
  EXPECT_EQ(b.to_host(), floats(50, 2));
  run(test_kernels::copy_pair);
  EXPECT_EQ(b.to_host(), floats(50, 1));
  // The same memory named twice, read and written.
  test_kernels::copy_pair(b.data(), b.data(), 50, stream_.handle());
  EXPECT_EQ(b.to_host(), floats(50, 1));
}

TEST_F(EmulatedFaults, ForgottenCopy) {
  const DeviceFloats forgotten(100, stream_.handle());
  const DeviceFloats a(floats(100, 0), stream_.handle());
  test_kernels::scale(forgotten.data(), a.data(), 100, 0, stream_.handle());
  for (float value : a.to_host()) {
    ASSERT_TRUE(std::isnan(value));
  }
  gpu::fill_bytes(forgotten.data(), 0, forgotten.bytes(), stream_.handle());
  test_kernels::scale(forgotten.data(), a.data(), 100, 0, stream_.handle());
  EXPECT_EQ(a.to_host(), floats(100, 0));
}

TEST_F(EmulatedFaults, MemoryFreedBeforeReplay) {
  auto a = std::make_unique<DeviceFloats>(floats(100, 1), stream_.handle());
  const Graph graph(stream_, [&] { add(a->data(), 100, 1, stream_.handle()); });
  graph.launch(stream_.handle());
  EXPECT_EQ(a->to_host(), floats(100, 2));
  const float* freed = a->data();
  const auto freed_before = [&] { graph.launch(stream_.handle()); };
  a = nullptr;
  expect_throws<DeviceError>(freed_before,
                             {"[Graph::launch]", "[add] uses", "has been freed since the capture"});
  // A new owner of the same address is not the old one.
  a = std::make_unique<DeviceFloats>(floats(100, 1), stream_.handle());
  ASSERT_EQ(a->data(), freed);
  expect_throws<DeviceError>(freed_before, {"[Graph::launch]", "has been freed"});
}

// A step with a rate that is an argument repeats the rate of the capture; read from device memory
// it follows the schedule.
TEST_F(EmulatedFaults, ScalarFrozenByCapture) {
  const DeviceFloats eager(floats(100, 0), stream_.handle());
  const DeviceFloats frozen(floats(100, 0), stream_.handle());
  const DeviceFloats right(floats(100, 0), stream_.handle());
  float rate = 1;
  const DeviceFloats device_rate(floats(1, rate), stream_.handle());
  const Graph frozen_step(stream_, [&] { add(frozen.data(), 100, rate, stream_.handle()); });
  const Graph right_step(stream_, [&] {
    test_kernels::add_from(right.data(), 100, device_rate.data(), stream_.handle());
  });
  for (float next : {1.0F, 0.5F}) {
    rate = next;
    gpu::copy_from_host(device_rate.data(), &rate, sizeof rate, stream_.handle());
    add(eager.data(), 100, rate, stream_.handle());
    frozen_step.launch(stream_.handle());
    right_step.launch(stream_.handle());
  }
  EXPECT_EQ(eager.to_host(), floats(100, 1.5F));
  EXPECT_EQ(right.to_host(), eager.to_host());
  EXPECT_NE(frozen.to_host(), eager.to_host());
}

}  // namespace
}  // namespace warptape
