#include "kernels/geometry/conv_geometry.h"

#include <algorithm>
#include <vector>

#include "core/check.h"
#include "core/checked_size.h"
#include "kernels/geometry/axis_text.h"

namespace warptape {
namespace {

// How errors of a rank name its axes.
struct Names {
  const char* x;
  const char* weight;
  const char* transposed_weight;
  const char* sizes;
  const char* axes[ConvGeometry::max_rank];
};
constexpr Names names_of_rank[] = {
    {"(N, C, L)", "(O, C / groups, k)", "(C, O / groups, k)", "length", {"length"}},
    {"(N, C, H, W)",
     "(O, C / groups, kH, kW)",
     "(C, O / groups, kH, kW)",
     "image size",
     {"height", "width"}},
    {"(N, C, D, H, W)",
     "(O, C / groups, kD, kH, kW)",
     "(C, O / groups, kD, kH, kW)",
     "volume size",
     {"depth", "height", "width"}}};

const Names& names_of(std::span<const WindowOptions> options) {
  check<ShapeError>(!options.empty() && options.size() <= std::size(names_of_rank),
                    "[conv] spatial axes: got {}, wanted 1 to {}", options.size(),
                    std::size(names_of_rank));
  return names_of_rank[options.size() - 1];
}

template <class Holds>
bool all(std::span<const WindowOptions> options, const Holds& holds) {
  return std::all_of(options.begin(), options.end(), holds);
}

std::string padding_text(std::span<const WindowOptions> options) {
  std::vector<AxisPadding> paddings;
  for (const WindowOptions& axis : options) {
    paddings.push_back(axis.padding);
  }
  return to_string(paddings);
}

[[noreturn]] void refuse_option(const char* op, const char* option, const std::string& got,
                                const char* wanted, const Site& site) {
  throw ValueError(fmt::format("[{}] {}: got {}, wanted {}{}", op, option, got, wanted, at(site)));
}

void check_channels(const char* op, const Shape& x, const Shape& weight, int64_t groups,
                    const Site& site) {
  check<ValueError>(groups >= 1 && x[1] % groups == 0 && weight[0] % groups == 0, site,
                    "[{}] groups: got {}, wanted a divisor of {} input and {} output channels", op,
                    groups, x[1], weight[0]);
  const CheckedSize wanted = CheckedSize(weight[1]) * groups;
  check<ShapeError>(wanted.fits() && x[1] == wanted.value(), site,
                    "[{}] input channels: got {} in shape {}, wanted {} for weight {}{}", op, x[1],
                    x, wanted.capped(), weight,
                    groups == 1 ? "" : fmt::format(" in {} groups", groups));
}

WindowAxis axis_of(int64_t size, int64_t kernel, const WindowOptions& options) {
  WindowAxis axis{.size = size,
                  .kernel = kernel,
                  .stride = options.stride,
                  .padding_before = options.padding.before,
                  .padding_after = options.padding.after,
                  .dilation = options.dilation};
  if (options.padding.rule == AxisPadding::Rule::Same) {
    axis.padding_before = (axis.span() - 1) / 2;
    axis.padding_after = axis.span() - 1 - axis.padding_before;
  } else if (options.padding.rule == AxisPadding::Rule::Causal) {
    axis.padding_before = axis.span() - 1;
    axis.padding_after = 0;
  }
  return axis;
}

// Kernels count pixels in 32 bits; up to here no sum of sizes can overflow those, or 64.
constexpr int64_t largest = int64_t{1} << 28;

void check_small(const char* op, const char* what, int64_t number, const Site& site) {
  check<ValueError>(number <= largest, site, "[{}] {}: got {}, wanted at most {}", op, what, number,
                    largest);
}

// The kernel's size, an entry per axis.
std::span<const int64_t> check_ranks(const char* op, const Shape& x, const Shape& weight,
                                     size_t rank, const char* wanted_x, const char* wanted_weight,
                                     const Site& site) {
  const int dims = static_cast<int>(rank) + 2;
  check<ShapeError>(x.rank() == dims, site, "[{}] shape: got {}, wanted {}", op, x, wanted_x);
  check<ShapeError>(weight.rank() == dims, site, "[{}] weight: got shape {}, wanted {}", op, weight,
                    wanted_weight);
  const std::span kernel(weight.begin() + 2, rank);
  if (std::find(kernel.begin(), kernel.end(), 0) != kernel.end()) {
    throw ShapeError(fmt::format("[{}] kernel size: got {} in weight {}, wanted 1 or more{}", op,
                                 tuple_of(kernel), weight, at(site)));
  }
  return kernel;
}

void check_bias(const char* op, const Operand& x, const Operand& bias, int64_t channels) {
  if (bias.defined()) {
    check_bias_kind(op, x, bias);
    check<ShapeError>(bias.shape() == Shape{channels}, x.site(),
                      "[{}] bias: got shape {}, wanted ({},)", op, bias.shape(), channels);
  }
}

void count_windows(const char* op, const char* name, WindowAxis& axis, const Site& site) {
  const int64_t room = axis.size + axis.padding_before + axis.padding_after - axis.span();
  if (room < 0) [[unlikely]] {
    const bool is_symmetric = axis.padding_before == axis.padding_after;
    const std::string padding =
        is_symmetric ? std::to_string(axis.padding_before)
                     : fmt::format("({}, {})", axis.padding_before, axis.padding_after);
    throw ShapeError(fmt::format(
        "[{}] input {}: got {} with padding {}, wanted at least {} for kernel size {} "
        "with dilation {}{}",
        op, name, axis.size, padding, axis.span(), axis.kernel, axis.dilation, at(site)));
  }
  axis.out = room / axis.stride + 1;
}

}  // namespace

void check_window_options(const char* op, std::span<const WindowOptions> options,
                          const Site& site) {
  using O = WindowOptions;
  const auto stride = [](const O& o) { return o.stride; };
  const auto dilation = [](const O& o) { return o.dilation; };
  if (!all(options, [](const O& o) { return o.stride >= 1; })) {
    refuse_option(op, "stride", tuple_of(options, stride), "1 or more", site);
  }
  if (!all(options, [](const O& o) { return o.padding.before >= 0 && o.padding.after >= 0; })) {
    refuse_option(op, "padding", padding_text(options), "0 or more", site);
  }
  if (!all(options, [](const O& o) { return o.dilation >= 1; })) {
    refuse_option(op, "dilation", tuple_of(options, dilation), "1 or more", site);
  }
  if (!all(options,
           [](const O& o) { return o.padding.rule != AxisPadding::Rule::Same || o.stride == 1; })) {
    refuse_option(op, "stride", tuple_of(options, stride) + " with padding same", "1", site);
  }
}

ConvGeometry conv_geometry(const char* op, const Shape& x, const Shape& weight,
                           std::span<const WindowOptions> options, int64_t groups,
                           const Site& site) {
  const Names& names = names_of(options);
  const size_t rank = options.size();
  const std::span<const int64_t> kernel =
      check_ranks(op, x, weight, rank, names.x, names.weight, site);
  check_window_options(op, options, site);
  check_channels(op, x, weight, groups, site);

  ConvGeometry g{.batch = x[0],
                 .in_channels = x[1],
                 .out_channels = weight[0],
                 .groups = groups,
                 .op = {op},
                 .rank = static_cast<int>(rank)};
  // The span of a dilated kernel is computed from numbers that are small.
  for (size_t i = 0; i < rank; ++i) {
    const int64_t size = x[static_cast<int>(i) + 2];
    check_small(op, "stride", options[i].stride, site);
    check_small(op, "dilation", options[i].dilation, site);
    check_small(op, "kernel size", kernel[i], site);
    check_small(op, names.sizes, size, site);
    g.axes[i] = axis_of(size, kernel[i], options[i]);
    if (options[i].padding.rule != AxisPadding::Rule::Given) {
      check_small(op, "dilation * (kernel size - 1)", g.axes[i].span() - 1, site);
    }
    check_small(op, "padding", std::max(g.axes[i].padding_before, g.axes[i].padding_after), site);
  }
  for (size_t i = 0; i < rank; ++i) {
    count_windows(op, names.axes[i], g.axes[i], site);
  }
  return g;
}

ConvGeometry conv_geometry(const char* op, const Operand& x, const Operand& weight,
                           const Operand& bias, std::span<const WindowOptions> options,
                           int64_t groups) {
  check_floating(op, x);
  check_same_kind(op, x, weight);
  const ConvGeometry g = conv_geometry(op, x.shape(), weight.shape(), options, groups, x.site());
  check_bias(op, x, bias, g.out_channels);
  check_countable(op, "output", g.y_shape(), x.dtype(), x.site());
  return g;
}

void check_transposed_options(const char* op, std::span<const WindowOptions> options,
                              std::span<const int64_t> output_padding, const Site& site) {
  if (!all(options,
           [](const WindowOptions& o) { return o.padding.rule == AxisPadding::Rule::Given; })) {
    refuse_option(op, "padding", padding_text(options), "numbers", site);
  }
  for (size_t i = 0; i < options.size(); ++i) {
    const int64_t most = std::max(options[i].stride, options[i].dilation) - 1;
    if (output_padding[i] < 0 || output_padding[i] > most) {
      refuse_option(op, "output_padding", tuple_of(output_padding),
                    "0 or more, and less than the stride or the dilation", site);
    }
  }
}

namespace {

void check_transposed_channels(const char* op, const Shape& x, const Shape& weight, int64_t groups,
                               const Site& site) {
  check<ValueError>(groups >= 1 && x[1] % groups == 0, site,
                    "[{}] groups: got {}, wanted a divisor of {} input channels", op, groups, x[1]);
  check<ShapeError>(x[1] == weight[0], site,
                    "[{}] input channels: got {} in shape {}, wanted {} for weight {}", op, x[1], x,
                    weight[0], weight);
  check<ShapeError>((CheckedSize(weight[1]) * groups).fits(), site,
                    "[{}] output channels: got {} in each of {} groups", op, weight[1], groups);
}

// The axis of the output, whose windows are the elements of the input.
WindowAxis transposed_axis(const char* op, const char* name, int64_t size, int64_t kernel,
                           const WindowOptions& options, int64_t output_padding, const Site& site) {
  check<ShapeError>(size >= 1, site, "[{}] input {}: got 0, wanted 1 or more", op, name);
  WindowAxis axis = axis_of(0, kernel, options);
  axis.out = size;
  axis.size = (size - 1) * axis.stride + axis.span() - axis.padding_before - axis.padding_after +
              output_padding;
  check<ShapeError>(axis.size >= 1, site,
                    "[{}] output {}: got {} of input {} {} with kernel size {}, stride {}, "
                    "dilation {} and padding {}, wanted 1 or more",
                    op, name, axis.size, name, size, kernel, axis.stride, axis.dilation,
                    to_string(std::span(&options.padding, 1)));
  return axis;
}

}  // namespace

ConvGeometry conv_transpose_geometry(const char* op, const Operand& x, const Operand& weight,
                                     const Operand& bias, std::span<const WindowOptions> options,
                                     std::span<const int64_t> output_padding, int64_t groups) {
  check_floating(op, x);
  check_same_kind(op, x, weight);
  const Site& site = x.site();
  const Names& names = names_of(options);
  const size_t rank = options.size();
  const std::span kernel =
      check_ranks(op, x.shape(), weight.shape(), rank, names.x, names.transposed_weight, site);
  check_window_options(op, options, site);
  check_transposed_options(op, options, output_padding, site);
  check_transposed_channels(op, x.shape(), weight.shape(), groups, site);
  ConvGeometry g{.batch = x.shape()[0],
                 .in_channels = weight.shape()[1] * groups,
                 .out_channels = x.shape()[1],
                 .groups = groups,
                 .op = {op},
                 .rank = static_cast<int>(rank)};
  for (size_t i = 0; i < rank; ++i) {
    const int64_t size = x.shape()[static_cast<int>(i) + 2];
    check_small(op, "stride", options[i].stride, site);
    check_small(op, "dilation", options[i].dilation, site);
    check_small(op, "kernel size", kernel[i], site);
    check_small(op, names.sizes, size, site);
    check_small(op, "padding", std::max(options[i].padding.before, options[i].padding.after), site);
    g.axes[i] =
        transposed_axis(op, names.axes[i], size, kernel[i], options[i], output_padding[i], site);
    check_small(op, fmt::format("output {}", names.axes[i]).c_str(), g.axes[i].size, site);
  }
  check_bias(op, x, bias, g.in_channels);
  check_countable(op, "output", g.x_shape(), x.dtype(), site);
  return g;
}

namespace {

Shape with_axes(Shape shape, const ConvGeometry& g, int64_t WindowAxis::*size) {
  for (int i = 0; i < g.rank; ++i) {
    shape.append(g.axes[static_cast<size_t>(i)].*size);
  }
  return shape;
}

}  // namespace

Shape ConvGeometry::x_shape() const {
  return with_axes({batch, in_channels}, *this, &WindowAxis::size);
}

Shape ConvGeometry::filter_shape() const {
  return with_axes({out_channels, in_per_group()}, *this, &WindowAxis::kernel);
}

Shape ConvGeometry::y_shape() const {
  return with_axes({batch, out_channels}, *this, &WindowAxis::out);
}

ConvGeometry ConvGeometry::as_planar() const {
  check<ShapeError>(rank == 1 || rank == 2,
                    "[{}] spatial axes: got {}, wanted 1 or 2: there is no "
                    "kernel for more",
                    op.name, rank);
  ConvGeometry planar = *this;
  if (rank == 1) {
    planar.rank = 2;
    planar.axes = {WindowAxis{}, axes[0]};
  }
  return planar;
}

void ConvGeometry::refuse_rank() const {
  throw ShapeError(fmt::format(
      "[{}] spatial axes of a kernel: got {}, wanted 2, as as_planar() gives them", op.name, rank));
}

}  // namespace warptape
