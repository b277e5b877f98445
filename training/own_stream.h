#pragma once
#include <functional>

#include "core/device/device.h"

namespace warptape {

// Runs work whose ops on `device` queue on a stream of its own, where that device has streams: so
// threads feed one GPU beside each other. Waits for what was queued before, and for the work.
void on_own_stream(Device device, const std::function<void()>& work);
void on_own_stream_cuda(const std::function<void()>& work);

}  // namespace warptape
