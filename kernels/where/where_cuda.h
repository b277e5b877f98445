#pragma once
#include "core/device/gpu.h"
#include "core/strided_loop.h"

namespace warptape::on_cuda {

// As where_kernels.h has them.
template <class T>
void where(gpu::StreamHandle stream, const StridedLoop<4>& loop, const uint8_t* condition,
           const T* a, const T* b, T* y);
template <class T>
void where_gradient(gpu::StreamHandle stream, const StridedLoop<4>& loop, bool taken,
                    const uint8_t* condition, const T* dy, bool accumulate, T* to);

}  // namespace warptape::on_cuda
