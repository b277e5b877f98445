#pragma once
#include <vector>

#include "core/device/device.h"

namespace warptape {

// The CPU, and "cuda" where this build and machine have it.
inline std::vector<Device> available_devices() {
  std::vector<Device> devices = {cpu};
  if (is_available(DeviceType::CUDA)) {
    devices.push_back({DeviceType::CUDA, 0});
  }
  return devices;
}

}  // namespace warptape
