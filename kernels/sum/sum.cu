#include "core/element_types.h"
#include "kernels/reduce/sums.cuh"
#include "kernels/sum/sum_cuda.h"

namespace warptape::on_cuda {
namespace {

struct Total : reduce::SumInDouble {
  template <class T>
  static WARPTAPE_HOST_DEVICE double value(T x) {
    return static_cast<double>(x);
  }
};

template <class T>
struct ScaleBy : elementwise::NoPointers {
  explicit ScaleBy(T scale) : factor(scale) {}
  WARPTAPE_HOST_DEVICE T operator()(T dy) const { return factor * dy; }
  T factor;
};

}  // namespace

template <class T>
void sum_forward(const char* name, gpu::StreamHandle stream, const ReducePlan<1>& plan, const T* x,
                 double scale, T* y, double* partials) {
  reduce::run<Total>(name, stream, plan, elementwise::Inputs<T, 1>{{x}},
                     reduce::StoreScaled<T>{y, scale}, partials);
}

template <class T>
void sum_in_compute(const char* name, gpu::StreamHandle stream, const ReducePlan<1>& plan,
                    const T* x, Compute<T>* y, double* partials) {
  reduce::run<Total>(name, stream, plan, elementwise::Inputs<T, 1>{{x}},
                     reduce::StoreScaled<Compute<T>>{y, 1.0}, partials);
}

template <class T>
void sum_backward(const char* name, gpu::StreamHandle stream, const StridedLoop<2>& loop,
                  const T* dy, double scale, bool accumulate, T* dx) {
  elementwise::run(name, stream, loop, ScaleBy<Compute<T>>(static_cast<Compute<T>>(scale)),
                   accumulate, dx, elementwise::Inputs<T, 1>{{dy}});
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                   \
  template void sum_forward(const char*, gpu::StreamHandle, const ReducePlan<1>&, const T*,    \
                            double, T*, double*);                                              \
  template void sum_in_compute(const char*, gpu::StreamHandle, const ReducePlan<1>&, const T*, \
                               Compute<T>*, double*);                                          \
  template void sum_backward(const char*, gpu::StreamHandle, const StridedLoop<2>&, const T*,  \
                             double, bool, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
