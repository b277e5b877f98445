#include "ops/softsign/softsign.h"

#include <cmath>

#include "core/device/on_device.h"
#include "kernels/pointwise/pointwise.h"
#include "ops/softsign/softsign_kernels.h"

namespace mine {
namespace {

using namespace warptape;

void forward_cpu(const Tensor& x, Tensor& y) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    const T* px = x.data<T>();
    T* py = y.mutable_data<T>();
    for (int64_t i = 0; i < x.numel(); ++i) {
      const auto value = static_cast<double>(px[i]);
      py[i] = static_cast<T>(value / (1 + std::abs(value)));
    }
  });
}

// x and dy have one format: y was made like x.
void backward_cpu(const Tensor& dy, const Tensor& x, GradientTarget to) {
  const bool add = to.mode == WriteMode::Accumulate;
  dispatch_floating(x.dtype(), [&]<class T>() {
    const T* pdy = dy.data<T>();
    const T* px = x.data<T>();
    T* pdx = to.buffer.mutable_data<T>();
    for (int64_t i = 0; i < x.numel(); ++i) {
      const double size = 1 + std::abs(static_cast<double>(px[i]));
      const double value = static_cast<double>(pdy[i]) / (size * size);
      pdx[i] = static_cast<T>(add ? static_cast<double>(pdx[i]) + value : value);
    }
  });
}

}  // namespace

Tensor softsign(const Operand& x) {
  check_floating("softsign", x);
  Tensor y = Tensor::empty_like(x.tensor());
  on_device(
      "softsign", x.device(), [&] { forward_cpu(x.tensor(), y); },
      [&] { softsign_forward_cuda(x.tensor(), y); });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(
        "softsign", {&x}, {&y},
        [saved = Saved(x.tensor())](Backward& context) {
          const Tensor x_then = saved.get();
          const Tensor dy = context.grad();
          if (context.creates_graph()) {  // by ops, which have gradients of their own
            const Tensor size = 1 + warptape::abs(context.input(0, x_then));
            context.give(0, dy / (size * size));
            return;
          }
          on_device(
              "softsign", dy.device(), [&] { backward_cpu(dy, x_then, context.into(0)); },
              [&] { softsign_backward_cuda(dy, x_then, context.into(0)); });
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace mine
