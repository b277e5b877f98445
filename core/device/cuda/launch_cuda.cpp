#include "core/device/cuda/launch_cuda.h"

#include <mutex>
#include <unordered_map>

#include "core/device/cuda/check_cuda.h"
#include "core/device/cuda/handles.h"
#include "core/device/gpu/parts.h"

namespace warptape::gpu {

namespace {

// Kernels may use 48 KB of dynamic shared memory unless they ask for more: once per kernel and
// size, as asking is a call of the driver.
void allow_shared_memory(const void* kernel, size_t smem, const char* name) {
  static std::mutex mutex;
  static auto* allowed = new std::unordered_map<const void*, size_t>;
  const std::lock_guard lock(mutex);
  size_t& most = (*allowed)[kernel];
  if (smem > most) {
    check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(smem)),
               name);
    most = smem;
  }
}

}  // namespace

void launch_cuda(const void* kernel, dim3 grid, dim3 block, size_t smem, StreamHandle stream,
                 const char* name, void** arguments) {
  check_stream(stream, name);
  constexpr size_t unasked_limit = 48 << 10;
  if (smem > unasked_limit) {
    allow_shared_memory(kernel, smem, name);
  }
  check_cuda(cudaLaunchKernel(kernel, grid, block, arguments, smem, stream), name);
  parts::finish_launch(stream);
}

}  // namespace warptape::gpu
