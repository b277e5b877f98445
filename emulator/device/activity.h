#pragma once
// What the emulated device did, and when by the host's clock: core/device/activity.h. Internal.

#include <functional>
#include <vector>

#include "core/device/activity.h"
#include "emulator/device/work.h"

namespace warptape::gpu::emulated {

struct ActivityLog {
  std::vector<Activity> activities;  // written while the machine's mutex is held

  // `run` with a note of its time, if the calling thread queues a kernel that was launched under a
  // recorder, a copy or a fill. The log lives until the work has run.
  std::function<void()> timed(const Operation& operation, size_t lane, std::function<void()> run);
};

}  // namespace warptape::gpu::emulated
