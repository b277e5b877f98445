// What the emulated device refuses beyond the nine faults, and in which orders it runs work.

#include <cmath>
#include <functional>
#include <memory>

#include "emulator/engine/engine.h"
#include "tests/core/device/test_kernels.h"
#include "tests/core/expect_throws.h"
#include "tests/emulator/device/emulated_test.h"
#include "tests/support/sanitizers.h"

namespace warptape {
namespace {

using gpu::Event;
using gpu::Graph;
using gpu::Stream;
using gpu::emulated::Order;
using test_kernels::add;

class EmulatedDevice : public EmulatedTest {
 protected:
  Stream stream_;
  Stream other_;
};

TEST_F(EmulatedDevice, OverrunsByOneElementAreCaught) {
  for (int64_t index : {100, -1}) {
    const DeviceFloats before(floats(100, 1), stream_.handle());
    const DeviceFloats a(floats(100, 1), stream_.handle());
    const DeviceFloats after(floats(100, 1), stream_.handle());
    const auto overrun = [&] {
      test_kernels::add_at(a.data(), index, 1, stream_.handle());
      gpu::synchronize();
    };
    if (under_address_sanitizer()) {
      EXPECT_DEATH(overrun(), "AddressSanitizer: use-after-poison");
      continue;
    }
    expect_throws<DeviceError>(overrun, {"[add_at] wrote", "an allocation of 400 bytes: byte",
                                         index < 0 ? "before" : "past the end of"});
    gpu::emulated::reset_device();
  }
}

TEST_F(EmulatedDevice, ExactSizesAreNoOverruns) {
  for (int64_t n : {1, 2, 63, 64, 65, 1025}) {
    const DeviceFloats a(floats(n, 1), stream_.handle());
    add(a.data(), n, 1, stream_.handle());
    EXPECT_EQ(a.to_host(), floats(n, 2));
  }
}

TEST_F(EmulatedDevice, CopiesStayInsideOneAllocation) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  const DeviceFloats b(floats(200, 1), stream_.handle());
  expect_throws<DeviceError>(
      [&] { gpu::copy(a.data(), b.data(), 404, stream_.handle()); },
      {"[copy] target: got 404 bytes", "wanted a part of the allocation (400 bytes"});
  expect_throws<DeviceError>([&] { gpu::copy(b.data(), b.data() + 50, 400, stream_.handle()); },
                             {"[copy]", "overlap"});
}

// Whether a kernel that gets the pointer is told so.
bool is_host_memory(float* pointer, gpu::StreamHandle stream) {
  try {
    add(pointer, 1, 1, stream);
  } catch (const DeviceError& error) {
    return std::string(error.what()).find("host pointer") != std::string::npos;
  }
  return false;
}

TEST_F(EmulatedDevice, FreedMemoryIsRefused) {
  float* freed = nullptr;
  {
    const DeviceFloats a(floats(100, 1), stream_.handle());
    freed = a.data();
  }
  expect_throws<DeviceError>([&] { add(freed, 100, 1, stream_.handle()); },
                             {"[add] argument 1", "has been freed"});
  // The end of device memory, where no test gets to.
  constexpr int64_t step = 1 << 26;  // of floats
  float* last = freed + 256 * step;
  while (is_host_memory(last, stream_.handle())) {
    last -= step;
  }
  expect_throws<DeviceError>([&] { add(last, 100, 1, stream_.handle()); },
                             {"[add] argument 1", "nothing was ever allocated"});
}

TEST_F(EmulatedDevice, AllocationAndItsEndAreOrderedLikeWrites) {
  auto a = std::make_unique<DeviceFloats>(100, stream_.handle());
  expect_throws<DeviceError>([&] { add(a->data(), 100, 1, other_.handle()); },
                             {"[add] writes", "that [allocate] on another stream writes"});
  gpu::synchronize(stream_.handle());
  add(a->data(), 100, 1, other_.handle());
  a = nullptr;  // on stream_, which nothing orders after other_
  expect_throws<DeviceError>([&] { gpu::synchronize(); },
                             {"[deallocate] writes", "that [add] on another stream writes"});
}

TEST_F(EmulatedDevice, FreeingTwiceIsAFault) {
  void* pointer = gpu::allocate(100, stream_.handle());
  gpu::deallocate(pointer, stream_.handle());
  gpu::deallocate(pointer, stream_.handle());
  expect_throws<DeviceError>([] { gpu::synchronize(); }, {"[deallocate]", "nobody has freed"});
}

TEST_F(EmulatedDevice, ReadsOfSeveralStreamsNeedNoOrder) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  const DeviceFloats b(100, stream_.handle());
  const DeviceFloats c(100, other_.handle());
  gpu::synchronize();
  test_kernels::scale(a.data(), b.data(), 100, 2, stream_.handle());
  test_kernels::scale(a.data(), c.data(), 100, 3, other_.handle());
  EXPECT_EQ(b.to_host(), floats(100, 2));
  EXPECT_EQ(c.to_host(), floats(100, 3));
}

TEST_F(EmulatedDevice, FaultsStickUntilReset) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  PinnedFloats staging(100, 1);
  gpu::copy_from_pinned(a.data(), staging.data(), a.bytes(), stream_.handle());
  staging[0] = 2;
  const auto fault = {std::string("[copy_from_pinned]"), std::string("was changed")};
  expect_throws<DeviceError>([&] { gpu::synchronize(stream_.handle()); }, fault);
  expect_throws<DeviceError>([&] { gpu::synchronize(); }, fault);
  expect_throws<DeviceError>([&] { add(a.data(), 100, 1, stream_.handle()); }, fault);
  expect_throws<DeviceError>([&] { gpu::allocate(100, stream_.handle()); }, fault);
  expect_throws<DeviceError>([&] { Event().record(stream_.handle()); }, fault);
  gpu::emulated::reset_device();
  gpu::fill_bytes(a.data(), 0, a.bytes(), stream_.handle());
  add(a.data(), 100, 1, stream_.handle());
  EXPECT_EQ(a.to_host(), floats(100, 1));
}

TEST_F(EmulatedDevice, TheFirstFaultIsTheOneRaised) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  PinnedFloats staging(100, 1);
  gpu::emulated::set_order(Order::Immediate);
  const DeviceFloats b(100, stream_.handle());
  gpu::emulated::set_order(Order::Late);
  gpu::copy_from_pinned(a.data(), staging.data(), a.bytes(), stream_.handle());
  staging[0] = 2;
  gpu::emulated::set_order(Order::Immediate);
  EXPECT_NO_THROW(add(a.data(), 100, 1, stream_.handle()));  // the fault happens, unseen
  EXPECT_NO_THROW(add(a.data(), 100, 1, stream_.handle()));
  expect_throws<DeviceError>([] { gpu::synchronize(); }, {"[copy_from_pinned]", "was changed"});
}

TEST_F(EmulatedDevice, LateWorkRunsAtTheSynchronisationThatNeedsIt) {
  PinnedFloats one(1, 0);
  PinnedFloats two(1, 0);
  const DeviceFloats a(floats(1, 1), stream_.handle());
  const DeviceFloats b(floats(1, 2), other_.handle());
  gpu::copy_to_pinned(one.data(), a.data(), 4, stream_.handle());
  gpu::copy_to_pinned(two.data(), b.data(), 4, other_.handle());
  gpu::synchronize(other_.handle());
  EXPECT_TRUE(one[0] != one[0]);
  EXPECT_EQ(two[0], 2);
  gpu::synchronize();
  EXPECT_EQ(one[0], 1);
}

TEST_F(EmulatedDevice, ImmediateWorkRunsAtOnce) {
  gpu::emulated::set_order(Order::Immediate);
  PinnedFloats target(1, 0);
  const DeviceFloats a(floats(1, 1), stream_.handle());
  gpu::copy_to_pinned(target.data(), a.data(), 4, stream_.handle());
  EXPECT_EQ(target[0], 1);
  gpu::synchronize();
}

// How many of 32 copies on as many streams had run before the synchronisation.
std::vector<bool> early_copies(uint64_t seed) {
  simt::settings().seed = seed;
  constexpr int count = 32;
  std::vector<std::unique_ptr<Stream>> streams;
  std::vector<std::unique_ptr<DeviceFloats>> devices;
  std::vector<std::unique_ptr<PinnedFloats>> targets;
  for (int i = 0; i < count; ++i) {
    streams.push_back(std::make_unique<Stream>());
    devices.push_back(std::make_unique<DeviceFloats>(floats(1, 1), streams.back()->handle()));
    targets.push_back(std::make_unique<PinnedFloats>(1, 0.0F));
    gpu::copy_to_pinned(targets.back()->data(), devices.back()->data(), 4,
                        streams.back()->handle());
  }
  std::vector<bool> early;
  for (const auto& target : targets) {
    early.push_back((*target)[0] == 1);
  }
  gpu::synchronize();
  for (const auto& target : targets) {
    EXPECT_EQ((*target)[0], 1);
  }
  devices.clear();
  gpu::synchronize();
  return early;
}

// Half of a pinned buffer is the target of one copy, all of it the source of others.
TEST_F(EmulatedDevice, CopiesToAndFromPartsOfAPinnedBufferAreLegal) {
  std::vector<float> halves = floats(100, 7);
  std::fill_n(halves.begin(), 50, 1.0F);
  for (Order order : {Order::Late, Order::Immediate, Order::Random}) {
    gpu::emulated::set_order(order);
    PinnedFloats buffer(100, 7);
    const DeviceFloats a(floats(50, 1), stream_.handle());
    const DeviceFloats before(100, stream_.handle());
    const DeviceFloats after(100, stream_.handle());
    gpu::copy_from_pinned(before.data(), buffer.data(), before.bytes(), stream_.handle());
    gpu::copy_to_pinned(buffer.data(), a.data(), a.bytes(), stream_.handle());
    gpu::copy_from_pinned(after.data(), buffer.data(), after.bytes(), stream_.handle());
    gpu::copy_to_pinned(buffer.data() + 50, a.data(), a.bytes(), stream_.handle());
    gpu::synchronize();
    EXPECT_EQ(buffer[49], 1);
    EXPECT_EQ(buffer[50], 1);
    EXPECT_EQ(before.to_host(), floats(100, 7));
    EXPECT_EQ(after.to_host(), halves);
  }
}

TEST_F(EmulatedDevice, HostWritesAmongCopiesToAndFromAPinnedBufferAreCaught) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  const DeviceFloats b(100, stream_.handle());
  PinnedFloats buffer(100, 7);
  Event arrived;
  const auto to_device = [&] {
    gpu::copy_from_pinned(b.data(), buffer.data(), b.bytes(), stream_.handle());
  };
  const auto to_host = [&] {
    gpu::copy_to_pinned(buffer.data(), a.data(), a.bytes(), stream_.handle());
    arrived.record(stream_.handle());
  };
  const auto host_writes = [&] { buffer[50] = 2; };
  const auto host_waits = [&] { arrived.synchronize(); };
  using Steps = std::vector<std::function<void()>>;
  for (const Steps& steps :
       {Steps{to_device, host_writes, to_host}, Steps{to_device, to_host, host_writes},
        Steps{to_host, to_device, host_writes},
        Steps{to_host, to_device, host_waits, host_writes}}) {
    gpu::synchronize();
    for (const auto& step : steps) {
      step();
    }
    expect_throws<DeviceError>([&] { gpu::synchronize(); },
                               {"[copy_from_pinned]", "was changed before the copy ran"});
    gpu::emulated::reset_device();
  }
  for (const Steps& steps : {Steps{host_writes, to_device, to_host},
                             Steps{to_host, host_waits, host_writes, to_device}}) {
    for (const auto& step : steps) {
      step();
    }
    EXPECT_NO_THROW(gpu::synchronize());
    EXPECT_EQ(b.to_host()[50], 2);
  }
}

TEST_F(EmulatedDevice, APinnedBufferIsNaNUntilTheCopyToItHasRun) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  const DeviceFloats b(100, stream_.handle());
  PinnedFloats buffer(100, 7);
  gpu::copy_from_pinned(b.data(), buffer.data(), b.bytes(), stream_.handle());
  gpu::copy_to_pinned(buffer.data(), a.data(), a.bytes(), stream_.handle());
  gpu::copy_from_pinned(b.data(), buffer.data(), b.bytes(), stream_.handle());
  EXPECT_TRUE(std::isnan(buffer[0]) && std::isnan(buffer[99]));
  gpu::synchronize();
  EXPECT_EQ(buffer[0], 1);
  EXPECT_EQ(buffer[99], 1);
}

TEST_F(EmulatedDevice, CopiesOfAPinnedBufferOnSeveralStreamsNeedAnOrder) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  const DeviceFloats b(floats(100, 2), other_.handle());
  PinnedFloats buffer(100, 7);
  gpu::synchronize();
  const auto to_host = [&] {
    gpu::copy_to_pinned(buffer.data(), b.data(), b.bytes(), other_.handle());
  };
  const auto unordered_with = [&](const char* first) {
    expect_throws<DeviceError>(to_host, {"[copy_to_pinned] writes pinned memory (400 bytes", first,
                                         "no event orders them"});
    Event copied;
    copied.record(stream_.handle());
    copied.make_wait(other_.handle());
    to_host();
    gpu::synchronize();
    EXPECT_EQ(buffer[0], 2);
  };
  for (Order order : {Order::Late, Order::Immediate}) {
    gpu::emulated::set_order(order);
    gpu::copy_from_pinned(a.data(), buffer.data(), a.bytes(), stream_.handle());
    unordered_with("that [copy_from_pinned] on another stream reads");
    gpu::copy_to_pinned(buffer.data(), a.data(), a.bytes(), stream_.handle());
    unordered_with("that [copy_to_pinned] on another stream writes");
  }
  // Readers need none, nor do copies to other bytes.
  gpu::copy_from_pinned(a.data(), buffer.data(), a.bytes(), stream_.handle());
  gpu::copy_from_pinned(b.data(), buffer.data(), b.bytes(), other_.handle());
  gpu::copy_from_pinned(a.data(), buffer.data(), a.bytes() / 2, stream_.handle());
  gpu::synchronize();
  gpu::copy_from_pinned(a.data(), buffer.data(), a.bytes() / 2, stream_.handle());
  gpu::copy_to_pinned(buffer.data() + 50, b.data(), b.bytes() / 2, other_.handle());
  EXPECT_NO_THROW(gpu::synchronize());
}

TEST_F(EmulatedDevice, RandomOrderRepeatsWithItsSeed) {
  gpu::emulated::set_order(Order::Random);
  const uint64_t seed = simt::settings().seed;
  early_copies(0);  // so that each of the next begins its seed afresh
  const std::vector<bool> first = early_copies(7);
  early_copies(0);
  EXPECT_EQ(early_copies(7), first);
  std::vector<bool> another = first;
  for (uint64_t s = 8; s < 12 && another == first; ++s) {
    another = early_copies(s);
  }
  EXPECT_NE(another, first);
  simt::settings().seed = seed;
}

TEST_F(EmulatedDevice, MemoryIsJoinedAgainWhenItRunsShort) {
  const size_t third = gpu::properties().memory_bytes / 3;
  void* first = gpu::allocate(64 << 10, stream_.handle());
  void* second = gpu::allocate(64 << 10, stream_.handle());
  gpu::deallocate(first, stream_.handle());
  gpu::deallocate(second, stream_.handle());
  EXPECT_EQ(gpu::allocate(4 * third, stream_.handle()), nullptr);
  void* both = gpu::allocate(100 << 10, stream_.handle());
  EXPECT_NE(both, nullptr);
  gpu::fill_bytes(both, 0, 100 << 10, stream_.handle());
  gpu::deallocate(both, stream_.handle());
  EXPECT_NO_THROW(gpu::synchronize());
}

TEST_F(EmulatedDevice, CapturesNameWhatIsWrong) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  auto b = std::make_unique<DeviceFloats>(floats(100, 1), stream_.handle());
  Event outside;
  outside.record(other_.handle());
  const auto capture = [&](auto&& work) { return [&, work] { Graph graph(stream_, work); }; };
  expect_throws<DeviceError>(capture([&] {
                               Event forked;
                               forked.record(stream_.handle());
                               forked.make_wait(other_.handle());
                               add(a.data(), 100, 1, other_.handle());
                             }),
                             {"[graph] a stream whose last work is [add] was not joined"});
  expect_throws<DeviceError>(capture([&] { outside.make_wait(stream_.handle()); }),
                             {"[graph] event", "outside the capture"});
  expect_throws<DeviceError>(capture([&] {
                               add(b->data(), 100, 1, stream_.handle());
                               b = nullptr;
                             }),
                             {"[graph] memory that [add] uses was freed during the capture"});
  expect_throws<DeviceError>(capture([&] {
                               try {
                                 gpu::allocate(100, stream_.handle());
                               } catch (const DeviceError&) {  // does not save the graph
                               }
                             }),
                             {"[allocate] is not possible during graph capture"});
  Event inside;
  const Graph graph(stream_, [&] { inside.record(stream_.handle()); });
  expect_throws<DeviceError>([&] { inside.make_wait(other_.handle()); },
                             {"[graph] event", "has ended"});
}

TEST_F(EmulatedDevice, ReplaysAreOrderedLikeOtherWork) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  const Graph graph(stream_, [&] { add(a.data(), 100, 1, stream_.handle()); });
  gpu::synchronize();
  add(a.data(), 100, 1, other_.handle());
  expect_throws<DeviceError>([&] { graph.launch(stream_.handle()); },
                             {"[add] writes", "that [add] on another stream writes"});
  Event added;
  added.record(other_.handle());
  added.make_wait(stream_.handle());
  graph.launch(stream_.handle());
  EXPECT_EQ(a.to_host(), floats(100, 3));
}

TEST_F(EmulatedDevice, BranchesOfAGraphAreCheckedToo) {
  const DeviceFloats a(floats(100, 1), stream_.handle());
  const Graph graph(stream_, [&] {
    Event forked;
    Event joined;
    forked.record(stream_.handle());
    forked.make_wait(other_.handle());
    add(a.data(), 100, 1, other_.handle());
    add(a.data(), 100, 1, stream_.handle());
    joined.record(other_.handle());
    joined.make_wait(stream_.handle());
  });
  expect_throws<DeviceError>([&] { graph.launch(stream_.handle()); },
                             {"[add] writes", "no event orders them"});
}

}  // namespace
}  // namespace warptape
