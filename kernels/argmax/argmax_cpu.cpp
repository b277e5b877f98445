#include <cmath>

#include "kernels/argmax/argmax_kernels.h"

namespace warptape {

void argmax_cpu(const Tensor& x, const ReductionDims& dims, const Strides& index_strides,
                Tensor& y) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    struct Best {
      Compute<T> value;
      int64_t index;  // -1: none yet
    };
    // Memory order need not be index order, so that equal values are decided by the index.
    const auto better = [](const Best& a, const Best& b) {
      if (a.index < 0 || std::isnan(a.value) != std::isnan(b.value)) {
        return a.index < 0 ? false : std::isnan(a.value);
      }
      const bool equal = a.value == b.value || std::isnan(a.value);
      return equal ? a.index < b.index : a.value > b.value;
    };
    const T* from = x.data<T>();
    int64_t* to = y.mutable_data<int64_t>();
    strided_reduce<2>(
        x.shape(), x.memory_format(), dims.reduced, kept_strides(dims),
        {x.strides(), index_strides}, Best{0, -1},
        [&](const auto& at) {
          return Best{from[at[0]], at[1]};
        },
        [&](const Best& best, const Best& candidate) {
          return better(best, candidate) ? best : candidate;
        },
        [&](int64_t at, const Best& best) { to[at] = best.index; });
  });
}

}  // namespace warptape
