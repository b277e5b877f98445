#include "kernels/argmax/argmax_cuda.h"

#include <limits>

#include "core/element_types.h"
#include "kernels/reduce/reduce.cuh"

namespace warptape::on_cuda {
namespace {

// The place of minus infinity, from which all begin: behind every other.
constexpr int64_t nowhere = std::numeric_limits<int64_t>::max();

template <class T>
struct Argmax {
  using Accumulator = Best<T>;
  static WARPTAPE_HOST_DEVICE Accumulator identity() {
    return {-std::numeric_limits<T>::infinity(), nowhere};
  }
  // A NaN wins; of equal ones the first.
  static WARPTAPE_HOST_DEVICE Accumulator combine(Accumulator a, Accumulator b) {
    const bool a_is_nan = !(a.value == a.value);
    const bool b_is_nan = !(b.value == b.value);
    const bool tie = a_is_nan ? b_is_nan : a.value == b.value;
    const bool b_is_larger = b_is_nan ? !a_is_nan : b.value > a.value;
    const bool takes_b = tie ? b.index < a.index : b_is_larger;
    return {takes_b ? b.value : a.value, takes_b ? b.index : a.index};
  }
  static WARPTAPE_HOST_DEVICE Accumulator value_at(int64_t place, T x) { return {x, place}; }
  // Equal ones come later, and minus infinity changes nothing.
  static WARPTAPE_HOST_DEVICE void append(Accumulator& own, int64_t place, T x) {
    const bool takes_x = !(x <= own.value) && own.value == own.value;
    own = {takes_x ? x : own.value, takes_x ? place : own.index};
  }
};

template <class T>
struct StoreIndex {
  int64_t* y;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(y);
  }
  WARPTAPE_HOST_DEVICE void operator()(int64_t at, const Best<T>& best) const {
    y[at] = best.index == nowhere ? 0 : best.index;  // all are minus infinity
  }
};

}  // namespace

template <class T>
__device__ Best<T> shuffle_xor(const Best<T>& best, int lane_mask) {
  return {simt::shuffle_xor(best.value, lane_mask), simt::shuffle_xor(best.index, lane_mask)};
}

template <class T>
void argmax(gpu::StreamHandle stream, const ReducePlan<1>& plan, const T* x, int64_t* y,
            Best<Compute<T>>* partials) {
  reduce::run<Argmax<Compute<T>>>("argmax", stream, plan, elementwise::Inputs<T, 1>{{x}},
                                  StoreIndex<Compute<T>>{y}, partials);
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                        \
  template void argmax(gpu::StreamHandle, const ReducePlan<1>&, const T*, int64_t*, \
                       Best<Compute<T>>*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
