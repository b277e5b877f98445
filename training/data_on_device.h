#pragma once
#include <cstdint>
#include <optional>

#include "core/device/device.h"

namespace warptape {

// Whether so much data may be kept on this GPU: a quarter of its memory at most. Never on the CPU,
// where it is anyway.
bool fits_on_device(Device device, int64_t bytes);

// What a recipe's data_on_device becomes: nothing on the CPU, else as asked for or as it fits.
std::optional<bool> keeps_on_device(std::optional<bool> asked, Device device, int64_t bytes);

}  // namespace warptape
