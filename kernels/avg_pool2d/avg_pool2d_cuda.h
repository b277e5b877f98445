#pragma once
#include "core/device/gpu.h"
#include "kernels/pool/pool_windows.h"

namespace warptape::on_cuda {

template <class T>
void avg_pool2d_forward(gpu::StreamHandle stream, const PoolGeometry& geometry,
                        bool count_include_pad, const T* x, T* y);

template <class T>
void avg_pool2d_backward(gpu::StreamHandle stream, const PoolGeometry& geometry,
                         bool count_include_pad, const T* dy, T* dx);

}  // namespace warptape::on_cuda
