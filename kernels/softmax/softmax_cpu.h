#pragma once
// The loops of softmax-like ops: `template struct SoftmaxCpu<MyFunctor>;` in my_op_cpu.cpp compiles
// them.

#include <algorithm>
#include <limits>

#include "kernels/softmax/softmax_op.h"

namespace warptape {

template <class Functor>
void SoftmaxCpu<Functor>::forward(const Tensor& x, int dim, Tensor& y) {
  const AlongDim layout = along_dim(x, dim);
  dispatch_floating(x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.mutable_data<T>();
    parallel_rows(layout, [&](int64_t start) {
      const auto at = [&](int64_t i) { return start + i * layout.stride; };
      T largest = -std::numeric_limits<T>::infinity();
      for (int64_t i = 0; i < layout.length; ++i) {
        largest = std::max(largest, from[at(i)]);
      }
      double total = 0;
      for (int64_t i = 0; i < layout.length; ++i) {
        to[at(i)] = Functor::kept(from[at(i)] - largest);
        total += Functor::exponential(to[at(i)]);
      }
      const T factor = Functor::template factor<T>(total);
      for (int64_t i = 0; i < layout.length; ++i) {
        to[at(i)] = Functor::value(to[at(i)], factor);
      }
    });
  });
}

template <class Functor>
void SoftmaxCpu<Functor>::backward(const Tensor& dy, const Tensor& y, int dim, GradientTarget dx) {
  const AlongDim layout = along_dim(y, dim);
  dispatch_floating(y.dtype(), [&]<class T>() {
    const T* gradient = dy.data<T>();
    const T* output = y.data<T>();
    T* to = dx.buffer.mutable_data<T>();
    const bool accumulate = dx.mode == WriteMode::Accumulate;
    parallel_rows(layout, [&](int64_t start) {
      const auto at = [&](int64_t i) { return start + i * layout.stride; };
      double sum = 0;
      for (int64_t i = 0; i < layout.length; ++i) {
        sum += Functor::term(gradient[at(i)], output[at(i)]);
      }
      for (int64_t i = 0; i < layout.length; ++i) {
        const T value = Functor::gradient(gradient[at(i)], output[at(i)], static_cast<T>(sum));
        to[at(i)] = accumulate ? to[at(i)] + value : value;
      }
    });
  });
}

}  // namespace warptape
