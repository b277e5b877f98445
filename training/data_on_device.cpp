#include "training/data_on_device.h"

#include "core/device/gpu.h"
#include "core/device/on_device.h"

namespace warptape {

// Data is kept on a GPU where it takes at most this part of its memory.
constexpr size_t share_for_data = 4;

bool fits_on_device(Device device, int64_t bytes) {
  if constexpr (has_gpu) {
    return device != cpu &&
           bytes <= static_cast<int64_t>(gpu::properties().memory_bytes / share_for_data);
  }
  return false;
}

std::optional<bool> keeps_on_device(std::optional<bool> asked, Device device, int64_t bytes) {
  if (device == cpu) {
    return std::nullopt;
  }
  return asked.value_or(fits_on_device(device, bytes));
}

}  // namespace warptape
