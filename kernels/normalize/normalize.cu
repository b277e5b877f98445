#include "kernels/normalize/apply.cuh"
#include "kernels/normalize/normalize_cuda.h"
#include "kernels/normalize/sums.cuh"

namespace warptape::normalize {
namespace {

template <class P>
__global__ void __launch_bounds__(block_threads)
    keep_running_kernel(const StatisticsSource<P> source, int64_t count, Statistics* kept) {
  const int64_t i = int64_t{blockIdx.x} * block_threads + threadIdx.x;
  if (i < count) {
    kept[i] = source.of_running(i);
  }
}

}  // namespace

template <class T>
void NormalizeCuda<T>::statistics(const char* name, gpu::StreamHandle stream, const SetsPlan& plan,
                                  const T* x, const KeepStatistics<C>& keep, Sums* partials,
                                  unsigned long long* arrivals) {
  launch_sums(name, stream, plan, MomentSummand<T>{x}, Inputs<T, 1>{{x}}, keep,
              Partials{partials, arrivals});
}

template <class T>
void NormalizeCuda<T>::keep_running(const char* name, gpu::StreamHandle stream,
                                    const StatisticsSource<C>& source, int64_t count,
                                    Statistics* kept) {
  launch(&keep_running_kernel<C>,
         {.grid = dim3(static_cast<unsigned>(detail::divide_up(count, block_threads))),
          .block = dim3(block_threads),
          .stream = stream,
          .name = name},
         source, count, kept);
}

template <class T>
void NormalizeCuda<T>::gradients(const char* name, gpu::StreamHandle stream, const SetsPlan& plan,
                                 const T* dy, const T* x, const Statistics* statistics,
                                 const StatisticsIndex& index, const KeepGradients<C>& keep,
                                 Sums* partials, unsigned long long* arrivals) {
  const Inputs<T, 2> in{{dy, x}};
  const Partials left{partials, arrivals};
  if (index.varies()) {
    const GradientSummand<T, true> summand{statistics, index};
    launch_sums(name, stream, plan, summand, in, keep, left);
  } else {
    const GradientSummand<T, false> summand{statistics, index};
    launch_sums(name, stream, plan, summand, in, keep, left);
  }
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
