#pragma once
// What normalisations are made of, on both devices: the statistics of sets of elements (sets.h),
// the sums that gradients need, and the passes that write y and dx. x and dy have one dtype, all
// that belongs to a set is in the dtype of its arithmetic (compute_dtype) but for statistics and
// sums, pairs of doubles. Tensors have an element or more.

#include "core/tape.h"
#include "kernels/normalize/arithmetic.h"

namespace warptape::normalize {

// Space for `count` pairs of doubles, as Statistics and Sums are.
Tensor empty_pairs(int64_t count, Device device);

// Undefined: there are none. batches: int64, of one element.
struct RunningTensors {
  Tensor mean{};
  Tensor variance{};
  Tensor batches{};
};

struct SourceTensors {
  Tensor kept{};  // Statistics; undefined: the running ones are used
  Tensor running_mean{};
  Tensor running_variance{};
  double eps = 0;
  StatisticsIndex index{};

  template <class P>
  StatisticsSource<P> source() const {
    if (kept.defined()) {
      return {.kept = pairs<Statistics>(kept), .index = index};
    }
    return {.running_mean = running_mean.data<P>(),
            .running_variance = running_variance.data<P>(),
            .eps = eps,
            .index = index};
  }
  template <class Pair>
  static const Pair* pairs(const Tensor& tensor) {
    return reinterpret_cast<const Pair*>(tensor.data<double>());
  }
};

template <class Pair>
Pair* mutable_pairs(Tensor& tensor) {
  return reinterpret_cast<Pair*>(tensor.mutable_data<double>());
}

// The values of an optional tensor, or a null pointer.
template <class P>
const P* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<P>() : nullptr;
}
template <class P>
P* mutable_data_or_null(Tensor& tensor) {
  return tensor.defined() ? tensor.mutable_data<P>() : nullptr;
}

// Statistics of each set. momentum: of the running ones, below 0 for the cumulative average.
void keep_statistics(const char* name, const Tensor& x, const Sets& sets, double eps,
                     double momentum, const RunningTensors& running, Tensor& statistics);

// What becomes of the sums of dy and of dy * normalised x. What is undefined is not wanted; outer
// is 1 where gradients of weight or bias are.
struct WantedGradients {
  Tensor sums{};
  Tensor means{};   // times `weight`, if defined, and over the elements of a set
  Tensor weight{};  // one for each j
  GradientTarget of_weight{};
  GradientTarget of_bias{};
};
void sum_gradients(const char* name, const Tensor& dy, const Tensor& x, const Sets& sets,
                   const SourceTensors& source, const WantedGradients& wanted);

// y = normalised x * weight[j] + bias[j]; batches, if defined, is counted up.
void apply(const char* name, const Tensor& x, const Sets& sets, const SourceTensors& source,
           const Tensor& weight, const Tensor& bias, Tensor& y, const Tensor& batches = {});
// dx = dy * weight[j] / deviation, where the statistics are constants.
void apply_scale(const char* name, const Tensor& dy, const Sets& sets, const SourceTensors& source,
                 const Tensor& weight, const GradientTarget& dx);
// dx where the statistics are those of x; means as WantedGradients has them, one for each of them.
void apply_gradient(const char* name, const Tensor& dy, const Tensor& x, const Sets& sets,
                    const SourceTensors& source, const Tensor& means, const Tensor& weight,
                    const GradientTarget& dx);

// As tensors have them, whatever the device: what the devices offer.
template <class T>
KeepStatistics<Compute<T>> keeper(Tensor& statistics, double count, double eps, double momentum,
                                  RunningTensors running) {
  using P = Compute<T>;
  Running<P> pointers;
  if (running.mean.defined()) {
    pointers = {running.mean.mutable_data<P>(), running.variance.mutable_data<P>(),
                data_or_null<int64_t>(running.batches), momentum};
  }
  return {mutable_pairs<Statistics>(statistics), count, eps, pointers};
}

template <class T>
KeepGradients<Compute<T>> keeper(WantedGradients wanted, double count) {
  using P = Compute<T>;
  KeepGradients<P> keep;
  keep.sums = wanted.sums.defined() ? mutable_pairs<Sums>(wanted.sums) : nullptr;
  keep.means = wanted.means.defined() ? mutable_pairs<Sums>(wanted.means) : nullptr;
  keep.weight = data_or_null<P>(wanted.weight);
  keep.count = count;
  keep.of_weight = mutable_data_or_null<P>(wanted.of_weight.buffer);
  keep.of_bias = mutable_data_or_null<P>(wanted.of_bias.buffer);
  keep.add_to_weight = wanted.of_weight.mode == WriteMode::Accumulate;
  keep.add_to_bias = wanted.of_bias.mode == WriteMode::Accumulate;
  return keep;
}

template <class T>
struct NormalizeCpu {
  using C = Compute<T>;

  static void statistics(const Sets& sets, const T* x, const KeepStatistics<C>& keep);
  static void keep_running(const StatisticsSource<C>& source, int64_t count, Statistics* kept);
  static void gradients(const Sets& sets, const T* dy, const T* x, const Statistics* statistics,
                        const StatisticsIndex& index, const KeepGradients<C>& keep);
  static void apply(const Sets& sets, const Normalize<T>& op, const T* x, T* y, bool add);
  static void apply_gradient(const Sets& sets, const NormalizeGradient<T>& op, const T* dy,
                             const T* x, T* dx, bool add);
};

}  // namespace warptape::normalize
