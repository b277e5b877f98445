#pragma once
#include "core/device/gpu.h"
#include "kernels/pool/pool_windows.h"

namespace warptape::on_cuda {

// As max_pool2d_forward_cpu; indices, uint8_t or int64_t, may be nullptr. by_rows: y is row-major.
template <class T, class Index>
void max_pool2d_forward(gpu::StreamHandle stream, const PoolGeometry& geometry, bool with_relu,
                        bool by_rows, const T* x, T* y, Index* indices);

// by_rows: dy is row-major, and the windows are adjacent.
template <class T, class Index>
void max_pool2d_backward(gpu::StreamHandle stream, const PoolGeometry& geometry, bool by_rows,
                         const T* dy, const Index* indices, T* dx);

// The same of adjacent windows, with the sums of dx over all but channels. T: float or bfloat16.
// partials: as many numbers as the first function says, 0 where there is no such kernel.
template <class T>
int64_t max_pool2d_partial_sums(const PoolGeometry& geometry, bool by_rows, const T* dy,
                                const T* dx);
template <class T>
void max_pool2d_backward_summed(gpu::StreamHandle stream, const PoolGeometry& geometry,
                                bool by_rows, const T* dy, const uint8_t* indices, T* dx,
                                float* sums, double* partials);

}  // namespace warptape::on_cuda
