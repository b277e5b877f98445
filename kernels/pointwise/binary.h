#pragma once
// Ops of two tensors, element by element, with NumPy's broadcasting: binary_op<Functor>(name, a, b)
// is the whole op of a functor (functors.h). binary_cpu.cpp instantiates BinaryCpu<Functor> and
// BinaryGradientCpu<Gradient> for all of table.h, a .cu file BinaryCuda<Functor, T> or
// BinaryGradientCuda<Gradient, T> (binary.cuh) for each.

#include "core/device/on_device.h"
#include "core/tape.h"
#include "kernels/pointwise/binary_cuda.h"
#include "kernels/pointwise/derivatives.h"
#include "kernels/reduce/reduce.h"

namespace warptape {

// The kernels on the CPU.
template <class Functor>
struct BinaryCpu {
  static void forward(const Tensor& a, const Tensor& b, Tensor& y);
};
// The target has the shape of its own operand: what was broadcast is summed up. An operand that is
// not read may be undefined.
template <class Gradient>
struct BinaryGradientCpu {
  static void run(const Tensor& dy, const Tensor& own, const Tensor& other, GradientTarget to);
};

// An op's kernels, whatever the device, and what they need saved.
struct BinaryKernels {
  using Gradient = void(const char* name, const Tensor& dy, const Tensor& own, const Tensor& other,
                        GradientTarget to);

  // The same as ops, in dy's shape.
  using Recorded = Tensor(const Operand& dy, const Operand& own, const Operand& other);

  void (*forward)(const char* name, const Tensor& a, const Tensor& b, Tensor& y);
  Gradient* gradient_a;
  Gradient* gradient_b;
  Recorded* recorded_a;
  Recorded* recorded_b;
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

// dy times the derivative by one operand, summed where that was broadcast.
template <class Gradient>
void binary_gradient(const char* name, const Tensor& dy, const Tensor& own, const Tensor& other,
                     GradientTarget to) {
  on_device(
      name, dy.device(), [&] { BinaryGradientCpu<Gradient>::run(dy, own, other, to); },
      [&] {
        dispatch_floating(dy.dtype(), [&]<class T>() {
          using Cuda = BinaryGradientCuda<Gradient, T>;
          std::array<const Tensor*, Cuda::inputs> tensors{&dy};
          if constexpr (reads_own(Gradient::reads)) {
            tensors[1] = &own;
          }
          if constexpr (reads_other(Gradient::reads)) {
            tensors.back() = &other;
          }
          elementwise::Inputs<T, Cuda::inputs> in;
          for (size_t i = 0; i < Cuda::inputs; ++i) {
            in.data[i] = tensors[i]->template data<T>();
          }
          const auto plan = gradient_plan<Cuda::inputs>(to.buffer, tensors);
          Tensor partials = Tensor::empty({plan.reduction.partials}, float64, dy.device());
          Cuda::run(name, gpu::current_stream(), plan, in, to.mode == WriteMode::Accumulate,
                    to.buffer.mutable_data<T>(), partials.mutable_data<double>());
        });
      });
}

template <class Gradient>
Tensor recorded_binary_gradient(const Operand& dy, const Operand& own, const Operand& other) {
  return recorded_gradient(Gradient(), dy, own, other);
}

template <class Functor>
Tensor binary_op(const char* name, const Operand& a, const Operand& b) {
  using GradientA = typename Functor::GradientA;
  using GradientB = typename Functor::GradientB;
  return binary_op(name, a, b,
                   {binary_forward<Functor>, binary_gradient<GradientA>, binary_gradient<GradientB>,
                    recorded_binary_gradient<GradientA>, recorded_binary_gradient<GradientB>,
                    reads_own(GradientA::reads) || reads_other(GradientB::reads),
                    reads_other(GradientA::reads) || reads_own(GradientB::reads)});
}

}  // namespace warptape
