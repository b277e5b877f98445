#pragma once
// Ops of one tensor, element by element. Such an op is a functor with
//   static T forward(T x)                   the function
//   static T gradient(T dy, T saved)        dy times its derivative
// and a choice of what backward needs: its input or its output.

#include "core/parallel.h"
#include "core/tape.h"

namespace warptape {

enum class Saves { Input, Output };

// An op's kernels on the CPU. `saved` has the format of y.
struct UnaryKernels {
  void (*forward)(const Tensor& x, Tensor& y);
  void (*backward)(const Tensor& dy, const Tensor& saved, GradientTarget dx);
  Saves saves;
};

// Checks, allocates, runs and records. The output has the shape and the format of x.
Tensor unary_op(const char* name, const Operand& x, const UnaryKernels& cpu_kernels);

template <class Functor>
void unary_forward_cpu(const Tensor& x, Tensor& y) {
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
void unary_backward_cpu(const Tensor& dy, const Tensor& saved, GradientTarget dx) {
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
