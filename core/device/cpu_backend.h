#pragma once
#include "core/device/device.h"

namespace warptape {

DeviceBackend& cpu_backend();

}  // namespace warptape
