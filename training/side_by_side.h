#pragma once
#include <cstdint>
#include <functional>

#include "core/device/device.h"

namespace warptape {

// Runs task(0), ..., task(count - 1) on so many threads, each with a stream of its own on `device`
// where there are several. The first exception ends it, and is thrown when the others have come to
// an end.
void run_side_by_side(int64_t count, int64_t threads, Device device,
                      const std::function<void(int64_t)>& task);

}  // namespace warptape
