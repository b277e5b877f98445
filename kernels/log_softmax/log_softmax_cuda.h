#pragma once
#include "core/device/gpu.h"
#include "kernels/common/row_geometry.h"

namespace warptape::cuda {

template <class T>
void log_softmax_forward(gpu::StreamHandle stream, const rows::Extents& extents, const T* x, T* y);

// dx = the gradient, or dx += that.
template <class T>
void log_softmax_backward(gpu::StreamHandle stream, const rows::Extents& extents, const T* dy,
                          const T* y, T* dx, bool add);

}  // namespace warptape::cuda
