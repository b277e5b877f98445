#pragma once
#include "core/device/gpu.h"
#include "core/tape.h"

namespace mine {

void softsign_forward_cuda(const warptape::Tensor& x, warptape::Tensor& y);
void softsign_backward_cuda(const warptape::Tensor& dy, const warptape::Tensor& x,
                            warptape::GradientTarget to);

template <class T>
void launch_forward(warptape::gpu::StreamHandle stream, int64_t count, const T* x, T* y);
template <class T>
void launch_backward(warptape::gpu::StreamHandle stream, int64_t count, const T* dy, const T* x,
                     bool add, T* dx);

}  // namespace mine
