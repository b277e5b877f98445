#pragma once
#include "core/device/gpu.h"
#include "core/elementwise_places.h"
#include "kernels/pointwise/operands_read.h"
#include "kernels/reduce/reduce_plan.h"

namespace warptape {

// The gradient of one operand of a binary op, from N inputs: dy and what of a and b it reads.
// Element by element, or, where that operand was broadcast, summed.
template <int N>
struct GradientPlan {
  bool sums = false;
  StridedLoop<N + 1> loop;  // unless it sums: the gradient, then the inputs
  ReducePlan<N> reduction;  // if it sums
};

// A binary op's CUDA kernels.
template <class Functor, class T>
struct BinaryCuda {
  static constexpr int inputs_a = 1 + count(Functor::gradient_a_reads);
  static constexpr int inputs_b = 1 + count(Functor::gradient_b_reads);

  // Operands of the loop: y, a, b.
  static void forward(const char* name, gpu::StreamHandle stream, const StridedLoop<3>& loop,
                      const T* a, const T* b, T* y);
  // `to` is written, or added to; partials: plan.reduction.partials elements of workspace.
  static void backward_a(const char* name, gpu::StreamHandle stream,
                         const GradientPlan<inputs_a>& plan,
                         const elementwise::Inputs<T, inputs_a>& in, bool accumulate, T* to,
                         double* partials);
  static void backward_b(const char* name, gpu::StreamHandle stream,
                         const GradientPlan<inputs_b>& plan,
                         const elementwise::Inputs<T, inputs_b>& in, bool accumulate, T* to,
                         double* partials);
};

}  // namespace warptape
