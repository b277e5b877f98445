// The loops of ops of one tensor.

#include "core/parallel.h"
#include "kernels/pointwise/table.h"
#include "kernels/pointwise/unary.h"

namespace warptape {

template <class Functor>
void UnaryCpu<Functor>::forward(const Functor& functor, const Tensor& x, Tensor& y) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.mutable_data<T>();
    parallel_for(x.numel(), default_grain, [&](int64_t begin, int64_t end) {
      const Functor own = functor;
      for (int64_t i = begin; i < end; ++i) {
        to[i] = static_cast<T>(own.forward(static_cast<Compute<T>>(from[i])));
      }
    });
  });
}

template <class Functor>
void UnaryCpu<Functor>::backward(const Functor& functor, const Tensor& dy, const Tensor& saved,
                                 GradientTarget dx) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* gradient = dy.data<T>();
    const T* value = saved.data<T>();
    T* to = dx.buffer.mutable_data<T>();
    const bool accumulate = dx.mode == WriteMode::Accumulate;
    parallel_for(dy.numel(), default_grain, [&](int64_t begin, int64_t end) {
      const Functor own = functor;
      for (int64_t i = begin; i < end; ++i) {
        const Compute<T> result =
            own.gradient(static_cast<Compute<T>>(gradient[i]), static_cast<Compute<T>>(value[i]));
        to[i] = written(accumulate, to[i], result);
      }
    });
  });
}

#define WARPTAPE_INSTANTIATE(name, Functor, default_options, fill) \
  template struct UnaryCpu<pointwise::Functor>;
WARPTAPE_UNARY_OPS(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape
