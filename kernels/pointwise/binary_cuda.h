#pragma once
#include "core/device/gpu.h"
#include "core/elementwise_places.h"
#include "kernels/pointwise/operands_read.h"
#include "kernels/reduce/reduce_plan.h"

namespace warptape {

// The gradient of one operand of a binary op, from N inputs: dy and what it reads of its own
// operand and the other one. Element by element, or, where its own was broadcast, summed.
template <int N>
struct GradientPlan {
  bool sums = false;
  StridedLoop<N + 1> loop;  // unless it sums: the gradient, then the inputs
  ReducePlan<N> reduction;  // if it sums
};

// A binary op's CUDA kernel.
template <class Functor, class T>
struct BinaryCuda {
  // Operands of the loop: y, a, b.
  static void forward(const char* name, gpu::StreamHandle stream, const StridedLoop<3>& loop,
                      const T* a, const T* b, T* y);
};

// The CUDA kernels of a gradient of binary ops.
template <class Gradient, class T>
struct BinaryGradientCuda {
  static constexpr int inputs = 1 + count(Gradient::reads);

  // `to` is written, or added to; partials: plan.reduction.partials elements of workspace.
  static void run(const char* name, gpu::StreamHandle stream, const GradientPlan<inputs>& plan,
                  const elementwise::Inputs<T, inputs>& in, bool accumulate, T* to,
                  double* partials);
};

}  // namespace warptape
