#pragma once
#include <memory>

#include "training/profile/step_profile.h"

namespace warptape::tools {

// Records what the host and, where there is one, the device "cuda" do, from here to stop().
class DeviceRecording {
 public:
  explicit DeviceRecording(Device device);
  ~DeviceRecording();
  DeviceRecording(const DeviceRecording&) = delete;
  DeviceRecording& operator=(const DeviceRecording&) = delete;

  // Waits for the device, and fills in what was recorded.
  void stop(profiling::Captured& captured);

 private:
  std::unique_ptr<gpu::ActivityRecorder> recorder_;  // null on the CPU
  int64_t origin_ns_;  // the recording's start, by std::chrono::steady_clock
  bool is_on_ = true;
};

}  // namespace warptape::tools
