#pragma once
#include "core/device/gpu.h"
#include "core/element_types.h"
#include "kernels/reduce/reduce_plan.h"

namespace warptape::on_cuda {

// y = the largest of x; partials: plan.partials elements of workspace.
template <class T>
void max_forward(gpu::StreamHandle stream, const ReducePlan<1>& plan, const T* x, T* y,
                 Compute<T>* partials);

// share = dy / (number of x equal to y). Inputs of the plan: x, y.
template <class T>
void max_shares(gpu::StreamHandle stream, const ReducePlan<2>& plan, const T* x, const T* y,
                const T* dy, T* share, int64_t* partials);

// dx = share where x equals y, else 0; or dx += that. Operands of the loop: dx, x, y, share.
template <class T>
void max_backward(gpu::StreamHandle stream, const StridedLoop<4>& loop, const T* x, const T* y,
                  const T* share, bool accumulate, T* dx);

}  // namespace warptape::on_cuda
