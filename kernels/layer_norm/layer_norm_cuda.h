#pragma once
#include "core/device/gpu.h"
#include "kernels/normalize/arithmetic.h"
#include "kernels/rows/row_geometry.h"

namespace warptape::on_cuda {

// Of one chunk of a row.
inline constexpr int64_t layer_norm_state_bytes = sizeof(normalize::Sums);

// states: device memory for plan.states() of them. weight, bias: nullptr for none.
template <class T>
void layer_norm_forward(gpu::StreamHandle stream, const rows::Plan& plan, const T* x,
                        const Compute<T>* weight, const Compute<T>* bias, double eps, T* y,
                        normalize::Statistics* statistics, void* states);

template <class T>
void layer_norm_backward(gpu::StreamHandle stream, const rows::Plan& plan, const T* dy, const T* x,
                         const normalize::Statistics* statistics, const Compute<T>* weight,
                         bool add, T* dx, void* states);

}  // namespace warptape::on_cuda
