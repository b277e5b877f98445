#pragma once
// The CUDA kernels of a binary op: `template struct BinaryCuda<MyFunctor, float>;` in a .cu file
// compiles the forward one, `template struct BinaryGradientCuda<MyGradient, float>;` those of a
// gradient that no other op has, and the same for double.

#include "kernels/pointwise/binary_cuda.h"
#include "kernels/reduce/sums.cuh"

namespace warptape {

template <class Functor>
struct BinaryForward : elementwise::NoPointers {
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T a, T b) const {
    return Functor::forward(a, b);
  }
};

// dy times the derivative, from dy and those operands that it reads.
template <class Gradient>
struct BinaryGradient : elementwise::NoPointers {
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T dy) const {
    return Gradient::gradient(dy, T(0), T(0));
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T dy, T operand) const {
    return Gradient::reads == Reads::Own ? Gradient::gradient(dy, operand, T(0))
                                         : Gradient::gradient(dy, T(0), operand);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T dy, T own, T other) const {
    return Gradient::gradient(dy, own, other);
  }
};

template <class Gradient>
struct GradientSum : reduce::SumInDouble {
  template <class... In>
  static WARPTAPE_HOST_DEVICE double value(In... in) {
    return static_cast<double>(BinaryGradient<Gradient>()(in...));
  }
};

template <class T>
struct GradientStore {
  T* to;
  bool accumulate;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(to);
  }
  WARPTAPE_HOST_DEVICE void operator()(int64_t at, double sum) const {
    to[at] = written(accumulate, to[at], static_cast<Compute<T>>(sum));
  }
};

template <class Functor, class T>
void BinaryCuda<Functor, T>::forward(const char* name, gpu::StreamHandle stream,
                                     const StridedLoop<3>& loop, const T* a, const T* b, T* y) {
  elementwise::run(name, stream, loop, BinaryForward<Functor>{}, false, y,
                   elementwise::Inputs<T, 2>{{a, b}});
}

template <class Gradient, class T>
void BinaryGradientCuda<Gradient, T>::run(const char* name, gpu::StreamHandle stream,
                                          const GradientPlan<inputs>& plan,
                                          const elementwise::Inputs<T, inputs>& in, bool accumulate,
                                          T* to, double* partials) {
  if (plan.sums) {
    reduce::run<GradientSum<Gradient>>(name, stream, plan.reduction, in,
                                       GradientStore<T>{to, accumulate}, partials);
  } else {
    elementwise::run(name, stream, plan.loop, BinaryGradient<Gradient>{}, accumulate, to, in);
  }
}

}  // namespace warptape
