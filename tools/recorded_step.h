#pragma once
#include <functional>

#include "core/device/device.h"

namespace warptape::tools {

// On "cuda" a function that queues `work` as one graph and waits for it; elsewhere `work`. What it
// names has to live as long.
std::function<void()> recorded_step(Device device, const std::function<void()>& work);
std::function<void()> recorded_step_cuda(const std::function<void()>& work);

}  // namespace warptape::tools
