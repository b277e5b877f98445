#include "core/device/device.h"

#include <fmt/format.h>

#include "core/device/cpu_backend.h"
#include "core/device/has_gpu.h"
#include "core/device/on_device.h"
#include "core/error.h"
#if WARPTAPE_HAS_GPU
#include "core/device/gpu/backend.h"
#endif

namespace warptape {
namespace {

// nullptr and a sentence in `reason` where there is no such device.
DeviceBackend* find_backend(Device device, std::string* reason) {
  if (device.type == DeviceType::CPU) {
    return &cpu_backend();
  }
#if WARPTAPE_HAS_GPU
  DeviceBackend* found = gpu::backend(reason);
  if (found != nullptr && device.index != 0) {
    *reason = "Warptape drives one GPU, cuda:0";
    return nullptr;
  }
  return found;
#else
  *reason = "this build of Warptape has no device cuda (WARPTAPE_GPU=off)";
  return nullptr;
#endif
}

}  // namespace

std::string to_string(Device device) {
  if (device.index == 0) {  // all that there are: checks name devices before they know of a fault
    return device.type == DeviceType::CPU ? "cpu" : "cuda:0";
  }
  return (device.type == DeviceType::CPU ? "cpu:" : "cuda:") + std::to_string(device.index);
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
  throw ValueError(fmt::format("[device] got \"{}\", wanted cpu, cuda or cuda:N", escaped(text)));
}

bool is_available(DeviceType type) {
  std::string reason;
  return find_backend({type, 0}, &reason) != nullptr;
}

DeviceBackend& backend(Device device) {
  std::string reason;
  DeviceBackend* found = find_backend(device, &reason);
  if (found == nullptr) [[unlikely]] {  // before the message is made: every op asks
    throw DeviceError(fmt::format("[device] {} is not available: {}", to_string(device), reason));
  }
  return *found;
}

void throw_no_kernel(const char* op, Device device) {
  throw DeviceError(fmt::format("[{}] has no kernel for device {}", op, to_string(device)));
}

}  // namespace warptape
