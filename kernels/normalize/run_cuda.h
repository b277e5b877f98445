#pragma once
// From tensors to the kernels of normalize.cu: plans and scratch.

#include "core/tensor.h"
#include "kernels/normalize/arithmetic.h"

namespace warptape::normalize {

template <class T>
void statistics_cuda(const char* name, const Tensor& x, const Sets& sets,
                     const KeepStatistics<Compute<T>>& keep);
template <class T>
void keep_running_cuda(const char* name, const StatisticsSource<Compute<T>>& source, int64_t count,
                       Statistics* kept);
template <class T>
void gradients_cuda(const char* name, const Tensor& dy, const Tensor& x, const Sets& sets,
                    const Statistics* statistics, const StatisticsIndex& index,
                    const KeepGradients<Compute<T>>& keep);
template <class T>
void apply_cuda(const char* name, const Tensor& x, const Sets& sets, const Normalize<T>& op,
                Tensor& y, bool add);
template <class T>
void apply_gradient_cuda(const char* name, const Tensor& dy, const Tensor& x, const Sets& sets,
                         const NormalizeGradient<T>& op, Tensor& dx, bool add);

}  // namespace warptape::normalize
