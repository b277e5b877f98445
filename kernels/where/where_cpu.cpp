#include "core/parallel.h"
#include "kernels/where/where_kernels.h"

namespace warptape {

void where_cpu(const StridedLoop<4>& loop, const Tensor& condition, const Tensor& a,
               const Tensor& b, Tensor& y) {
  const auto* taken = condition.data<uint8_t>();
  dispatch_all(y.dtype(), [&]<class T>() {
    const T* pa = a.data<T>();
    const T* pb = b.data<T>();
    T* to = y.mutable_data<T>();
    parallel_for(loop.numel(), default_grain, [&](int64_t begin, int64_t end) {
      loop.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
        for (int64_t i = 0; i < n; ++i) {
          to[at[0] + i * step[0]] =
              taken[at[1] + i * step[1]] != 0 ? pa[at[2] + i * step[2]] : pb[at[3] + i * step[3]];
        }
      });
    });
  });
}

void where_gradient_cpu(const StridedLoop<4>& loop, bool taken, const Tensor& condition,
                        const Tensor& dy, GradientTarget to) {
  const auto* mask = condition.data<uint8_t>();
  const bool accumulate = to.mode == WriteMode::Accumulate;
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* from = dy.data<T>();
    T* out = to.buffer.mutable_data<T>();
    parallel_for(loop.numel(), default_grain, [&](int64_t begin, int64_t end) {
      loop.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
        for (int64_t i = 0; i < n; ++i) {
          const bool takes = (mask[at[1] + i * step[1]] != 0) == taken;
          const T value = takes ? from[at[2] + i * step[2]] : T(0);
          T& element = out[at[0] + i * step[0]];
          element = accumulate ? static_cast<T>(element + value) : value;
        }
      });
    });
  });
}

}  // namespace warptape
