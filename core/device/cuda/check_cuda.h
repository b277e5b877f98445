#pragma once
// Every call of the CUDA runtime is checked. Internal to the CUDA half of the seam.

#include <cuda_runtime.h>

namespace warptape::gpu {

// Throws DeviceError "[who] cudaErrorName: what it means". A fault of queued work may surface at
// any later call.
void check_cuda(cudaError_t status, const char* who);

}  // namespace warptape::gpu
