#pragma once
// The CUDA kernels of a comparison: `template struct CompareCuda<MyFunctor, T>;` in a .cu file, for
// every dtype, compiles them.

#include "kernels/pointwise/compare_cuda.h"
#include "kernels/pointwise/mixed.cuh"

namespace warptape {

template <class Functor>
struct Holds : elementwise::NoPointers {
  template <class T>
  WARPTAPE_HOST_DEVICE uint8_t operator()(T a, T b) const {
    return Functor::holds(a, b) ? 1 : 0;
  }
};

template <class Functor, class T>
void CompareCuda<Functor, T>::run(const char* name, gpu::StreamHandle stream,
                                  const StridedLoop<4>& loop, const T* a, const T* b, uint8_t* y) {
  const mixed::Nothing* const nothing = nullptr;
  mixed::run(name, stream, loop, Holds<Functor>{}, false, y, a, b, nothing);
}

}  // namespace warptape
