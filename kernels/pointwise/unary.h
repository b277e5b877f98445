#pragma once
// Ops of one tensor, element by element: unary_op(name, x, functor) is the whole op of a functor
// (functors.h). unary_cpu.cpp instantiates UnaryCpu<Functor> for all of table.h, a .cu file
// UnaryCuda<Functor, T> (unary.cuh) for each.

#include <functional>
#include <memory>
#include <string_view>

#include "core/deferred.h"
#include "core/device/on_device.h"
#include "core/tape.h"
#include "kernels/pointwise/derivatives.h"
#include "kernels/pointwise/functors.h"
#include "kernels/pointwise/unary_cuda.h"

namespace warptape {

// The kernels on the CPU. `saved` has the format of y; where nothing is saved, it is dy.
template <class Functor>
struct UnaryCpu {
  static void forward(const Functor& functor, const Tensor& x, Tensor& y);
  static void backward(const Functor& functor, const Tensor& dy, const Tensor& saved,
                       GradientTarget dx);
};

// An op's kernels, whatever the device.
struct UnaryKernels {
  std::function<void(const char* name, const Tensor& x, Tensor& y)> forward;
  std::function<void(const char* name, const Tensor& dy, const Tensor& saved, GradientTarget dx)>
      backward;
  std::function<Tensor(const Operand& dy, const Operand& saved)> recorded;  // backward, as ops
  Saves saves;
};

// A call that waits, if another op takes it over.
class UnaryWork final : public Deferred {
 public:
  UnaryWork(const char* name, const Operand& x, const UnaryKernels& kernels)
      : name(name), x(x), kernels(kernels) {}
  Tensor compute() override;
  void computed(const Tensor& y) override;
  bool is_relu() const { return std::string_view(name) == "relu"; }

  const char* const name;
  const Operand x;
  const UnaryKernels kernels;
  const std::shared_ptr<Saved> kept = std::make_shared<Saved>();  // where the output is saved
};

// Checks, allocates, runs and records. The output has the shape and the format of x.
Tensor unary_op(const char* name, const Operand& x, const UnaryKernels& kernels);

template <class Functor>
void unary_forward(const char* name, const Functor& functor, const Tensor& x, Tensor& y) {
  on_device(
      name, x.device(), [&] { UnaryCpu<Functor>::forward(functor, x, y); },
      [&] {
        dispatch_floating(x.dtype(), [&]<class T>() {
          UnaryCuda<Functor, T>::forward(name, gpu::current_stream(), functor, x.numel(),
                                         x.data<T>(), y.mutable_data<T>());
        });
      });
}

template <class Functor>
void unary_backward(const char* name, const Functor& functor, const Tensor& dy, const Tensor& saved,
                    GradientTarget dx) {
  on_device(
      name, dy.device(), [&] { UnaryCpu<Functor>::backward(functor, dy, saved, dx); },
      [&] {
        dispatch_floating(dy.dtype(), [&]<class T>() {
          UnaryCuda<Functor, T>::backward(
              name, gpu::current_stream(), functor, dy.numel(), dy.data<T>(), saved.data<T>(),
              dx.mode == WriteMode::Accumulate, dx.buffer.mutable_data<T>());
        });
      });
}

template <class Functor>
Tensor unary_op(const char* name, const Operand& x, const Functor& functor) {
  return unary_op(name, x,
                  {[functor](const char* op, const Tensor& in, Tensor& y) {
                     unary_forward(op, functor, in, y);
                   },
                   [functor](const char* op, const Tensor& dy, const Tensor& saved,
                             GradientTarget dx) { unary_backward(op, functor, dy, saved, dx); },
                   [functor](const Operand& dy, const Operand& saved) {
                     return recorded_gradient(functor, dy, saved);
                   },
                   Functor::saves});
}

}  // namespace warptape
