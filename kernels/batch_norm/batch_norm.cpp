#include "kernels/batch_norm/batch_norm.h"

#include "core/check.h"
#include "core/profile.h"
#include "kernels/normalize/normalize.h"
#include "kernels/normalize/scale_and_shift.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/reshape/reshape.h"

namespace warptape {
namespace {

constexpr const char* name = "batch_norm";

void check_running(const Operand& x, const char* what, const Tensor& running) {
  const DType wanted = compute_dtype(x.dtype());
  check<ShapeError>(running.shape() == Shape{x.size(1)}, x.site(),
                    "[batch_norm] running {}: got shape {}, wanted ({},)", what, running.shape(),
                    x.size(1));
  check<DTypeError>(running.dtype() == wanted, x.site(),
                    "[batch_norm] running {}: got {}, wanted {} for {}", what,
                    to_string(running.dtype()), to_string(wanted), to_string(x.dtype()));
  check<DeviceError>(running.device() == x.device(), x.site(),
                     "[batch_norm] running {}: got one on {}, wanted {}", what,
                     to_string(running.device()), to_string(x.device()));
}

void check_batches(const Operand& x, const Tensor& batches) {
  check<DTypeError>(batches.dtype() == int64, x.site(),
                    "[batch_norm] running batches: got {}, wanted int64",
                    to_string(batches.dtype()));
  check<ShapeError>(batches.numel() == 1, x.site(),
                    "[batch_norm] running batches: got shape {}, wanted one element",
                    batches.shape());
  check<DeviceError>(batches.device() == x.device(), x.site(),
                     "[batch_norm] running batches: got one on {}, wanted {}",
                     to_string(batches.device()), to_string(x.device()));
}

void check_statistics(const Operand& x, const RunningStatistics& running,
                      const BatchNormOptions& options) {
  check<ValueError>(running.mean.defined() == running.variance.defined(), x.site(),
                    "[batch_norm] running statistics: got only one of mean and variance, wanted "
                    "both or none");
  check<ValueError>(options.training || running.mean.defined(), x.site(),
                    "[batch_norm] running statistics: got none, wanted some outside of training");
  if (running.mean.defined()) {
    check_running(x, "mean", running.mean);
    check_running(x, "variance", running.variance);
  }
  if (running.batches.defined()) {
    check_batches(x, running.batches);
  }
  if (!options.training) {
    return;
  }
  check<ValueError>(!running.mean.defined() || options.momentum || running.batches.defined(),
                    x.site(),
                    "[batch_norm] momentum: got none, wanted a number, or running batches");
  check<ValueError>(!options.momentum || (*options.momentum >= 0 && *options.momentum <= 1),
                    x.site(), "[batch_norm] momentum: got {}, wanted 0 to 1, or none",
                    options.momentum.value_or(0));
  const int64_t values = x.size(1) == 0 ? 0 : x.numel() / x.size(1);
  check<ValueError>(values != 1, x.site(),
                    "[batch_norm] x: got shape {}, wanted more than one value per channel in "
                    "training",
                    x.shape());
}

void check_arguments(const Operand& x, const RunningStatistics& running, const Operand& weight,
                     const Operand& bias, const BatchNormOptions& options) {
  check_floating(name, x);
  check<ShapeError>(x.rank() >= 2 && x.rank() <= 4, x.site(),
                    "[batch_norm] x: got shape {}, wanted (N, C), (N, C, L) or (N, C, H, W)",
                    x.shape());
  normalize::check_parameter(name, "weight", x, weight, {x.size(1)});
  normalize::check_parameter(name, "bias", x, bias, {x.size(1)});
  normalize::check_eps(name, x, options.eps);
  check_statistics(x, running, options);
}

// The channels of x, of one element or more.
normalize::Sets channels_of(const Tensor& x) {
  const int64_t samples = x.size(0);
  const int64_t channels = x.size(1);
  const int64_t spatial = x.numel() / (samples * channels);
  if (x.memory_format() == MemoryFormat::ChannelsLast) {
    return {1, samples * spatial, channels, 1};
  }
  return {1, samples, channels, spatial};
}

// What backward needs; without statistics of x the running ones are constants.
struct Kept {
  Saved x;
  Saved statistics;
  Saved running_mean;
  Saved running_variance;
  Saved weight;
  double eps;

  normalize::SourceTensors source() const {
    return {.kept = normalize::value_if_saved(statistics),
            .running_mean = normalize::value_if_saved(running_mean),
            .running_variance = normalize::value_if_saved(running_variance),
            .eps = eps,
            .index = {.set = 1}};
  }
};

void backward(Backward& context, const Kept& kept) {
  const Tensor& dy = context.grad();
  const Tensor& x = kept.x.get();
  if (x.numel() == 0) {
    normalize::backward_of_nothing(context);
    return;
  }
  const normalize::Sets sets = channels_of(x);
  const normalize::SourceTensors source = kept.source();
  const Tensor weight = normalize::value_if_saved(kept.weight);
  const bool of_batch = kept.statistics.defined();
  normalize::WantedGradients wanted{
      .weight = weight,
      .of_weight = normalize::wanted_gradient(context, 1, x.dtype()),
      .of_bias = normalize::wanted_gradient(context, 2, x.dtype()),
  };
  if (of_batch && context.needs(0)) {
    wanted.means = normalize::empty_pairs(sets.sets, x.device());
  }
  if (wanted.means.defined() || context.needs(1) || context.needs(2)) {
    normalize::sum_gradients(name, dy, x, sets, source, wanted);
  }
  if (!context.needs(0)) {
    return;
  }
  if (of_batch) {
    normalize::apply_gradient(name, dy, x, sets, source, wanted.means, weight, context.into(0));
  } else {
    normalize::apply_scale(name, dy, sets, source, weight, context.into(0));
  }
}

// The same as ops that are recorded.
void backward_as_ops(Backward& context, const Kept& kept) {
  const Tensor& x = kept.x.get();
  const std::array inputs = {context.input(0, x),
                             context.input(1, normalize::value_if_saved(kept.weight)),
                             context.added_input(2)};
  std::vector<int64_t> channels(static_cast<size_t>(x.rank()), 1);
  channels[1] = x.size(1);
  std::vector<int> all_but_channels{0};
  for (int d = 2; d < x.rank(); ++d) {
    all_but_channels.push_back(d);
  }
  context.differentiate(inputs, [&](std::span<const Tensor> in) {
    Tensor y;
    if (kept.statistics.defined()) {
      y = normalize::normalized_over(in[0], all_but_channels, kept.eps);
    } else {
      const Tensor wide = in[0].to(compute_dtype(x.dtype()));
      const Tensor center = reshape(kept.running_mean.get().to(wide.dtype()), channels);
      const Tensor variance = reshape(kept.running_variance.get().to(wide.dtype()), channels);
      y = (wide - center) * rsqrt(variance + kept.eps);
    }
    return normalize::scaled_and_shifted(y, in[1], in[2], Shape(channels));
  });
}

}  // namespace

Tensor batch_norm(const Operand& x, const RunningStatistics& running, const Operand& weight,
                  const Operand& bias, const BatchNormOptions& options) {
  check_arguments(x, running, weight, bias, options);
  const profile::Range range(name);
  const Tensor scale = normalize::as_computed(weight.tensor(), x.dtype());
  Tensor y = Tensor::empty_like(x.tensor());
  Tensor statistics;
  if (x.numel() > 0) {
    const normalize::Sets sets = channels_of(x.tensor());
    Tensor batches;
    if (options.training) {
      statistics = normalize::empty_pairs(sets.sets, x.device());
      batches = running.batches;
      normalize::keep_statistics(name, x.tensor(), sets, options.eps, options.momentum.value_or(-1),
                                 {running.mean, running.variance, batches}, statistics);
    }
    normalize::apply(name, x.tensor(), sets,
                     {.kept = statistics,
                      .running_mean = running.mean,
                      .running_variance = running.variance,
                      .eps = options.eps,
                      .index = {.set = 1}},
                     scale, normalize::as_computed(bias.tensor(), x.dtype()), y, batches);
  }
  if (Tape* tape = Tape::recording({&x, &weight, &bias})) {
    Kept kept{.x = Saved(x.tensor()),
              .statistics = normalize::saved_if_defined(statistics),
              .running_mean = Saved(),
              .running_variance = Saved(),
              .weight = normalize::saved_if_defined(scale),
              .eps = options.eps};
    if (!options.training) {
      kept.running_mean = Saved(running.mean);
      kept.running_variance = Saved(running.variance);
    }
    tape->record(
        name, {&x, &weight, &bias}, {&y},
        [kept = std::move(kept)](Backward& context) {
          context.creates_graph() ? backward_as_ops(context, kept) : backward(context, kept);
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
