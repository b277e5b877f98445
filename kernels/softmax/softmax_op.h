#pragma once
// Softmax and its logarithm: ops of a row and of the sum of its exponentials, whose gradient needs
// their output. Such an op is a functor with
//   static T kept(T x)                      of x minus the row's largest element
//   static T exponential(T kept)            exp(x) again
//   static T factor(double total)           what the op needs of the sum of the exponentials
//   static T value(T kept, T factor)        y
//   static double term(T dy, T y)           what gradient needs the sum of
//   static T gradient(T dy, T y, T sum)     dx
// softmax_op<Functor>() is the whole op, given its gradient as ops; a .cpp file instantiates
// SoftmaxCpu<Functor> (softmax_cpu.h), a .cu file SoftmaxCuda<Functor, T> (softmax_op.cuh).

#include "core/device/on_device.h"
#include "core/tape.h"
#include "kernels/rows/along_dim.h"
#include "kernels/softmax/softmax_cuda.h"

namespace warptape {

template <class Functor>
struct SoftmaxCpu {
  static void forward(const Tensor& x, int dim, Tensor& y);
  static void backward(const Tensor& dy, const Tensor& y, int dim, GradientTarget dx);
};

// An op's kernels, whatever the device.
struct SoftmaxKernels {
  void (*forward)(const char* name, const Tensor& x, int dim, Tensor& y);
  void (*backward)(const char* name, const Tensor& dy, const Tensor& y, int dim, GradientTarget dx);
  // backward as ops; dims: the op's one, or none of a scalar
  Tensor (*recorded)(const Operand& dy, const Operand& y, const std::vector<int>& dims);
};

// Checks, allocates, runs and records. The output has the shape and the format of x.
Tensor softmax_op(const char* name, const Operand& x, int dim, const SoftmaxKernels& kernels);

// Workspace for the states of chunks.
inline Tensor softmax_states(const rows::Plan& plan, Device device) {
  return Tensor::empty({plan.states() * softmax_state_bytes}, uint8, device);
}

template <class Functor>
void softmax_forward(const char* name, const Tensor& x, int dim, Tensor& y) {
  on_device(
      name, x.device(), [&] { SoftmaxCpu<Functor>::forward(x, dim, y); },
      [&] {
        dispatch_floating(x.dtype(), [&]<class T>() {
          T* const to = y.mutable_data<T>();
          const rows::Plan plan = rows::plan_of<T>(extents_along(x, dim), {x.data<T>(), to});
          Tensor states = softmax_states(plan, x.device());
          SoftmaxCuda<Functor, T>::forward(name, gpu::current_stream(), plan, x.data<T>(), to,
                                           states.mutable_data<uint8_t>());
        });
      });
}

template <class Functor>
void softmax_backward(const char* name, const Tensor& dy, const Tensor& y, int dim,
                      GradientTarget dx) {
  on_device(
      name, dy.device(), [&] { SoftmaxCpu<Functor>::backward(dy, y, dim, dx); },
      [&] {
        dispatch_floating(y.dtype(), [&]<class T>() {
          T* const to = dx.buffer.mutable_data<T>();
          const rows::Plan plan =
              rows::plan_of<T>(extents_along(y, dim), {dy.data<T>(), y.data<T>(), to});
          Tensor states = softmax_states(plan, y.device());
          SoftmaxCuda<Functor, T>::backward(name, gpu::current_stream(), plan, dy.data<T>(),
                                            y.data<T>(), dx.mode == WriteMode::Accumulate, to,
                                            states.mutable_data<uint8_t>());
        });
      });
}

template <class Functor>
Tensor softmax_op(const char* name, const Operand& x, int dim,
                  decltype(SoftmaxKernels::recorded) recorded) {
  return softmax_op(name, x, dim, {softmax_forward<Functor>, softmax_backward<Functor>, recorded});
}

}  // namespace warptape
