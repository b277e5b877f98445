// Kernels on the emulated device, its settings and what it says of itself.

#include <thread>
#include <utility>

#include "core/check.h"
#include "core/device/gpu/parts.h"
#include "emulator/device/machine.h"

namespace warptape::gpu {
namespace emulated {

void queue_kernel(const simt::Grid& grid, StreamHandle handle, std::vector<Access> accesses,
                  std::function<void()> thread_body) {
  {
    std::lock_guard lock(machine().mutex);
    machine().check_healthy();
    CUstream_st& stream = machine().stream(handle, grid.name);
    simt::check_limits(grid);
    Operation operation{grid.name, {}, std::nullopt, nullptr};
    for (const Access& access : accesses) {
      if (access.pointer != nullptr) {  // an optional argument that is not given
        operation.uses.push_back(machine().use_of(access.pointer, 0, access.mode, operation.name,
                                                  fmt::format("argument {}", access.argument)));
      }
    }
    if (machine().dry_launches) {
      DryLaunch launch{operation.name, grid.grid, grid.block, grid.function};
      launch.dynamic_shared = grid.dynamic_shared;
      for (const Opening& opening : machine().openings_of(operation.uses)) {
        launch.largest_bytes = std::max(launch.largest_bytes, opening.place.bytes);
        launch.bytes += opening.place.bytes;
        launch.written_bytes += opening.mode == AccessMode::Write ? opening.place.bytes : 0;
      }
      machine().dry_launches->push_back(std::move(launch));
    }
    std::vector<Arena::Place> written;
    for (const Opening& opening : machine().openings_of(operation.uses)) {
      if (opening.mode == AccessMode::Write) {
        written.push_back(opening.place);
      }
    }
    operation.run = [grid, name = operation.name, body = std::move(thread_body), written] {
      simt::Grid named = grid;
      named.name = name.c_str();
      simt::run_grid(named, body);
      Arena::check_guards(written, name);
    };
    machine().submit(stream, std::move(operation));
  }
  parts::finish_launch(handle);
}

DryRun::DryRun() {
  std::lock_guard lock(machine().mutex);
  machine().wait_for_all();
  check<DeviceError>(!machine().dry_launches, "[DryRun] got a second one at once, wanted one");
  machine().dry_launches.emplace();
}

DryRun::~DryRun() {
  std::lock_guard lock(machine().mutex);
  machine().scheduler.finish_all();
  machine().dry_launches.reset();
}

std::vector<DryLaunch> DryRun::take_launches() {
  std::lock_guard lock(machine().mutex);
  return std::exchange(*machine().dry_launches, {});
}

MemoryRange memory_range() {
  std::lock_guard lock(machine().mutex);
  const auto* begin = static_cast<const char*>(machine().arena.begin());
  return {begin, begin + machine().arena.capacity()};
}

void set_order(Order order) {
  std::lock_guard lock(machine().mutex);
  machine().scheduler.order = order;
}

Order order() {
  std::lock_guard lock(machine().mutex);
  return machine().scheduler.order;
}

void reset_device() {
  {
    std::lock_guard lock(machine().mutex);
    machine().reset();
  }
  parts::discard_report();
}

}  // namespace emulated

bool is_emulated() {
  return true;
}

int device_count(std::string*) {
  return 1;
}

Properties properties() {
  Properties result;
  result.name = "emulated on the host (SIMT engine)";
  result.compute_capability = 80;
  result.multiprocessors = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  result.memory_bytes = emulated::machine().arena.capacity();
  result.versions = "no CUDA runtime, no driver";
  return result;
}

}  // namespace warptape::gpu
