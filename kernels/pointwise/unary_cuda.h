#pragma once
#include "core/device/gpu.h"

namespace warptape {

// A unary op's CUDA kernels over n contiguous elements; dx is written, or added to.
template <class Functor, class T>
struct UnaryCuda {
  static void forward(const char* name, gpu::StreamHandle stream, const Functor& functor, int64_t n,
                      const T* x, T* y);
  static void backward(const char* name, gpu::StreamHandle stream, const Functor& functor,
                       int64_t n, const T* dy, const T* saved, bool accumulate, T* dx);
};

}  // namespace warptape
