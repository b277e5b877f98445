#include "kernels/normalize/apply.cuh"
#include "kernels/normalize/normalize_cuda.h"
#include "kernels/normalize/sums.cuh"

namespace warptape::normalize {

template <class T>
void NormalizeCuda<T>::statistics(const char* name, gpu::StreamHandle stream, const SetsPlan& plan,
                                  const T* x, const KeepStatistics<C>& keep, Sums* partials,
                                  unsigned long long* arrivals) {
  launch_sums(name, stream, plan, MomentSummand<T>{x}, Inputs<T, 1>{{x}}, keep,
              Partials{partials, arrivals});
}

template <class T>
void NormalizeCuda<T>::gradients(const char* name, gpu::StreamHandle stream, const SetsPlan& plan,
                                 const T* dy, const T* x, const StatisticsSource<C>& source,
                                 const KeepGradients<C>& keep, Sums* partials,
                                 unsigned long long* arrivals) {
  launch_sums(name, stream, plan, GradientSummand<T>{source}, Inputs<T, 2>{{dy, x}}, keep,
              Partials{partials, arrivals});
}

template <class T>
void NormalizeCuda<T>::apply(const char* name, gpu::StreamHandle stream, const SetsPlan& plan,
                             const Normalize<T>& op, const T* x, T* y, bool add) {
  launch_apply(name, stream, plan, op, Inputs<T, 1>{{x}}, y, add);
}

template <class T>
void NormalizeCuda<T>::apply_gradient(const char* name, gpu::StreamHandle stream,
                                      const SetsPlan& plan, const NormalizeGradient<T>& op,
                                      const T* dy, const T* x, T* dx, bool add) {
  launch_apply(name, stream, plan, op, Inputs<T, 2>{{dy, x}}, dx, add);
}

#define WARPTAPE_INSTANTIATE(dtype, T, name) template struct NormalizeCuda<T>;
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::normalize
