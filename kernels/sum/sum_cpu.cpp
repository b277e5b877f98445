#include "kernels/sum/sum_kernels.h"

namespace warptape {

void sum_forward_cpu(const Tensor& x, const ReductionDims& dims, double scale, Tensor& y) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.mutable_data<T>();
    strided_reduce<1>(
        x.shape(), x.memory_format(), dims.reduced, kept_strides(dims), {x.strides()}, double{0},
        [&](const auto& at) { return static_cast<double>(from[at[0]]); },
        [](double sum, double value) { return sum + value; },
        [&](int64_t at, double sum) { to[at] = static_cast<T>(scale * sum); });
  });
}

void sum_backward_cpu(const Tensor& dy, const ReductionDims& dims, double scale,
                      GradientTarget dx) {
  Tensor& to = dx.buffer;
  const auto loop =
      make_strided_loop<2>(to.shape(), to.memory_format(), {to.strides(), kept_strides(dims)});
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* from = dy.data<T>();
    T* out = to.mutable_data<T>();
    const auto factor = static_cast<Compute<T>>(scale);
    const bool accumulate = dx.mode == WriteMode::Accumulate;
    parallel_for(loop.numel(), default_grain, [&](int64_t begin, int64_t end) {
      loop.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
        for (int64_t i = 0; i < n; ++i) {
          T& element = out[at[0] + i * step[0]];
          element = written(accumulate, element, factor * from[at[1] + i * step[1]]);
        }
      });
    });
  });
}

}  // namespace warptape
