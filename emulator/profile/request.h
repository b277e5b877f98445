#pragma once
// What one warp request costs. Pure functions of its addresses.

#include <array>
#include <cstdint>

#include "emulator/profile/profile.h"

namespace warptape::simt::profile {

// One access of the same width by some lanes of a warp.
struct Request {
  uint32_t lanes = 0;  // bit mask of those that take part
  std::array<uintptr_t, 32> address{};
};

Counts cost(const Request& request, Space space, unsigned bytes_per_lane);

// Bytes from one lane to the next, of the first two neighbours that take part; 0 if there are none.
int64_t lane_stride(const Request& request);

}  // namespace warptape::simt::profile
