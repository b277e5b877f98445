// What there is of GPUs, and why there is none.

#include "core/device/cuda/check_cuda.h"

#include <fmt/format.h>
#include "core/device/gpu.h"
#include "core/error.h"

namespace warptape::gpu {
namespace {

std::string version(int number) {
  return fmt::format("{}.{}", number / 1000, number % 1000 / 10);
}

}  // namespace

bool is_emulated() {
  return false;
}

int device_count(std::string* reason) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) {
    return count;
  }
  cudaGetLastError();
  int driver = 0;
  cudaDriverGetVersion(&driver);  // 0 where there is none
  if (reason != nullptr) {
    if (driver == 0) {
      *reason = "no CUDA driver is installed";
    } else if (status == cudaErrorInsufficientDriver) {
      *reason = fmt::format("the CUDA driver is too old: it serves CUDA {}, this build needs {}",
                            version(driver), version(CUDART_VERSION));
    } else if (status == cudaErrorNoDevice || status == cudaSuccess) {
      *reason = "the CUDA driver finds no GPU";
    } else {
      *reason = fmt::format("{}: {}", cudaGetErrorName(status), cudaGetErrorString(status));
    }
  }
  return 0;
}

Properties properties() {
  cudaDeviceProp found{};
  check_cuda(cudaGetDeviceProperties(&found, 0), "properties");
  int runtime = 0;
  int driver = 0;
  check_cuda(cudaRuntimeGetVersion(&runtime), "properties");
  check_cuda(cudaDriverGetVersion(&driver), "properties");
  Properties result;
  result.name = found.name;
  result.compute_capability = found.major * 10 + found.minor;
  result.multiprocessors = found.multiProcessorCount;
  result.memory_bytes = found.totalGlobalMem;
  result.l2_bytes = static_cast<size_t>(found.l2CacheSize);
  result.versions = fmt::format("runtime {}, driver {}", version(runtime), version(driver));
  return result;
}

}  // namespace warptape::gpu
