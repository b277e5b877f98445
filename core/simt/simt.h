#pragma once
// The vocabulary of kernel authors: the one header that every kernel includes. Under nvcc it is
// plain CUDA; where WARPTAPE_SIMT is defined, the same words run on the host engine. Kernels keep
// CUDA's own words (__global__, threadIdx, __syncthreads, __shfl_xor_sync, atomicAdd on integers,
// float4, ...). Named here are only
//   WARPTAPE_SHARED(type, name, [n][m])     shared memory: `type name[n][m]`, 16-byte aligned
//   simt::dynamic_shared<T>()               the launch's dynamic shared memory, 16-byte aligned
//   simt::Pack<T, N>, simt::load16/store16  accesses of 16 bytes (memory.h)
//   simt::cp_async16, cp_async_commit, cp_async_wait<N>   asynchronous copies to shared memory
//   simt::ldmatrix_x4(_trans), simt::mma_m16n8k16, simt::mma_m16n8k8_tf32   tensor cores
//                                           (tensor_core.h)
//   simt::bfloat16                          storage type, arithmetic is float's (bfloat16.h)
// and launch() in core/device/launch.h. Select by WARPTAPE_SIMT, never by __CUDACC__: .cpp files of
// a CUDA build see neither.

#include "core/simt/build.h"

#ifdef WARPTAPE_SIMT
#include "emulator/engine/atomics_host.h"
#include "emulator/engine/vocabulary_host.h"

#define WARPTAPE_SHARED(type, name, ...)                                      \
  static const char name##_key = 0;                                           \
  auto& name = *static_cast<warptape::simt::engine::Type<type __VA_ARGS__>*>( \
      warptape::simt::engine::shared_variable(&name##_key, sizeof(type __VA_ARGS__)))

namespace warptape::simt {
namespace engine {
template <class T>
using Type = T;
}
template <class T>
T* dynamic_shared() {
  return static_cast<T*>(engine::dynamic_shared_memory());
}
}  // namespace warptape::simt
#else
#include "core/simt/vocabulary_cuda.h"
#endif

#include "core/simt/bfloat16.h"
#include "core/simt/memory.h"
#include "core/simt/tensor_core.h"
