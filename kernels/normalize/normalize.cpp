#include "kernels/normalize/normalize.h"

#include "core/device/on_device.h"
#include "kernels/normalize/run_cuda.h"

namespace warptape::normalize {

Tensor empty_pairs(int64_t count, Device device) {
  return Tensor::empty({count, 2}, float64, device);
}

void keep_statistics(const char* name, const Tensor& x, const Sets& sets, double eps,
                     double momentum, const RunningTensors& running, Tensor& statistics) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    const auto keep =
        keeper<T>(statistics, static_cast<double>(sets.size()), eps, momentum, running);
    on_device(
        name, x.device(), [&] { NormalizeCpu<T>::statistics(sets, x.data<T>(), keep); },
        [&] { statistics_cuda<T>(name, x, sets, keep); });
  });
}

namespace {

// The running statistics as pairs, which the sums read.
Tensor kept_running(const char* name, const Tensor& x, const Sets& sets,
                    const SourceTensors& source) {
  Tensor kept = empty_pairs(sets.sets, x.device());
  auto* pairs = mutable_pairs<Statistics>(kept);
  dispatch_floating(x.dtype(), [&]<class T>() {
    const auto from = source.source<Compute<T>>();
    on_device(
        name, x.device(), [&] { NormalizeCpu<T>::keep_running(from, sets.sets, pairs); },
        [&] { keep_running_cuda<T>(name, from, sets.sets, pairs); });
  });
  return kept;
}

}  // namespace

void sum_gradients(const char* name, const Tensor& dy, const Tensor& x, const Sets& sets,
                   const SourceTensors& source, const WantedGradients& wanted) {
  const Tensor kept = source.kept.defined() ? source.kept : kept_running(name, x, sets, source);
  dispatch_floating(x.dtype(), [&]<class T>() {
    const auto keep = keeper<T>(wanted, static_cast<double>(sets.size()));
    const auto* statistics = SourceTensors::pairs<Statistics>(kept);
    on_device(
        name, x.device(),
        [&] {
          NormalizeCpu<T>::gradients(sets, dy.data<T>(), x.data<T>(), statistics, source.index,
                                     keep);
        },
        [&] { gradients_cuda<T>(name, dy, x, sets, statistics, source.index, keep); });
  });
}

namespace {

template <class T>
void run_apply(const char* name, const Tensor& x, const Sets& sets, const Normalize<T>& op,
               const GradientTarget& to) {
  Tensor y = to.buffer;
  const bool add = to.mode == WriteMode::Accumulate;
  on_device(
      name, x.device(),
      [&] { NormalizeCpu<T>::apply(sets, op, x.data<T>(), y.mutable_data<T>(), add); },
      [&] { apply_cuda(name, x, sets, op, y, add); });
}

}  // namespace

void apply(const char* name, const Tensor& x, const Sets& sets, const SourceTensors& source,
           const Tensor& weight, const Tensor& bias, Tensor& y, const Tensor& batches) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    using P = Compute<T>;
    Tensor counted = batches;
    run_apply<T>(name, x, sets,
                 {.source = source.source<P>(),
                  .weight = data_or_null<P>(weight),
                  .bias = data_or_null<P>(bias),
                  .batches = mutable_data_or_null<int64_t>(counted)},
                 {y, WriteMode::Overwrite});
  });
}

void apply_scale(const char* name, const Tensor& dy, const Sets& sets, const SourceTensors& source,
                 const Tensor& weight, const GradientTarget& dx) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    using P = Compute<T>;
    run_apply<T>(
        name, dy, sets,
        {.source = source.source<P>(), .weight = data_or_null<P>(weight), .scales_only = true}, dx);
  });
}

void apply_gradient(const char* name, const Tensor& dy, const Tensor& x, const Sets& sets,
                    const SourceTensors& source, const Tensor& means, const Tensor& weight,
                    const GradientTarget& dx) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    using P = Compute<T>;
    const NormalizeGradient<T> op{.statistics = SourceTensors::pairs<Statistics>(source.kept),
                                  .means = SourceTensors::pairs<Sums>(means),
                                  .index = source.index,
                                  .weight = data_or_null<P>(weight)};
    Tensor to = dx.buffer;
    const bool add = dx.mode == WriteMode::Accumulate;
    on_device(
        name, x.device(),
        [&] {
          NormalizeCpu<T>::apply_gradient(sets, op, dy.data<T>(), x.data<T>(), to.mutable_data<T>(),
                                          add);
        },
        [&] { apply_gradient_cuda(name, dy, x, sets, op, to, add); });
  });
}

}  // namespace warptape::normalize
