#pragma once
// The CUDA kernels of a unary op: `template struct UnaryCuda<MyFunctor, float>;` in a .cu file, and
// the same for double, compiles them.

#include "core/elementwise.cuh"
#include "kernels/pointwise/unary_cuda.h"

namespace warptape {

template <class Functor>
struct UnaryForward : elementwise::NoPointers {
  Functor functor;

  explicit UnaryForward(const Functor& of) : functor(of) {}
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T x) const {
    return functor.forward(x);
  }
};

template <class Functor>
struct UnaryGradient : elementwise::NoPointers {
  Functor functor;

  explicit UnaryGradient(const Functor& of) : functor(of) {}
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T dy) const {
    return functor.gradient(dy, T(0));
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T dy, T saved) const {
    return functor.gradient(dy, saved);
  }
};

template <class Functor, class T>
void UnaryCuda<Functor, T>::forward(const char* name, gpu::StreamHandle stream,
                                    const Functor& functor, int64_t n, const T* x, T* y) {
  elementwise::run_flat(name, stream, n, UnaryForward<Functor>(functor), false, y,
                        elementwise::Inputs<T, 1>{{x}});
}

template <class Functor, class T>
void UnaryCuda<Functor, T>::backward(const char* name, gpu::StreamHandle stream,
                                     const Functor& functor, int64_t n, const T* dy, const T* saved,
                                     bool accumulate, T* dx) {
  const UnaryGradient<Functor> gradient(functor);
  if constexpr (Functor::saves == Saves::Nothing) {
    elementwise::run_flat(name, stream, n, gradient, accumulate, dx,
                          elementwise::Inputs<T, 1>{{dy}});
  } else {
    elementwise::run_flat(name, stream, n, gradient, accumulate, dx,
                          elementwise::Inputs<T, 2>{{dy, saved}});
  }
}

}  // namespace warptape
