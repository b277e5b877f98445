#pragma once
#include "core/device/gpu.h"
#include "kernels/reduce/reduce_plan.h"

namespace warptape::on_cuda {

// loss = scale * sum of (input - target)^2; partials: plan.partials elements of workspace.
template <class T>
void mse_loss_forward(gpu::StreamHandle stream, const ReducePlan<2>& plan, const T* input,
                      const T* target, double scale, T* loss, double* partials);

// to = scale * dy * 2 * (input - target), or to += that; n elements, dy is one.
template <class T>
void mse_loss_backward(gpu::StreamHandle stream, int64_t n, const T* dy, const T* input,
                       const T* target, double scale, bool accumulate, T* to);

}  // namespace warptape::on_cuda
