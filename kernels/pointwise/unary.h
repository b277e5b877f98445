#pragma once
// Ops of one tensor, element by element. Such an op is a functor with
//   static T forward(T x)                   the function
//   static T gradient(T dy, T saved)        dy times its derivative
// and a choice of what backward needs: its input or its output. unary_op<Functor>() is the whole
// op; a .cpp file instantiates UnaryCpu<Functor> (unary_cpu.h), a .cu file UnaryCuda<Functor, T>
// (unary.cuh).

#include "core/device/on_device.h"
#include "core/tape.h"
#include "kernels/pointwise/unary_cuda.h"

namespace warptape {

enum class Saves { Input, Output };

// The kernels on the CPU. `saved` has the format of y.
template <class Functor>
struct UnaryCpu {
  static void forward(const Tensor& x, Tensor& y);
  static void backward(const Tensor& dy, const Tensor& saved, GradientTarget dx);
};

// An op's kernels, whatever the device.
struct UnaryKernels {
  void (*forward)(const char* name, const Tensor& x, Tensor& y);
  void (*backward)(const char* name, const Tensor& dy, const Tensor& saved, GradientTarget dx);
};

// Checks, allocates, runs and records. The output has the shape and the format of x.
Tensor unary_op(const char* name, const Operand& x, Saves saves, const UnaryKernels& kernels);

template <class Functor>
void unary_forward(const char* name, const Tensor& x, Tensor& y) {
  on_device(
      name, x.device(), [&] { UnaryCpu<Functor>::forward(x, y); },
      [&] {
        dispatch_floating(x.dtype(), [&]<class T>() {
          UnaryCuda<Functor, T>::forward(name, gpu::current_stream(), x.numel(), x.data<T>(),
                                         y.mutable_data<T>());
        });
      });
}

template <class Functor>
void unary_backward(const char* name, const Tensor& dy, const Tensor& saved, GradientTarget dx) {
  on_device(
      name, dy.device(), [&] { UnaryCpu<Functor>::backward(dy, saved, dx); },
      [&] {
        dispatch_floating(dy.dtype(), [&]<class T>() {
          UnaryCuda<Functor, T>::backward(name, gpu::current_stream(), dy.numel(), dy.data<T>(),
                                          saved.data<T>(), dx.mode == WriteMode::Accumulate,
                                          dx.buffer.mutable_data<T>());
        });
      });
}

template <class Functor>
Tensor unary_op(const char* name, const Operand& x, Saves saves) {
  return unary_op(name, x, saves, {unary_forward<Functor>, unary_backward<Functor>});
}

}  // namespace warptape
