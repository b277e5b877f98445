// The loops of comparisons.

#include "core/parallel.h"
#include "kernels/pointwise/compare.h"
#include "kernels/pointwise/functors.h"
#include "kernels/pointwise/table.h"

namespace warptape {

template <class Functor>
void CompareCpu<Functor>::run(const StridedLoop<4>& loop, const Tensor& a, const Tensor& b,
                              Tensor& y) {
  dispatch_all(a.dtype(), [&]<class T>() {
    const T* pa = a.data<T>();
    const T* pb = b.data<T>();
    auto* to = y.mutable_data<uint8_t>();
    parallel_for(loop.numel(), default_grain, [&](int64_t begin, int64_t end) {
      loop.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
        for (int64_t i = 0; i < n; ++i) {
          const bool holds = Functor::holds(pa[at[1] + i * step[1]], pb[at[2] + i * step[2]]);
          to[at[0] + i * step[0]] = holds ? 1 : 0;
        }
      });
    });
  });
}

#define WARPTAPE_INSTANTIATE(name, Functor) template struct CompareCpu<pointwise::Functor>;
WARPTAPE_COMPARISONS(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape
