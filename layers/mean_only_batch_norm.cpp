#include "layers/mean_only_batch_norm.h"

#include "core/check.h"
#include "core/primitives.h"
#include "kernels/mean/mean.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/reshape/reshape.h"
#include "layers/scale_and_shift.h"

namespace warptape {

MeanOnlyBatchNorm::MeanOnlyBatchNorm(const Options& options, const Site& site) : options_(options) {
  check<ValueError>(options.num_features >= 1, site,
                    "[MeanOnlyBatchNorm] num_features: got {}, wanted 1 or more",
                    options.num_features);
  check<ValueError>(!options.momentum || (*options.momentum >= 0 && *options.momentum <= 1), site,
                    "[MeanOnlyBatchNorm] momentum: got {}, wanted 0 to 1, or none",
                    options.momentum.value_or(0));
  const Shape shape{options.num_features};
  check_countable("MeanOnlyBatchNorm", "bias", shape, options.dtype, site);
  if (options.bias) {
    bias = Parameter(Tensor::zeros(shape, options.dtype));
  }
  running_mean = Buffer(Tensor::zeros(shape, options.dtype));
  num_batches_tracked = Buffer(Tensor::zeros({}, int64));
}

void MeanOnlyBatchNorm::fields(Visitor& visit) {
  visit("bias", bias)("running_mean", running_mean)("num_batches_tracked", num_batches_tracked);
}

std::string MeanOnlyBatchNorm::settings() const {
  return fmt::format("{}, momentum={}, bias={}", options_.num_features,
                     options_.momentum ? fmt::format("{}", *options_.momentum) : "None",
                     python(options_.bias));
}

void MeanOnlyBatchNorm::check_input(const Operand& x) const {
  check_floating("MeanOnlyBatchNorm", x);
  check<ShapeError>(
      x.rank() >= 2 && x.rank() <= 4 && x.size(1) == options_.num_features, x.site(),
      "[MeanOnlyBatchNorm] x: got shape {}, wanted (N, {}), (N, {}, L) or (N, {}, H, W)", x.shape(),
      options_.num_features, options_.num_features, options_.num_features);
  check<DTypeError>(x.dtype() == options_.dtype || x.dtype() == bfloat16, x.site(),
                    "[MeanOnlyBatchNorm] x: got {}, wanted {}, as its bias is, or bfloat16",
                    to_string(x.dtype()), to_string(options_.dtype));
  check<ValueError>(!is_training() || x.numel() != options_.num_features, x.site(),
                    "[MeanOnlyBatchNorm] x: got shape {}, wanted more than one value per channel "
                    "in training",
                    x.shape());
}

// In place, on the device: the buffers keep their addresses, and no host waits.
void MeanOnlyBatchNorm::track(const Tensor& batch_mean) {
  Tensor batches = num_batches_tracked.value();
  const Tensor count = add(batches.to(float64), 1);
  primitives::copy(count.to(int64), batches);
  Tensor running = running_mean.value();
  const Tensor towards = sub(batch_mean, running);
  const Tensor step = options_.momentum ? mul(towards, *options_.momentum)
                                        : div(towards, count.to(running.dtype()));
  primitives::copy(add(running, step), running);
}

Tensor MeanOnlyBatchNorm::forward(const Operand& x) {
  check_input(x);
  const Operand wide = x.dtype() == options_.dtype
                           ? x
                           : Operand(x.to(options_.dtype, x.site()), x.site().file, x.site().line);
  Tensor shift;
  if (is_training()) {
    std::vector<int> all_but_channels{0};
    for (int axis = 2; axis < x.rank(); ++axis) {
      all_but_channels.push_back(axis);
    }
    shift = mean(wide, all_but_channels);
    if (x.numel() > 0) {
      track(shift.detach());
    }
  } else {
    shift = running_mean.value();
  }
  if (bias.defined()) {
    shift = sub(shift, bias);
  }
  std::vector<int64_t> per_channel(static_cast<size_t>(x.rank()), 1);
  per_channel[1] = options_.num_features;
  return sub(wide, reshape(shift, per_channel)).to(x.dtype(), x.site());
}

}  // namespace warptape
