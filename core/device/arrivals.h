#pragma once
// Counters on the device "cuda" for kernels whose last block finishes what all have begun
// (core/simt/arrive.cuh): part of the seam of core/device/gpu.h.

#include "core/device/gpu.h"

namespace warptape::gpu {

inline constexpr int64_t most_arrival_counters = 1024;
inline constexpr int most_counting_streams = 8;  // of a capture

// `count` counters, which are 0. Each launch that uses them leaves them so, and the launches of a
// stream share them. Inside a capture they are the graph's own, another set for each of its
// streams, so that graphs may be replayed side by side. DeviceError where more counters or streams
// of a capture ask than the numbers above.
unsigned long long* arrival_counters(StreamHandle stream, int64_t count);

}  // namespace warptape::gpu
