#pragma once
// The CUDA kernels of a binary op: `template struct BinaryCuda<MyFunctor, float>;` in a .cu file,
// and the same for double, compiles them.

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

// dy times the derivative by one side, from dy and those operands that it reads.
template <class Functor, Side side>
struct BinaryGradient : elementwise::NoPointers {
  static constexpr Reads reads =
      side == Side::A ? Functor::gradient_a_reads : Functor::gradient_b_reads;

  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T dy) const {
    return gradient(dy, T(0), T(0));
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T dy, T operand) const {
    return reads == Reads::A ? gradient(dy, operand, T(0)) : gradient(dy, T(0), operand);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T dy, T a, T b) const {
    return gradient(dy, a, b);
  }

 private:
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient(T dy, T a, T b) {
    return side == Side::A ? Functor::gradient_a(dy, a, b) : Functor::gradient_b(dy, a, b);
  }
};

template <class Gradient>
struct GradientSum : reduce::SumInDouble {
  template <class... In>
  static WARPTAPE_HOST_DEVICE double value(In... in) {
    return static_cast<double>(Gradient()(in...));
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

template <class Gradient, class T, int N>
void binary_backward(const char* name, gpu::StreamHandle stream, const GradientPlan<N>& plan,
                     const elementwise::Inputs<T, N>& in, bool accumulate, T* to,
                     double* partials) {
  if (plan.sums) {
    reduce::run<GradientSum<Gradient>>(name, stream, plan.reduction, in,
                                       GradientStore<T>{to, accumulate}, partials);
  } else {
    elementwise::run(name, stream, plan.loop, Gradient{}, accumulate, to, in);
  }
}

template <class Functor, class T>
void BinaryCuda<Functor, T>::backward_a(const char* name, gpu::StreamHandle stream,
                                        const GradientPlan<inputs_a>& plan,
                                        const elementwise::Inputs<T, inputs_a>& in, bool accumulate,
                                        T* to, double* partials) {
  binary_backward<BinaryGradient<Functor, Side::A>>(name, stream, plan, in, accumulate, to,
                                                    partials);
}

template <class Functor, class T>
void BinaryCuda<Functor, T>::backward_b(const char* name, gpu::StreamHandle stream,
                                        const GradientPlan<inputs_b>& plan,
                                        const elementwise::Inputs<T, inputs_b>& in, bool accumulate,
                                        T* to, double* partials) {
  binary_backward<BinaryGradient<Functor, Side::B>>(name, stream, plan, in, accumulate, to,
                                                    partials);
}

}  // namespace warptape
