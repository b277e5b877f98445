#include "core/device/cuda/check_cuda.h"

#include <fmt/format.h>

#include "core/error.h"

namespace warptape::gpu {

void check_cuda(cudaError_t status, const char* who) {
  if (status != cudaSuccess) [[unlikely]] {
    cudaGetLastError();  // else a later check would find this error again; faults stick all the
                         // same
    throw DeviceError(
        fmt::format("[{}] {}: {}", who, cudaGetErrorName(status), cudaGetErrorString(status)));
  }
}

}  // namespace warptape::gpu
