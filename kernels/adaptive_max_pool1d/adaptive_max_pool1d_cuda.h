#pragma once
#include "core/device/gpu.h"
#include "kernels/pool/adaptive_windows.h"

namespace warptape::on_cuda {

template <class T>
void adaptive_max_pool1d_forward(gpu::StreamHandle stream, const AdaptiveWindows& windows,
                                 int64_t batch, int64_t channels, const T* x, T* y,
                                 int64_t* indices);

template <class T>
void adaptive_max_pool1d_backward(gpu::StreamHandle stream, const AdaptiveWindows& windows,
                                  int64_t batch, int64_t channels, const T* dy,
                                  const int64_t* indices, T* dx);

}  // namespace warptape::on_cuda
