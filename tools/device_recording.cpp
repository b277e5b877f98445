#include "tools/device_recording.h"

#include <chrono>
#include <unordered_map>

#include "core/device/gpu.h"
#include "core/device/on_device.h"

namespace warptape::tools {
namespace {

int64_t steady_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::unique_ptr<gpu::ActivityRecorder> recorder_of(Device device) {
  if constexpr (has_gpu) {
    if (device == cuda) {
      gpu::synchronize();
      return gpu::record_activities();
    }
  }
  return nullptr;
}

}  // namespace

DeviceRecording::DeviceRecording(Device device) : recorder_(recorder_of(device)) {
  profile::start(recorder_.get());
  origin_ns_ = steady_ns() - profile::now_ns();
}

DeviceRecording::~DeviceRecording() {
  if (is_on_) {
    profile::stop();
  }
}

void DeviceRecording::stop(profiling::Captured& captured) {
  if constexpr (has_gpu) {
    if (recorder_ != nullptr) {
      gpu::synchronize();
    }
  }
  captured.recording = profile::stop_recording();
  is_on_ = false;
  if (recorder_ == nullptr) {
    return;
  }
  captured.source = recorder_->source();
  captured.times_kernels = recorder_->times_kernels();
  captured.activities = recorder_->finish();
  std::unordered_map<uint64_t, const profile::Launch*> launches;
  for (const profile::Launch& launch : captured.recording.launches) {
    launches[launch.id] = &launch;
  }
  for (gpu::Activity& activity : captured.activities) {
    activity.start_ns -= origin_ns_;
    if (const auto launch = launches.find(activity.launch); launch != launches.end()) {
      activity.name = launch->second->name;  // instead of the function's, with all its types
    }
  }
  if constexpr (has_gpu) {
    captured.is_emulated = gpu::is_emulated();
  }
}

}  // namespace warptape::tools
