#include "kernels/argmax/argmax_cuda.h"

#include "kernels/common/reduce.cuh"

namespace warptape::cuda {
namespace {

template <class T>
struct Argmax {
  using Accumulator = Best<T>;
  static WARPTAPE_HOST_DEVICE Accumulator identity() { return {T(0), -1}; }
  // A NaN wins; of equal ones the first.
  static WARPTAPE_HOST_DEVICE Accumulator combine(Accumulator a, Accumulator b) {
    const bool a_is_nan = !(a.value == a.value);
    const bool b_is_nan = !(b.value == b.value);
    const bool tie = a_is_nan ? b_is_nan : a.value == b.value;
    const bool b_is_larger = b_is_nan ? !a_is_nan : b.value > a.value;
    const bool takes_b = a.index < 0 || (tie ? b.index < a.index : b_is_larger);
    const bool b_counts = b.index >= 0;
    return {b_counts && takes_b ? b.value : a.value, b_counts && takes_b ? b.index : a.index};
  }
  static WARPTAPE_HOST_DEVICE Accumulator value_at(int64_t place, T x) { return {x, place}; }
};

template <class T>
struct StoreIndex {
  int64_t* y;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(y);
  }
  WARPTAPE_HOST_DEVICE void operator()(int64_t at, const Best<T>& best) const {
    y[at] = best.index;
  }
};

}  // namespace

template <class T>
__device__ Best<T> shuffle_xor(const Best<T>& best, int lane_mask) {
  return {simt::shuffle_xor(best.value, lane_mask), simt::shuffle_xor(best.index, lane_mask)};
}

template <class T>
void argmax(gpu::StreamHandle stream, const ReducePlan<1>& plan, const T* x, int64_t* y,
            Best<T>* partials) {
  reduce::run<Argmax<T>>("argmax", stream, plan, elementwise::Inputs<T, 1>{{x}}, StoreIndex<T>{y},
                         partials);
}

template void argmax(gpu::StreamHandle, const ReducePlan<1>&, const float*, int64_t*, Best<float>*);
template void argmax(gpu::StreamHandle, const ReducePlan<1>&, const double*, int64_t*,
                     Best<double>*);

}  // namespace warptape::cuda
