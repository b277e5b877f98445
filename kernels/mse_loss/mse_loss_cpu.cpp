#include "core/parallel.h"
#include "kernels/mse_loss/mse_loss_kernels.h"

namespace warptape {

void mse_loss_forward_cpu(const Tensor& input, const Tensor& target, double scale, Tensor& loss) {
  dispatch_floating(input.dtype(), [&]<class T>() {
    const T* a = input.data<T>();
    const T* b = target.data<T>();
    double total = 0;
    for (int64_t i = 0; i < input.numel(); ++i) {
      const double difference = static_cast<double>(a[i]) - b[i];
      total += difference * difference;
    }
    *loss.mutable_data<T>() = static_cast<T>(scale * total);
  });
}

void mse_loss_backward_cpu(const Tensor& dy, const Tensor& input, const Tensor& target,
                           double scale, GradientTarget to) {
  dispatch_floating(input.dtype(), [&]<class T>() {
    const T* a = input.data<T>();
    const T* b = target.data<T>();
    T* out = to.buffer.mutable_data<T>();
    const auto factor = static_cast<Compute<T>>(2 * scale * *dy.data<T>());
    const bool accumulate = to.mode == WriteMode::Accumulate;
    parallel_for(input.numel(), default_grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        out[i] = written(accumulate, out[i], factor * (a[i] - b[i]));
      }
    });
  });
}

}  // namespace warptape
