#include "core/parallel.h"
#include "core/widened.h"
#include "kernels/linear/linear_kernels.h"
#include "kernels/matmul/gemm.h"

namespace warptape {

void linear_forward_cpu(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y) {
  const int64_t out = weight.size(0);
  const int64_t in = weight.size(1);
  const int64_t rows = y.numel() / std::max<int64_t>(out, 1);
  dispatch_floating(y.dtype(), [&]<class T>() {
    through_wide(y, [&](Tensor& wide) {
      auto* to = wide.mutable_data<Compute<T>>();
      if (bias.defined()) {
        const auto* b = bias.data<Compute<T>>();
        for (int64_t row = 0; row < rows; ++row) {
          std::copy_n(b, out, to + row * out);
        }
      }
      gemm(false, true, rows, out, in, x.data<T>(), weight.data<T>(), bias.defined(), to);
      return true;
    });
  });
}

void linear_data_grad_cpu(const Tensor& dy, const Tensor& weight, Tensor& dx) {
  // Counted in dx: dy has none of its elements where there are no output features.
  const int64_t rows = dx.numel() / std::max<int64_t>(weight.size(1), 1);
  dispatch_floating(dy.dtype(), [&]<class T>() {
    gemm(false, false, rows, weight.size(1), weight.size(0), dy.data<T>(), weight.data<T>(), false,
         dx.mutable_data<T>());
  });
}

void linear_weight_grad_cpu(const Tensor& dy, const Tensor& x, GradientTarget dweight) {
  const int64_t out = dweight.buffer.size(0);
  const int64_t in = dweight.buffer.size(1);
  const int64_t rows = dy.numel() / std::max<int64_t>(out, 1);
  dispatch_floating(dy.dtype(), [&]<class T>() {
    gemm(true, false, out, in, rows, dy.data<T>(), x.data<T>(),
         dweight.mode == WriteMode::Accumulate, dweight.buffer.mutable_data<Compute<T>>());
  });
}

void linear_bias_grad_cpu(const Tensor& dy, GradientTarget dbias) {
  const int64_t out = dbias.buffer.numel();
  const int64_t rows = dy.numel() / std::max<int64_t>(out, 1);
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* from = dy.data<T>();
    auto* to = dbias.buffer.mutable_data<Compute<T>>();
    for (int64_t j = 0; j < out; ++j) {
      double sum = 0;
      for (int64_t row = 0; row < rows; ++row) {
        sum += from[row * out + j];
      }
      to[j] = static_cast<Compute<T>>(dbias.mode == WriteMode::Accumulate ? to[j] + sum : sum);
    }
  });
}

}  // namespace warptape
