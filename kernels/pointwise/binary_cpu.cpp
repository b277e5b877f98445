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

template <class Functor>
void BinaryCpu<Functor>::backward(Side side, const Tensor& dy, const Tensor& a, const Tensor& b,
                                  GradientTarget to) {
  const Shape& shape = dy.shape();
  const Reads reads = side == Side::A ? Functor::gradient_a_reads : Functor::gradient_b_reads;
  const auto strides_in_dy = [&](const Tensor& x, bool is_read = true) {
    return is_read ? broadcast_strides(x.shape(), x.memory_format(), shape) : Strides{};
  };
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* pdy = dy.data<T>();
    const T* pa = reads_a(reads) ? a.data<T>() : nullptr;
    const T* pb = reads_b(reads) ? b.data<T>() : nullptr;
    T* out = to.buffer.mutable_data<T>();
    const bool accumulate = to.mode == WriteMode::Accumulate;
    strided_reduce<3>(
        shape, dy.memory_format(), broadcast_dims(to.buffer.shape(), shape),
        strides_in_dy(to.buffer),
        {dy.strides(), strides_in_dy(a, reads_a(reads)), strides_in_dy(b, reads_b(reads))},
        double{0},
        [&](const std::array<int64_t, 3>& at) -> double {
          const Compute<T> gradient = pdy[at[0]];
          const Compute<T> va = pa != nullptr ? static_cast<Compute<T>>(pa[at[1]]) : 0;
          const Compute<T> vb = pb != nullptr ? static_cast<Compute<T>>(pb[at[2]]) : 0;
          return side == Side::A ? Functor::gradient_a(gradient, va, vb)
                                 : Functor::gradient_b(gradient, va, vb);
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

}  // namespace warptape
