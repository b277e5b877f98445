#pragma once
// What reductions that are sums share.

#include "kernels/reduce/reduce.cuh"

namespace warptape::reduce {

// An Op, but for the value.
struct SumInDouble {
  using Accumulator = double;
  using Combines = SumInDouble;
  static WARPTAPE_HOST_DEVICE double identity() { return 0; }
  static WARPTAPE_HOST_DEVICE double combine(double a, double b) { return a + b; }
};

template <class T>
struct StoreScaled {
  T* y;
  double scale;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(y);
  }
  WARPTAPE_HOST_DEVICE void operator()(int64_t at, double sum) const {
    y[at] = static_cast<T>(scale * sum);
  }
};

}  // namespace warptape::reduce
