#include <limits>

#include "core/element_types.h"
#include "kernels/max/max_cuda.h"
#include "kernels/reduce/reduce.cuh"

namespace warptape::on_cuda {
namespace {

template <class T>
WARPTAPE_HOST_DEVICE bool is_nan(T x) {
  return !(x == x);
}

// A NaN is equal to a NaN here.
template <class T>
WARPTAPE_HOST_DEVICE bool is_equal(T a, T b) {
  return a == b || (is_nan(a) && is_nan(b));
}

template <class C>
struct Largest {
  using Accumulator = C;
  static WARPTAPE_HOST_DEVICE C identity() { return -std::numeric_limits<C>::infinity(); }
  // A NaN wins.
  static WARPTAPE_HOST_DEVICE C combine(C a, C b) { return b > a || is_nan(b) ? b : a; }
  static WARPTAPE_HOST_DEVICE C value(C x) { return x; }
};

template <class T>
struct StoreLargest {
  T* y;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(y);
  }
  WARPTAPE_HOST_DEVICE void operator()(int64_t at, Compute<T> largest) const {
    y[at] = static_cast<T>(largest);
  }
};

struct CountEqual {
  using Accumulator = int64_t;
  static WARPTAPE_HOST_DEVICE int64_t identity() { return 0; }
  static WARPTAPE_HOST_DEVICE int64_t combine(int64_t a, int64_t b) { return a + b; }
  template <class T>
  static WARPTAPE_HOST_DEVICE int64_t value(T x, T largest) {
    return is_equal(x, largest) ? 1 : 0;
  }
};

// Of the layout of y.
template <class T>
struct StoreShare {
  const T* dy;
  T* share;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(dy);
    visit(share);
  }
  WARPTAPE_HOST_DEVICE void operator()(int64_t at, int64_t count) const {
    share[at] = static_cast<T>(dy[at] / static_cast<Compute<T>>(count));
  }
};

struct ShareIfEqual : elementwise::NoPointers {
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T x, T largest, T share) const {
    return is_equal(x, largest) ? share : T(0);
  }
};

}  // namespace

template <class T>
void max_forward(gpu::StreamHandle stream, const ReducePlan<1>& plan, const T* x, T* y,
                 Compute<T>* partials) {
  reduce::run<Largest<Compute<T>>>("max", stream, plan, elementwise::Inputs<T, 1>{{x}},
                                   StoreLargest<T>{y}, partials);
}

template <class T>
void max_shares(gpu::StreamHandle stream, const ReducePlan<2>& plan, const T* x, const T* y,
                const T* dy, T* share, int64_t* partials) {
  reduce::run<CountEqual>("max_shares", stream, plan, elementwise::Inputs<T, 2>{{x, y}},
                          StoreShare<T>{dy, share}, partials);
}

template <class T>
void max_backward(gpu::StreamHandle stream, const StridedLoop<4>& loop, const T* x, const T* y,
                  const T* share, bool accumulate, T* dx) {
  elementwise::run("max_backward", stream, loop, ShareIfEqual{}, accumulate, dx,
                   elementwise::Inputs<T, 3>{{x, y, share}});
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                      \
  template void max_forward(gpu::StreamHandle, const ReducePlan<1>&, const T*, T*, Compute<T>*);  \
  template void max_shares(gpu::StreamHandle, const ReducePlan<2>&, const T*, const T*, const T*, \
                           T*, int64_t*);                                                         \
  template void max_backward(gpu::StreamHandle, const StridedLoop<4>&, const T*, const T*,        \
                             const T*, bool, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
