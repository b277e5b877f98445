#pragma once
// Device "cuda" as the rest of Warptape sees it (core/device/device.h).

#include "core/device/device.h"

namespace warptape::gpu {

// nullptr and a sentence in `reason` where this machine has no such device.
DeviceBackend* backend(std::string* reason);

}  // namespace warptape::gpu
