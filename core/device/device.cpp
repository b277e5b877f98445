#include "core/device/device.h"

#include <array>

#include "core/device/cpu_backend.h"
#include "core/error.h"

namespace warptape {
namespace {

std::array<DeviceBackend*, 2>& backends() {
  static std::array<DeviceBackend*, 2> table{&cpu_backend(), nullptr};
  return table;
}

}  // namespace

std::string to_string(Device device) {
  return device.type == DeviceType::CPU ? "cpu" : fmt::format("cuda:{}", device.index);
}

Device parse_device(const std::string& text) {
  if (text == "cpu") {
    return cpu;
  }
  if (text == "cuda") {
    return {DeviceType::CUDA, 0};
  }
  if (text.size() == 6 && text.compare(0, 5, "cuda:") == 0 && text[5] >= '0' && text[5] <= '9') {
    return {DeviceType::CUDA, text[5] - '0'};
  }
  throw ValueError(fmt::format("[device] got \"{}\", wanted cpu, cuda or cuda:N", text));
}

bool is_available(DeviceType type) {
  return backends()[static_cast<size_t>(type)] != nullptr;
}

DeviceBackend& backend(Device device) {
  DeviceBackend* found = backends()[static_cast<size_t>(device.type)];
  check<DeviceError>(found != nullptr,
                     "[device] {} is not available: this build of Warptape has no CUDA backend",
                     to_string(device));
  return *found;
}

void register_backend(DeviceType type, DeviceBackend& backend) {
  backends()[static_cast<size_t>(type)] = &backend;
}

void throw_no_kernel(const char* op, Device device) {
  throw DeviceError(fmt::format("[{}] has no kernel for device {}", op, to_string(device)));
}

}  // namespace warptape
