#pragma once
// The loops of a unary op: `template struct UnaryCpu<MyFunctor>;` in my_op_cpu.cpp compiles them.

#include "core/parallel.h"
#include "kernels/pointwise/unary.h"

namespace warptape {

template <class Functor>
void UnaryCpu<Functor>::forward(const Tensor& x, Tensor& y) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.mutable_data<T>();
    parallel_for(x.numel(), default_grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        to[i] = Functor::forward(from[i]);
      }
    });
  });
}

template <class Functor>
void UnaryCpu<Functor>::backward(const Tensor& dy, const Tensor& saved, GradientTarget dx) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* gradient = dy.data<T>();
    const T* value = saved.data<T>();
    T* to = dx.buffer.mutable_data<T>();
    const bool accumulate = dx.mode == WriteMode::Accumulate;
    parallel_for(dy.numel(), default_grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T result = Functor::gradient(gradient[i], value[i]);
        to[i] = accumulate ? to[i] + result : result;
      }
    });
  });
}

}  // namespace warptape
