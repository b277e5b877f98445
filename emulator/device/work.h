#pragma once
// What is queued, recorded and ordered. Internal to the emulated device.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "emulator/device/arena.h"
#include "emulator/device/clock.h"
#include "emulator/device/emulated.h"

namespace warptape::gpu::emulated {

// Queued, with the works that must have run before.
struct Work {
  std::function<void()> run;
  std::vector<Opening> openings;             // of the memory that it may touch
  std::vector<std::shared_ptr<Work>> after;  // emptied when done
  bool manages_memory = false;               // runs even where a fault drops the others
  bool wanted = false;                       // by a synchronisation that is under way
  bool done = false;
};

// A point in a stream: what it waits for, and all that happened before.
struct Point {
  std::vector<std::shared_ptr<Work>> works;
  Clock clock;

  void join(const Point& other) {
    works.insert(works.end(), other.works.begin(), other.works.end());
    clock.join(other.clock);
  }
};

struct DeviceUse {
  const void* pointer;
  uint64_t allocation;  // its id: the address may be somebody else's by the time of a replay
  AccessMode mode;
};

// Both sides of a copy between pinned and device memory.
struct HostUse {
  char* pointer;
  char* device;
  size_t bytes;
  AccessMode mode;  // of the pinned side
};

// What one call asks the device to do: once, or at each replay of the graph that recorded it.
struct Operation {
  std::string name;
  std::vector<DeviceUse> uses;
  std::optional<HostUse> host;
  std::function<void()> run;  // where it is not such a copy
  int64_t bytes = 0;          // of copies and fills
};

inline const char* verb(AccessMode mode) {
  return mode == AccessMode::Read ? "reads" : "writes";
}

class Capture;

}  // namespace warptape::gpu::emulated

// CUDA's names for what its handles point to.
struct CUstream_st {
  size_t lane = 0;  // of its works in clocks
  warptape::gpu::emulated::Point point;
  std::shared_ptr<warptape::gpu::emulated::Capture> capture;  // that records it now, or nullptr
  warptape::gpu::emulated::Block* counters = nullptr;         // arrival_counters(), once asked for
};

struct CUevent_st {
  bool recorded = false;
  // Of a timed one: the host's time at which the stream last came by.
  std::shared_ptr<std::optional<std::chrono::steady_clock::time_point>> passed;
  warptape::gpu::emulated::Point point;
  // Where it was recorded in a capture: that, and the number of the record.
  std::shared_ptr<warptape::gpu::emulated::Capture> capture;
  size_t record = 0;
};
