#pragma once
#include "core/device/gpu.h"
#include "core/strided_loop.h"

namespace warptape {

// A comparison's CUDA kernel. Operands of the loop: y, a, b, and one that is not there.
template <class Functor, class T>
struct CompareCuda {
  static void run(const char* name, gpu::StreamHandle stream, const StridedLoop<4>& loop,
                  const T* a, const T* b, uint8_t* y);
};

}  // namespace warptape
