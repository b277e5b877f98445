#include "core/device/cuda/launch_cuda.h"

#include "core/device/cuda/check_cuda.h"
#include "core/device/cuda/handles.h"
#include "core/device/gpu/parts.h"

namespace warptape::gpu {

void launch_cuda(const void* kernel, dim3 grid, dim3 block, size_t smem, StreamHandle stream,
                 const char* name, void** arguments) {
  check_stream(stream, name);
  constexpr size_t unasked_limit = 48 << 10;
  if (smem > unasked_limit) {
    check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(smem)),
               name);
  }
  check_cuda(cudaLaunchKernel(kernel, grid, block, arguments, smem, stream), name);
  parts::finish_launch(stream);
}

}  // namespace warptape::gpu
