#pragma once
// The emulated device "cuda", as unforgiving as a real one. What launch.h needs of it, and its
// settings for tests.

#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
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

// Whether the calling thread is in here, in what a GPU's driver does in other builds: who counts
// what the host does leaves that out.
bool is_inside();
class Inside {
 public:
  Inside();
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
};

// The same for launch.h. visit(note, value) calls note(pointer) for each pointer in a value. Not
// inlined, as tools/host_cost.py knows what is the device's by its functions.
template <class... Parameters, class... Values, class Visit>
[[gnu::noinline]] void launch(const simt::Grid& grid, StreamHandle stream,
                              void (*kernel)(Parameters...), const std::tuple<Values...>& values,
                              const Visit& visit) {
  const Inside inside;
  std::vector<Access> accesses;
  int argument = 0;
  const auto note = [&]<class T>(T* pointer) {
    const AccessMode mode = std::is_const_v<T> ? AccessMode::Read : AccessMode::Write;
    accesses.push_back({pointer, mode, argument});
  };
  const auto note_argument = [&](const auto& value) {
    ++argument;
    visit(note, value);
  };
  std::apply([&](const auto&... value) { (note_argument(value), ...); }, values);
  queue_kernel(grid, stream, std::move(accesses),
               [kernel, copies = std::tuple<std::decay_t<Parameters>...>(values)] {
                 std::apply(kernel, copies);
               });
}

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
