#pragma once
// What launch() of core/device/launch.h calls in a CUDA build.

#include <cuda_runtime.h>

#include "core/device/gpu.h"

namespace warptape::gpu {

// Launches with the addresses of the kernel's arguments, raising its limit of dynamic shared memory
// where it needs more than 48 KB. Throws DeviceError, naming the kernel, if the launch is refused;
// with WARPTAPE_SYNC=1 it waits and raises the kernel's own faults too.
void launch_cuda(const void* kernel, dim3 grid, dim3 block, size_t smem, StreamHandle stream,
                 const char* name, void** arguments);

}  // namespace warptape::gpu
