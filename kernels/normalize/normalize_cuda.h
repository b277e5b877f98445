#pragma once
#include "core/device/gpu.h"
#include "kernels/normalize/arithmetic.h"

namespace warptape::normalize {

// Each of x's dtype T, the sets as the plan has them.
template <class T>
struct NormalizeCuda {
  using C = Compute<T>;

  static void statistics(const char* name, gpu::StreamHandle stream, const SetsPlan& plan,
                         const T* x, const KeepStatistics<C>& keep, Sums* partials,
                         unsigned long long* arrivals);
  static void keep_running(const char* name, gpu::StreamHandle stream,
                           const StatisticsSource<C>& source, int64_t count, Statistics* kept);
  static void gradients(const char* name, gpu::StreamHandle stream, const SetsPlan& plan,
                        const T* dy, const T* x, const Statistics* statistics,
                        const StatisticsIndex& index, const KeepGradients<C>& keep, Sums* partials,
                        unsigned long long* arrivals);
  static void apply(const char* name, gpu::StreamHandle stream, const SetsPlan& plan,
                    const Normalize<T>& op, const T* x, T* y, bool add);
  static void apply_gradient(const char* name, gpu::StreamHandle stream, const SetsPlan& plan,
                             const NormalizeGradient<T>& op, const T* dy, const T* x, T* dx,
                             bool add);
};

}  // namespace warptape::normalize
