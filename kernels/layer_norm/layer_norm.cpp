#include "kernels/layer_norm/layer_norm.h"

#include <array>
#include <vector>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "kernels/layer_norm/layer_norm_kernels.h"
#include "kernels/normalize/normalize.h"
#include "kernels/normalize/scale_and_shift.h"

namespace warptape {
namespace {

constexpr const char* name = "layer_norm";
constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

void check_arguments(const Operand& x, const Shape& normalized, const Operand& weight,
                     const Operand& bias, double eps) {
  check_floating(name, x);
  const int dims = normalized.rank();
  check<ShapeError>(dims >= 1, x.site(),
                    "[layer_norm] normalized_shape: got (), wanted one dimension or more");
  bool fits = x.rank() >= dims;
  for (int d = 0; fits && d < dims; ++d) {
    fits = x.size(x.rank() - dims + d) == normalized[d];
  }
  check<ShapeError>(fits, x.site(),
                    "[layer_norm] x: got shape {}, wanted {} as its last dimensions", x.shape(),
                    normalized);
  normalize::check_parameter(name, "weight", x, weight, normalized);
  normalize::check_parameter(name, "bias", x, bias, normalized);
  normalize::check_eps(name, x, eps);
}

// How the rows of x lie in memory, and in which order their places do.
class Layout {
 public:
  Layout(const Tensor& x, const Shape& normalized) : normalized_(normalized) {
    const int first = x.rank() - normalized.rank();
    const bool is_channels_last = x.memory_format() == channels_last;
    extents_.length = normalized.numel();
    if (is_channels_last && first > 1) {
      extents_.inner = x.size(1);
    }
    const int64_t others = extents_.length * extents_.inner;
    extents_.outer = others == 0 ? 0 : x.numel() / others;
    permutes_ = is_channels_last && first <= 1;
    in_memory_ = normalized;
    if (permutes_ && first == 1) {
      std::vector<int64_t> sizes(normalized.begin(), normalized.end());
      sizes.insert(sizes.begin(), 1);
      in_memory_ = Shape(sizes);
    }
  }

  const rows::Extents& extents() const { return extents_; }
  // Whether a weight lies as a row's places do in memory.
  bool goes_straight(const Tensor& parameter) const {
    return !permutes_ && parameter.defined() && parameter.memory_format() == MemoryFormat::RowMajor;
  }

  // A weight with an element for each place of a row.
  Tensor parameter(const Tensor& parameter, DType dtype) const {
    const Tensor values = normalize::as_computed(parameter, dtype);
    return permutes_ && values.defined()
               ? primitives::relayout(values.view(in_memory_), channels_last)
               : values;
  }
  Tensor empty_gradient(DType dtype, Device device) const {
    return Tensor::empty(in_memory_, compute_dtype(dtype), device,
                         permutes_ ? channels_last : MemoryFormat::RowMajor);
  }
  // What was written in the order of memory, as a weight.
  Tensor gradient(const Tensor& in_memory) const {
    return primitives::relayout(in_memory, MemoryFormat::RowMajor).view(normalized_);
  }

  const Shape& normalized() const { return normalized_; }

  // All elements with one place in a row, and where their rows' statistics are.
  normalize::Sets places() const { return {1, extents_.outer, extents_.length, extents_.inner}; }
  normalize::StatisticsIndex index() const { return {.along = extents_.inner, .run = 1}; }

 private:
  Shape normalized_;
  Shape in_memory_;
  rows::Extents extents_;
  bool permutes_ = false;  // a row's places in memory are not in the order of normalized_shape
};

// Of weight (input 1) and bias (2), in one pass. goes_straight: into the buffer of input i, which
// lies as they do.
void parameter_gradients(Backward& context, const Tensor& dy, const Tensor& x,
                         const Tensor& statistics, const Layout& layout,
                         const std::array<bool, 3>& goes_straight) {
  normalize::WantedGradients wanted;
  GradientTarget* targets[] = {nullptr, &wanted.of_weight, &wanted.of_bias};
  for (int i : {1, 2}) {
    if (context.needs(i)) {
      *targets[i] =
          goes_straight[static_cast<size_t>(i)]
              ? normalize::wanted_gradient(context, i, x.dtype())
              : GradientTarget{layout.empty_gradient(x.dtype(), x.device()), WriteMode::Overwrite};
    }
  }
  normalize::sum_gradients(name, dy, x, layout.places(),
                           {.kept = statistics, .index = layout.index()}, wanted);
  for (int i : {1, 2}) {
    if (context.needs(i) && !goes_straight[static_cast<size_t>(i)]) {
      context.give(i, layout.gradient(targets[i]->buffer));
    }
  }
}

void backward(Backward& context, const Tensor& x, const Tensor& statistics, const Tensor& weight,
              const Layout& layout, const std::array<bool, 3>& goes_straight) {
  const Tensor& dy = context.grad();
  if (x.numel() == 0) {
    normalize::backward_of_nothing(context);
    return;
  }
  if (context.needs(0)) {
    const GradientTarget dx = context.into(0);
    const LayerNormRows rows{layout.extents(), weight, {}, 0};
    on_device(
        name, x.device(), [&] { layer_norm_backward_cpu(dy, x, statistics, rows, dx); },
        [&] { layer_norm_backward_cuda(dy, x, statistics, rows, dx); });
  }
  if (context.needs(1) || context.needs(2)) {
    parameter_gradients(context, dy, x, statistics, layout, goes_straight);
  }
}

// The same as ops that are recorded.
void backward_as_ops(Backward& context, const Tensor& x, const Tensor& weight, const Layout& layout,
                     double eps) {
  const Tensor scale = weight.defined() ? layout.gradient(weight) : Tensor();
  const std::array inputs = {context.input(0, x), context.input(1, scale), context.added_input(2)};
  const Shape& shape = layout.normalized();
  std::vector<int> dims;
  for (int d = x.rank() - shape.rank(); d < x.rank(); ++d) {
    dims.push_back(d);
  }
  context.differentiate(inputs, [&](std::span<const Tensor> in) {
    return normalize::scaled_and_shifted(normalize::normalized_over(in[0], dims, eps), in[1], in[2],
                                         shape);
  });
}

}  // namespace

Tensor layer_norm(const Operand& x, const Shape& normalized_shape, const Operand& weight,
                  const Operand& bias, double eps) {
  check_arguments(x, normalized_shape, weight, bias, eps);
  const profile::Range range(name);
  const Layout layout(x.tensor(), normalized_shape);
  const LayerNormRows rows{layout.extents(), layout.parameter(weight.tensor(), x.dtype()),
                           layout.parameter(bias.tensor(), x.dtype()), eps};
  Tensor y = Tensor::empty_like(x.tensor());
  Tensor statistics = normalize::empty_pairs(rows.extents.count(), x.device());
  if (x.numel() > 0) {
    on_device(
        name, x.device(), [&] { layer_norm_forward_cpu(x.tensor(), rows, y, statistics); },
        [&] { layer_norm_forward_cuda(x.tensor(), rows, y, statistics); });
  }
  if (Tape* tape = Tape::recording({&x, &weight, &bias})) {
    const std::array<bool, 3> goes_straight = {false, layout.goes_straight(weight.tensor()),
                                               layout.goes_straight(bias.tensor())};
    tape->record(
        name, {&x, &weight, &bias}, {&y},
        [saved_x = Saved(x.tensor()), saved_statistics = Saved(statistics),
         saved_weight = normalize::saved_if_defined(rows.weight), layout, goes_straight,
         eps](Backward& context) {
          const Tensor of_weight = normalize::value_if_saved(saved_weight);
          if (context.creates_graph()) {
            backward_as_ops(context, saved_x.get(), of_weight, layout, eps);
          } else {
            backward(context, saved_x.get(), saved_statistics.get(), of_weight, layout,
                     goes_straight);
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
