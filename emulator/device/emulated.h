#pragma once
// The emulated device "cuda", as unforgiving as a real one. What launch.h needs of it, and its
// settings for tests.

#include <functional>
#include <string>
#include <vector>

#include "core/device/gpu.h"
#include "emulator/engine/engine.h"

namespace warptape::gpu::emulated {

enum class AccessMode { Read, Write };

struct Access {
  const void* pointer;
  AccessMode mode;
  int argument;  // of the kernel, from 1
};

// Queues a kernel. Refuses grids beyond the engine's limits and pointers that are not live device
// memory, and raises DeviceError where one of them was used by other work that nothing orders
// before this.
void queue_kernel(const simt::Grid& grid, StreamHandle stream, std::vector<Access> accesses,
                  std::function<void()> thread_body);

// The addresses in which all device memory lies.
struct MemoryRange {
  const void* begin;
  const void* end;
};
MemoryRange memory_range();

// When queued work runs: at the next synchronisation, at once, or in a random order that respects
// streams and events.
enum class Order { Late, Immediate, Random };

// WARPTAPE_SIMT_QUEUE=late|immediate|random sets it at start; random is the default. Its seed is
// the engine's.
void set_order(Order order);
Order order();

// Forgets a fault that sticks, and drops what is queued. Memory stays as it is. For tests.
void reset_device();

}  // namespace warptape::gpu::emulated
