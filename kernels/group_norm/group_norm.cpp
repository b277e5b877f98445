#include "kernels/group_norm/group_norm.h"

#include <array>
#include <vector>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "kernels/group_norm/group_norm_kernels.h"
#include "kernels/normalize/normalize.h"
#include "kernels/normalize/scale_and_shift.h"
#include "kernels/reshape/reshape.h"

namespace warptape {
namespace {

constexpr const char* name = "group_norm";

void check_arguments(const Operand& x, int64_t groups, const Operand& weight, const Operand& bias,
                     double eps) {
  check_floating(name, x);
  check<ShapeError>(x.rank() >= 2, x.site(), "[group_norm] x: got shape {}, wanted (N, C, ...)",
                    x.shape());
  const int64_t channels = x.size(1);
  check<ValueError>(groups >= 1 && channels % groups == 0, x.site(),
                    "[group_norm] num_groups: got {}, wanted a divisor of {} channels", groups,
                    channels);
  normalize::check_parameter(name, "weight", x, weight, {channels});
  normalize::check_parameter(name, "bias", x, bias, {channels});
  normalize::check_eps(name, x, eps);
}

// Groups and channels of x (N, C, ...) as it lies in memory.
struct Layout {
  Layout(const Tensor& x, int64_t groups)
      : samples(x.size(0)), channels(x.size(1)), groups(groups) {
    spatial = x.numel() == 0 ? 0 : x.numel() / (samples * channels);
    is_channels_last = x.memory_format() == MemoryFormat::ChannelsLast;
  }
  int64_t width() const { return channels / groups; }
  normalize::Sets of_groups() const {
    return is_channels_last ? normalize::Sets{samples, spatial, groups, width()}
                            : normalize::Sets{samples, 1, groups, width() * spatial};
  }
  normalize::Sets of_channels() const {
    return is_channels_last ? normalize::Sets{samples, spatial, channels, 1}
                            : normalize::Sets{samples, 1, channels, spatial};
  }
  // Of the statistics of an element's group.
  normalize::StatisticsIndex index() const {
    return {.outer = groups, .set = 1, .sets_per_group = width()};
  }

  int64_t samples;
  int64_t channels;
  int64_t groups;
  int64_t spatial;
  bool is_channels_last;
};

void run_sums(const GroupSums& sums, const Tensor& x) {
  on_device(
      name, x.device(), [&] { group_norm_sums_cpu(sums, x.dtype()); },
      [&] { group_norm_sums_cuda(sums, x.dtype()); });
}

void backward(Backward& context, const Tensor& x, const Tensor& statistics, const Tensor& weight,
              const Layout& layout) {
  const Tensor& dy = context.grad();
  if (x.numel() == 0) {
    normalize::backward_of_nothing(context);
    return;
  }
  const normalize::SourceTensors source{.kept = statistics, .index = layout.index()};
  GroupSums sums{
      .sums = normalize::empty_pairs(layout.samples * layout.channels, x.device()),
      .samples = layout.samples,
      .channels = layout.channels,
      .groups = layout.groups,
      .spatial = layout.spatial,
      .weight = weight,
      .of_weight = normalize::wanted_gradient(context, 1, x.dtype()),
      .of_bias = normalize::wanted_gradient(context, 2, x.dtype()),
  };
  if (context.needs(0)) {
    sums.means = normalize::empty_pairs(layout.samples * layout.groups, x.device());
  }
  normalize::sum_gradients(name, dy, x, layout.of_channels(), source, {.sums = sums.sums});
  run_sums(sums, x);
  if (context.needs(0)) {
    normalize::apply_gradient(name, dy, x, layout.of_channels(), source, sums.means, weight,
                              context.into(0));
  }
}

// The same as ops that are recorded.
void backward_as_ops(Backward& context, const Tensor& x, const Tensor& weight, const Layout& layout,
                     double eps) {
  const std::array inputs = {context.input(0, x), context.input(1, weight), context.added_input(2)};
  std::vector<int64_t> channels(static_cast<size_t>(x.rank()), 1);
  channels[1] = layout.channels;
  context.differentiate(inputs, [&](std::span<const Tensor> in) {
    const Tensor groups = reshape(in[0], {layout.samples, layout.groups, layout.width(), -1});
    const Tensor y = normalize::normalized_over(groups, {2, 3}, eps);
    return normalize::scaled_and_shifted(reshape(y, {x.shape().begin(), x.shape().end()}), in[1],
                                         in[2], Shape(channels));
  });
}

}  // namespace

Tensor group_norm(const Operand& x, int64_t num_groups, const Operand& weight, const Operand& bias,
                  double eps) {
  check_arguments(x, num_groups, weight, bias, eps);
  const profile::Range range(name);
  const Layout layout(x.tensor(), num_groups);
  const Tensor scale = normalize::as_computed(weight.tensor(), x.dtype());
  Tensor y = Tensor::empty_like(x.tensor());
  Tensor statistics = normalize::empty_pairs(layout.samples * num_groups, x.device());
  if (x.numel() > 0) {
    normalize::keep_statistics(name, x.tensor(), layout.of_groups(), eps, 0, {}, statistics);
    normalize::apply(name, x.tensor(), layout.of_channels(),
                     {.kept = statistics, .index = layout.index()}, scale,
                     normalize::as_computed(bias.tensor(), x.dtype()), y);
  }
  if (Tape* tape = Tape::recording({&x, &weight, &bias})) {
    tape->record(
        name, {&x, &weight, &bias}, {&y},
        [saved_x = Saved(x.tensor()), saved_statistics = Saved(statistics),
         saved_scale = normalize::saved_if_defined(scale), layout, eps](Backward& context) {
          const Tensor of_weight = normalize::value_if_saved(saved_scale);
          if (context.creates_graph()) {
            backward_as_ops(context, saved_x.get(), of_weight, layout, eps);
          } else {
            backward(context, saved_x.get(), saved_statistics.get(), of_weight, layout);
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
