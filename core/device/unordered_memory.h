#pragma once
// Memory on the device "cuda" that belongs to no stream: part of the seam of core/device/gpu.h.

#include <cstddef>

namespace warptape::gpu {

// Aligned to 256 bytes; nullptr when there is none left. Possible during capture, of whose work it
// is no part. Who frees it waits for all work of the device first.
void* allocate_unordered(size_t bytes);
void deallocate_unordered(void* pointer) noexcept;

}  // namespace warptape::gpu
