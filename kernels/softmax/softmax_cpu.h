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
    using C = Compute<T>;
    constexpr bool is_kept_in_output = std::is_same_v<C, T>;  // else it is made twice
    const T* from = x.data<T>();
    T* to = y.mutable_data<T>();
    parallel_rows(layout, [&](int64_t start) {
      const auto at = [&](int64_t i) { return start + i * layout.stride; };
      C largest = -std::numeric_limits<C>::infinity();
      for (int64_t i = 0; i < layout.length; ++i) {
        largest = std::max<C>(largest, from[at(i)]);
      }
      double total = 0;
      for (int64_t i = 0; i < layout.length; ++i) {
        const C kept = Functor::kept(from[at(i)] - largest);
        if constexpr (is_kept_in_output) {
          to[at(i)] = kept;
        }
        total += Functor::exponential(kept);
      }
      const C factor = Functor::template factor<C>(total);
      for (int64_t i = 0; i < layout.length; ++i) {
        if constexpr (is_kept_in_output) {
          to[at(i)] = Functor::value(to[at(i)], factor);
        } else {
          to[at(i)] = static_cast<T>(Functor::value(Functor::kept(from[at(i)] - largest), factor));
        }
      }
    });
  });
}

template <class Functor>
void SoftmaxCpu<Functor>::backward(const Tensor& dy, const Tensor& y, int dim, GradientTarget dx) {
  const AlongDim layout = along_dim(y, dim);
  dispatch_floating(y.dtype(), [&]<class T>() {
    using C = Compute<T>;
    const T* gradient = dy.data<T>();
    const T* output = y.data<T>();
    T* to = dx.buffer.mutable_data<T>();
    const bool accumulate = dx.mode == WriteMode::Accumulate;
    parallel_rows(layout, [&](int64_t start) {
      const auto at = [&](int64_t i) { return start + i * layout.stride; };
      double sum = 0;
      for (int64_t i = 0; i < layout.length; ++i) {
        sum += Functor::term(C{gradient[at(i)]}, C{output[at(i)]});
      }
      for (int64_t i = 0; i < layout.length; ++i) {
        const C value =
            Functor::gradient(C{gradient[at(i)]}, C{output[at(i)]}, static_cast<C>(sum));
        to[at(i)] = written(accumulate, to[at(i)], value);
      }
    });
  });
}

}  // namespace warptape
