#pragma once
#include "core/device/gpu.h"
#include "core/element_types.h"
#include "kernels/reduce/reduce_plan.h"

namespace warptape::on_cuda {

// y = scale * sum of x; partials: plan.partials elements of workspace.
template <class T>
void sum_forward(const char* name, gpu::StreamHandle stream, const ReducePlan<1>& plan, const T* x,
                 double scale, T* y, double* partials);

// The same sum, not rounded to T.
template <class T>
void sum_in_compute(const char* name, gpu::StreamHandle stream, const ReducePlan<1>& plan,
                    const T* x, Compute<T>* y, double* partials);

// dx = scale * dy, or dx += that. Operands of the loop: dx, dy.
template <class T>
void sum_backward(const char* name, gpu::StreamHandle stream, const StridedLoop<2>& loop,
                  const T* dy, double scale, bool accumulate, T* dx);

}  // namespace warptape::on_cuda
