#pragma once
#include "core/device/gpu.h"
#include "kernels/common/row_geometry.h"

namespace warptape {

// The CUDA kernels of a softmax-like op (softmax_op.h); dx is written, or added to.
template <class Functor, class T>
struct SoftmaxCuda {
  static void forward(const char* name, gpu::StreamHandle stream, const rows::Extents& extents,
                      const T* x, T* y);
  static void backward(const char* name, gpu::StreamHandle stream, const rows::Extents& extents,
                       const T* dy, const T* y, bool accumulate, T* dx);
};

}  // namespace warptape
