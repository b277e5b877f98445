#include "layers/batch_norm.h"

#include "core/check.h"
#include "layers/scale_and_shift.h"

namespace warptape {

BatchNorm::BatchNorm(const char* type, const Options& options, int from, int to, const Site& site)
    : type_(type), options_(options), from_(from), to_(to) {
  options_.bias = options.affine && options.bias;
  check<ValueError>(options.num_features >= 1, site, "[{}] num_features: got {}, wanted 1 or more",
                    type, options.num_features);
  check_eps(type, options.eps, site);
  check<ValueError>(!options.momentum || (*options.momentum >= 0 && *options.momentum <= 1), site,
                    "[{}] momentum: got {}, wanted 0 to 1, or none", type,
                    options.momentum.value_or(0));
  const Shape shape{options.num_features};
  check_countable(type, "weight", shape, options.dtype, site);
  make_scale_and_shift(weight, bias, shape, options.dtype, options.affine, options_.bias);
  if (options.track_running_stats) {
    const DType dtype = compute_dtype(options.dtype);
    running_mean = Buffer(Tensor::zeros(shape, dtype));
    running_var = Buffer(Tensor::ones(shape, dtype));
    num_batches_tracked = Buffer(Tensor::zeros({}, int64));
  }
}

void BatchNorm::fields(Visitor& visit) {
  visit("weight", weight)("bias", bias);
  visit("running_mean", running_mean)("running_var", running_var);
  visit("num_batches_tracked", num_batches_tracked);
}

Tensor BatchNorm::forward(const Operand& x) {
  check_defined(type_, x);
  check<ShapeError>(x.rank() >= from_ && x.rank() <= to_, x.site(),
                    "[{}] x: got shape {}, wanted {}", type_, x.shape(),
                    to_ == 4 ? "(N, C, H, W)" : "(N, C) or (N, C, L)");
  RunningStatistics running;
  if (options_.track_running_stats) {
    running = {running_mean.value(), running_var.value(), num_batches_tracked.value()};
  }
  return batch_norm(x, running, scale_of(weight, x.site()), bias,
                    {.training = is_training() || !options_.track_running_stats,
                     .momentum = options_.momentum,
                     .eps = options_.eps});
}

std::string BatchNorm::settings() const {
  return fmt::format(
      "{}, eps={}, momentum={}, affine={}, bias={}, track_running_stats={}", options_.num_features,
      options_.eps, options_.momentum ? fmt::format("{}", *options_.momentum) : "None",
      python(options_.affine), python(options_.bias), python(options_.track_running_stats));
}

}  // namespace warptape
