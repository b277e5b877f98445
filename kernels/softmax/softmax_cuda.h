#pragma once
#include "core/device/gpu.h"
#include "kernels/rows/row_geometry.h"

namespace warptape {

inline constexpr int64_t softmax_state_bytes = 16;

// The CUDA kernels of a softmax-like op (softmax_op.h); dx is written, or added to. plan: for the
// inputs and the output (rows::plan_of). states: workspace of softmax_state_bytes for each of
// plan.states().
template <class Functor, class T>
struct SoftmaxCuda {
  static void forward(const char* name, gpu::StreamHandle stream, const rows::Plan& plan,
                      const T* x, T* y, void* states);
  static void backward(const char* name, gpu::StreamHandle stream, const rows::Plan& plan,
                       const T* dy, const T* y, bool accumulate, T* dx, void* states);
};

}  // namespace warptape
