// The loops of ops of two tensors.

#include "core/parallel.h"
#include "kernels/pointwise/binary.h"
#include "kernels/pointwise/functors.h"
#include "kernels/pointwise/table.h"

namespace warptape {

template <class Functor>
void BinaryCpu<Functor>::forward(const Tensor& a, const Tensor& b, Tensor& y) {
  const StridedLoop<3> loop = binary_loop(a, b, y);
  dispatch_floating(y.dtype(), [&]<class T>() {
    const T* pa = a.data<T>();
    const T* pb = b.data<T>();
    T* to = y.mutable_data<T>();
    using C = Compute<T>;
    parallel_for(loop.numel(), default_grain, [&](int64_t begin, int64_t end) {
      loop.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
        for (int64_t i = 0; i < n; ++i) {
          const C va = pa[at[1] + i * step[1]];
          const C vb = pb[at[2] + i * step[2]];
          to[at[0] + i * step[0]] = static_cast<T>(Functor::forward(va, vb));
        }
      });
    });
  });
}

template <class Gradient>
void BinaryGradientCpu<Gradient>::run(const Tensor& dy, const Tensor& own, const Tensor& other,
                                      GradientTarget to) {
  const Shape& shape = dy.shape();
  const auto strides_in_dy = [&](const Tensor& x, bool is_read = true) {
    return is_read ? broadcast_strides(x.shape(), x.memory_format(), shape) : Strides{};
  };
  constexpr bool with_own = reads_own(Gradient::reads);
  constexpr bool with_other = reads_other(Gradient::reads);
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* p_dy = dy.data<T>();
    const T* p_own = with_own ? own.data<T>() : nullptr;
    const T* p_other = with_other ? other.data<T>() : nullptr;
    T* out = to.buffer.mutable_data<T>();
    const bool accumulate = to.mode == WriteMode::Accumulate;
    strided_reduce<3>(
        shape, dy.memory_format(), broadcast_dims(to.buffer.shape(), shape),
        strides_in_dy(to.buffer),
        {dy.strides(), strides_in_dy(own, with_own), strides_in_dy(other, with_other)}, double{0},
        [&](const std::array<int64_t, 3>& at) -> double {
          using C = Compute<T>;
          const C of_own = with_own ? static_cast<C>(p_own[at[1]]) : C(0);
          const C of_other = with_other ? static_cast<C>(p_other[at[2]]) : C(0);
          return Gradient::gradient(static_cast<C>(p_dy[at[0]]), of_own, of_other);
        },
        [](double sum, double value) { return sum + value; },
        [&](int64_t at, double sum) {
          out[at] = written(accumulate, out[at], static_cast<Compute<T>>(sum));
        });
  });
}

#define WARPTAPE_INSTANTIATE(name, Functor, fill) template struct BinaryCpu<pointwise::Functor>;
WARPTAPE_BINARY_OPS(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE
#define WARPTAPE_INSTANTIATE(name, Gradient) template struct BinaryGradientCpu<pointwise::Gradient>;
WARPTAPE_BINARY_GRADIENTS(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape
