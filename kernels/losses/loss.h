#pragma once
// Losses, element by element: loss_op<Functor>(name, functor, input, target, third, mask) is the
// whole op of a functor (functors.h). loss_cpu.cpp instantiates LossCpu<Functor> for all of
// table.h, a .cu file LossCuda<Functor, T> (loss.cuh) for each.

#include <functional>
#include <type_traits>

#include "core/device/on_device.h"
#include "core/tape.h"
#include "kernels/losses/functors.h"
#include "kernels/losses/loss_cuda.h"
#include "kernels/losses/values.h"

namespace warptape {

// Operands of a loss; third and mask may be undefined. The loop goes over the elements of the input
// as it lies in memory.
struct LossTensors {
  Tensor input;
  Tensor target;
  Tensor third;
  Tensor mask;
  losses::LossLoop loop;
};

// How the elements become one; the loss is divided by `divisor`, or, if `counted` is defined, by
// the number of elements that the mask keeps, which is written there.
struct LossReduction {
  bool each = false;  // they do not
  double divisor = 1;
  Tensor counted{};  // float64, one element
  // Of a loss that is the end of the graph, by the input: made by the forward pass on "cuda" where
  // it is defined.
  Tensor gradient{};
};

// Gradients by the input, the target and the third tensor, laid as the input. Undefined: unwanted.
// Two may be one buffer.
struct LossTargets {
  Tensor buffers[3];
  WriteMode modes[3] = {};
};

// The kernels on the CPU. False if an element was refused.
template <class Functor>
struct LossCpu {
  static bool forward(const Functor& functor, const LossTensors& in, LossReduction& reduction,
                      Tensor& y);
  static void backward(const Functor& functor, const LossTensors& in, const Tensor& dy,
                       const LossReduction& reduction, LossTargets& to);
};

// What a loss is, whatever the device.
struct LossKernels {
  const char* name;
  Reduction reduction;
  losses::Third third;
  losses::BadOption bad_option;
  const char* refusal;  // the error of an element that is refused, or nullptr
  std::function<bool(const LossTensors& in, LossReduction& reduction, Tensor& y)> forward;
  // dy: undefined for the one of a loss that is the end of the graph.
  std::function<void(const LossTensors& in, const Tensor& dy, const LossReduction& reduction,
                     LossTargets& to)>
      backward;
  // The loss of each element as ops (values.h).
  std::function<Tensor(const Operand& x, const Operand& target, const Operand& third)> value_as_ops;
};

// Checks, allocates, runs and records.
Tensor loss_op(const LossKernels& kernels, const Operand& input, const Operand& target,
               const Operand& third, const Operand& mask);

// The code of the report "[name] refusal"; 0 where nothing is refused.
int refusal_code(const char* name, const char* refusal);

// Memory for what LossCuda::sum needs besides: partial sums of so many blocks.
struct LossWorkspace {
  explicit LossWorkspace(int64_t blocks, Device device);
  template <class T>
  LossSums<T> sums(Tensor& loss, const Tensor& counted, Tensor* gradient = nullptr);

 private:
  bool several_;
  Tensor arrivals_;
  Tensor partials_;
};

template <class T>
LossSums<T> LossWorkspace::sums(Tensor& loss, const Tensor& counted, Tensor* gradient) {
  Tensor count = counted;
  return {
      loss.mutable_data<T>(), count.defined() ? count.mutable_data<double>() : nullptr,
      partials_.mutable_data<double>(),
      several_ ? reinterpret_cast<unsigned long long*>(arrivals_.mutable_data<int64_t>()) : nullptr,
      gradient != nullptr ? gradient->mutable_data<T>() : nullptr};
}

template <class T>
LossInputs<T> loss_inputs(const LossTensors& in) {
  return {in.input.data<T>(), in.target.data<T>(),
          in.third.defined() ? in.third.data<T>() : nullptr,
          in.mask.defined() ? in.mask.data<uint8_t>() : nullptr};
}

template <class Functor>
constexpr const char* refusal_of() {
  if constexpr (losses::refuses<Functor>) {
    return Functor::refusal;
  } else {
    return nullptr;
  }
}

template <class Functor>
bool loss_forward(const char* name, const Functor& functor, const LossTensors& in,
                  LossReduction& reduction, Tensor& y) {
  bool accepted = true;
  on_device(
      name, y.device(), [&] { accepted = LossCpu<Functor>::forward(functor, in, reduction, y); },
      [&] {
        dispatch_floating(y.dtype(), [&]<class T>() {
          using Cuda = LossCuda<Functor, T>;
          const gpu::StreamHandle stream = gpu::current_stream();
          const int code = refusal_code(name, refusal_of<Functor>());
          if (reduction.each) {
            if (y.numel() > 0) {
              Cuda::each(name, stream, functor, in.loop, loss_inputs<T>(in), y.mutable_data<T>(),
                         gpu::report_word(), code);
            }
            return;
          }
          LossWorkspace workspace(Cuda::blocks(in.input.numel()), y.device());
          Tensor* const to = reduction.gradient.defined() ? &reduction.gradient : nullptr;
          Cuda::sum(name, stream, functor, in.loop, loss_inputs<T>(in), reduction.divisor,
                    workspace.sums<T>(y, reduction.counted, to), gpu::report_word(), code);
        });
      });
  return accepted;
}

template <class Functor>
void loss_backward(const char* name, const Functor& functor, const LossTensors& in,
                   const Tensor& dy, const LossReduction& reduction, LossTargets& to) {
  on_device(
      name, in.input.device(), [&] { LossCpu<Functor>::backward(functor, in, dy, reduction, to); },
      [&] {
        dispatch_floating(in.input.dtype(), [&]<class T>() {
          const T* const seed = dy.defined() ? dy.data<T>() : nullptr;
          LossGradients<T> gradients{};
          for (int i = 0; i < 3; ++i) {
            if (to.buffers[i].defined()) {
              gradients.data[i] = to.buffers[i].mutable_data<T>();
              gradients.add[i] = to.modes[i] == WriteMode::Accumulate;
            }
          }
          const LossDivisor divisor{reduction.divisor, reduction.counted.defined()
                                                           ? reduction.counted.data<double>()
                                                           : nullptr};
          LossCuda<Functor, T>::backward(name, gpu::current_stream(), functor, in.loop,
                                         loss_inputs<T>(in), seed, reduction.each, divisor,
                                         gradients);
        });
      });
}

template <class Functor>
Tensor loss_op(const char* name, const Functor& functor, const Operand& input,
               const Operand& target, const Operand& third, const Operand& mask) {
  losses::BadOption bad;
  if constexpr (requires { functor.bad_option(); }) {
    bad = functor.bad_option();
  }
  return loss_op(
      {name, functor.reduction, Functor::third, bad, refusal_of<Functor>(),
       [name, functor](const LossTensors& in, LossReduction& reduction, Tensor& y) {
         return loss_forward(name, functor, in, reduction, y);
       },
       [name, functor](const LossTensors& in, const Tensor& dy, const LossReduction& reduction,
                       LossTargets& to) { loss_backward(name, functor, in, dy, reduction, to); },
       [functor](const Operand& x, const Operand& t, const Operand& w) {
         return losses::value_as_ops(functor, x, t, w);
       }},
      input, target, third, mask);
}

}  // namespace warptape
