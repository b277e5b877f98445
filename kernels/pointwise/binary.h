#pragma once
// Ops of two tensors, element by element, with NumPy's broadcasting: binary_op<Functor>(name, a, b)
// is the whole op of a functor (functors.h). binary_cpu.cpp instantiates BinaryCpu<Functor>
// for all of table.h, a .cu file BinaryCuda<Functor, T> (binary.cuh) for each.

#include "core/device/on_device.h"
#include "core/tape.h"
#include "kernels/pointwise/binary_cuda.h"
#include "kernels/reduce/reduce.h"

namespace warptape {

// The kernels on the CPU. The target of backward has the shape of side's operand: what was
// broadcast is summed up. An operand that no gradient reads is undefined in backward.
template <class Functor>
struct BinaryCpu {
  static void forward(const Tensor& a, const Tensor& b, Tensor& y);
  static void backward(Side side, const Tensor& dy, const Tensor& a, const Tensor& b,
                       GradientTarget to);
};

// An op's kernels, whatever the device, and what they need saved.
struct BinaryKernels {
  void (*forward)(const char* name, const Tensor& a, const Tensor& b, Tensor& y);
  void (*backward)(const char* name, Side side, const Tensor& dy, const Tensor& a, const Tensor& b,
                   GradientTarget to);
  bool saves_a;
  bool saves_b;
};

// Checks, allocates, runs and records. The output takes the memory format of the operand that has
// its rank (a's if both have).
Tensor binary_op(const char* name, const Operand& a, const Operand& b,
                 const BinaryKernels& kernels);

// Operands y, a, b, in the memory order of y.
StridedLoop<3> binary_loop(const Tensor& a, const Tensor& b, const Tensor& y);

// The dimensions of dy over which the gradient of an operand of this shape is summed.
DimMask broadcast_dims(const Shape& operand, const Shape& dy);

// The inputs' first is dy. For N up to 3.
template <int N>
GradientPlan<N> gradient_plan(const Tensor& to, const std::array<const Tensor*, N>& in);

template <class Functor>
void binary_forward(const char* name, const Tensor& a, const Tensor& b, Tensor& y) {
  on_device(
      name, y.device(), [&] { BinaryCpu<Functor>::forward(a, b, y); },
      [&] {
        dispatch_floating(y.dtype(), [&]<class T>() {
          BinaryCuda<Functor, T>::forward(name, gpu::current_stream(), binary_loop(a, b, y),
                                          a.data<T>(), b.data<T>(), y.mutable_data<T>());
        });
      });
}

// Hands one of BinaryCuda's backward functions what its gradient reads.
template <Reads reads, class T, class Launch>
void run_gradient(const char* name, const Launch& launch, const Tensor& dy, const Tensor& a,
                  const Tensor& b, GradientTarget& to) {
  constexpr int inputs = 1 + count(reads);
  std::array<const Tensor*, inputs> tensors{&dy};
  if constexpr (reads_a(reads)) {
    tensors[1] = &a;
  }
  if constexpr (reads_b(reads)) {
    tensors.back() = &b;
  }
  elementwise::Inputs<T, inputs> in;
  for (size_t i = 0; i < inputs; ++i) {
    in.data[i] = tensors[i]->template data<T>();
  }
  const GradientPlan<inputs> plan = gradient_plan<inputs>(to.buffer, tensors);
  Tensor partials = Tensor::empty({plan.reduction.partials}, float64, dy.device());
  launch(name, gpu::current_stream(), plan, in, to.mode == WriteMode::Accumulate,
         to.buffer.mutable_data<T>(), partials.mutable_data<double>());
}

template <class Functor>
void binary_backward(const char* name, Side side, const Tensor& dy, const Tensor& a,
                     const Tensor& b, GradientTarget to) {
  on_device(
      name, dy.device(), [&] { BinaryCpu<Functor>::backward(side, dy, a, b, to); },
      [&] {
        dispatch_floating(dy.dtype(), [&]<class T>() {
          using Cuda = BinaryCuda<Functor, T>;
          if (side == Side::A) {
            run_gradient<Functor::gradient_a_reads, T>(name, Cuda::backward_a, dy, a, b, to);
          } else {
            run_gradient<Functor::gradient_b_reads, T>(name, Cuda::backward_b, dy, a, b, to);
          }
        });
      });
}

template <class Functor>
Tensor binary_op(const char* name, const Operand& a, const Operand& b) {
  constexpr Reads by_a = Functor::gradient_a_reads;
  constexpr Reads by_b = Functor::gradient_b_reads;
  return binary_op(name, a, b,
                   {binary_forward<Functor>, binary_backward<Functor>,
                    reads_a(by_a) || reads_a(by_b), reads_b(by_a) || reads_b(by_b)});
}

}  // namespace warptape
