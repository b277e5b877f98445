#include <cmath>
#include <limits>

#include "kernels/max/max_kernels.h"

namespace warptape {

void max_forward_cpu(const Tensor& x, const ReductionDims& dims, Tensor& y) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    using C = Compute<T>;
    const T* from = x.data<T>();
    T* to = y.mutable_data<T>();
    strided_reduce<1>(
        x.shape(), x.memory_format(), dims.reduced, kept_strides(dims), {x.strides()},
        -std::numeric_limits<C>::infinity(), [&](const auto& at) -> C { return from[at[0]]; },
        [](C largest, C value) { return value > largest || std::isnan(value) ? value : largest; },
        [&](int64_t at, C largest) { to[at] = static_cast<T>(largest); });
  });
}

void max_backward_cpu(const Tensor& dy, const Tensor& x, const Tensor& y, const ReductionDims& dims,
                      GradientTarget dx) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    using C = Compute<T>;
    const T* from = x.data<T>();
    const T* largest = y.data<T>();
    const T* gradient = dy.data<T>();
    Tensor shares = Tensor::empty_like(dy);  // dy / number of winners
    T* share = shares.mutable_data<T>();
    const Strides kept = kept_strides(dims);
    const auto equal = [](C a, C b) { return a == b || (std::isnan(a) && std::isnan(b)); };
    strided_reduce<2>(
        x.shape(), x.memory_format(), dims.reduced, kept, {x.strides(), kept}, int64_t{0},
        [&](const auto& at) { return int64_t{equal(from[at[0]], largest[at[1]])}; },
        [](int64_t count, int64_t one) { return count + one; },
        [&](int64_t at, int64_t count) {
          share[at] = static_cast<T>(gradient[at] / static_cast<C>(count));
        });

    Tensor& to = dx.buffer;
    T* out = to.mutable_data<T>();
    const bool accumulate = dx.mode == WriteMode::Accumulate;
    const auto loop =
        make_strided_loop<3>(to.shape(), to.memory_format(), {to.strides(), x.strides(), kept});
    parallel_for(loop.numel(), default_grain, [&](int64_t begin, int64_t end) {
      loop.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
        for (int64_t i = 0; i < n; ++i) {
          const int64_t k = at[2] + i * step[2];
          const bool wins = equal(from[at[1] + i * step[1]], largest[k]);
          T& element = out[at[0] + i * step[0]];
          element = written(accumulate, element, wins ? C{share[k]} : C{0});
        }
      });
    });
  });
}

}  // namespace warptape
