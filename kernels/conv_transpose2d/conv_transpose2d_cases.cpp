#include "core/check.h"
#include "core/primitives.h"
#include "kernels/cases/measured.h"
#include "kernels/conv_transpose2d/conv_transpose2d.h"

namespace warptape {
namespace {

// An axis of the result: which of its elements a tap of an input's element is, and how many it has.
struct Axis {
  const WindowOptions& options;
  int64_t size, kernel, output_padding;

  int64_t at(int64_t element, int64_t tap) const {
    return element * options.stride - options.padding.before + tap * options.dilation;
  }
  int64_t out() const {
    return at(size - 1, kernel - 1) + 1 - options.padding.after + output_padding;
  }
};

Tensor reference(const std::vector<Tensor>& in, const ConvTranspose2dOptions& o) {
  const Plain x(in[0]);
  const Plain weight(in[1]);
  const auto options = o.axes();
  const Axis rows{options[0], x.size(2), weight.size(2), o.output_padding.height};
  const Axis columns{options[1], x.size(3), weight.size(3), o.output_padding.width};
  const int64_t out_per_group = weight.size(1);
  const int64_t in_per_group = x.size(1) / o.groups;
  Plain y({x.size(0), out_per_group * o.groups, rows.out(), columns.out()});
  if (in.size() > 2) {
    const Plain bias(in[2]);
    for (int64_t i = 0; i < y.numel(); ++i) {
      y[i] = bias[i / (y.size(2) * y.size(3)) % y.size(1)];
    }
  }
  const auto spread = [&](int64_t n, int64_t c, int64_t k, int64_t h, int64_t w) {
    for (int64_t r = 0; r < rows.kernel; ++r) {
      for (int64_t s = 0; s < columns.kernel; ++s) {
        const int64_t oh = rows.at(h, r);
        const int64_t ow = columns.at(w, s);
        if (oh >= 0 && oh < y.size(2) && ow >= 0 && ow < y.size(3)) {
          y(n, k, oh, ow) += x(n, c, h, w) * weight(c, k % out_per_group, r, s);
        }
      }
    }
  };
  for (int64_t n = 0; n < x.size(0); ++n) {
    for (int64_t c = 0; c < x.size(1); ++c) {
      const int64_t first = c / in_per_group * out_per_group;
      for (int64_t k = first; k < first + out_per_group; ++k) {
        for (int64_t pixel = 0; pixel < x.size(2) * x.size(3); ++pixel) {
          spread(n, c, k, pixel / x.size(3), pixel % x.size(3));
        }
      }
    }
  }
  return y.tensor();
}

// To images twice as high and wide, of as many channels.
PreparedKernels prepare(const Shape& shape, DType dtype) {
  check<ValueError>(shape.rank() == 4,
                    "[kernel] conv_transpose2d: got shape {}, wanted (N, C, H, W)", shape);
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  const Tensor x = primitives::relayout(on_cuda(shape, dtype), channels_last);
  const Shape filters{shape[1], shape[1], 4, 4};
  const Tensor weight = primitives::relayout(on_cuda(filters, dtype), channels_last);
  const Shape twice{shape[0], shape[1], 2 * shape[2], 2 * shape[3]};
  const Tensor dy = primitives::relayout(on_cuda(twice, dtype), channels_last);
  const auto op = [](const std::vector<Tensor>& in) {
    return conv_transpose2d(in[0], in[1], Tensor(), {.stride = 2, .padding = 1});
  };
  // x, y; dy, dx; dy, x. The filters of each.
  const int64_t wide = 3 * bytes_of(shape, dtype) + 3 * bytes_of(twice, dtype);
  return forward_and_backward({x, weight}, dy, op, wide + 3 * bytes_of(filters, dtype), wide);
}

}  // namespace

void conv_transpose2d_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& x, const Shape& weight, bool bias,
                       ConvTranspose2dOptions options = {},
                       MemoryFormat format = MemoryFormat::RowMajor) {
    std::vector<CaseInput> in = {{.shape = x, .format = format}, {.shape = weight}};
    if (bias) {
      in.push_back({.shape = {weight[1] * options.groups}});
    }
    table.cases.push_back(
        {.name = name,
         .inputs = in,
         .run =
             [bias, options](const std::vector<Operand>& op) {
               return conv_transpose2d(op[0], op[1], bias ? op[2] : Operand(Tensor()), options);
             },
         .reference =
             [options](const std::vector<Tensor>& tensors) { return reference(tensors, options); },
         .tolerance = Tolerance::Reduction});
  };
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  add("one_pixel", {1, 1, 1, 1}, {1, 1, 1, 1}, true);
  add("no_bias", {1, 2, 4, 3}, {2, 3, 3, 3}, false);
  add("twice", {2, 3, 3, 4}, {3, 5, 4, 4}, true, {.stride = 2, .padding = 1}, channels_last);
  add("packs", {1, 8, 3, 2}, {8, 12, 3, 3}, true, {.stride = 2, .padding = 1, .output_padding = 1},
      channels_last);
  add("gaps", {1, 3, 2, 3}, {3, 2, 1, 2}, true, {.stride = {2, 4}, .output_padding = {1, 3}});
  add("dilation", {1, 3, 3, 4}, {3, 2, 3, 2}, true, {.padding = {1, 2}, .dilation = {2, 3}});
  add("output_padding_below_dilation", {1, 2, 3, 3}, {2, 3, 2, 2}, true,
      {.output_padding = {0, 2}, .dilation = {1, 3}});
  add("sides", {1, 2, 3, 4}, {2, 3, 3, 3}, true,
      {.stride = 2, .padding = Sides2d{.top = 2, .left = 1, .right = 3}});
  add("groups", {1, 4, 3, 3}, {4, 3, 3, 2}, true, {.stride = {1, 2}, .groups = 2}, channels_last);
  add("depthwise", {1, 8, 3, 4}, {8, 1, 3, 3}, true, {.stride = 2, .padding = 1, .groups = 8},
      channels_last);
  add("depthwise_odd", {2, 3, 3, 3}, {3, 1, 2, 3}, true, {.stride = {2, 1}, .groups = 3});
  add("all_at_once", {2, 4, 3, 4}, {4, 2, 3, 2}, true,
      {.stride = {2, 3},
       .padding = Sides2d{.top = 1, .bottom = 2, .left = 2},
       .output_padding = {1, 2},
       .dilation = {2, 1},
       .groups = 2});
  add("empty_batch", {0, 2, 3, 3}, {2, 2, 2, 2}, true);

  const auto expect_error = [&](const char* name, const Shape& x, const Shape& weight,
                                ConvTranspose2dOptions options,
                                const std::vector<std::string>& mentions) {
    table.errors.push_back(
        {name,
         [=] { conv_transpose2d(Tensor::zeros(x), Tensor::zeros(weight), Tensor(), options); },
         mentions});
  };
  expect_error("rank", {4, 5, 5}, {4, 2, 3, 3}, {},
               {"[conv_transpose2d]", "(4, 5, 5)", "(N, C, H, W)"});
  expect_error("weight", {1, 4, 5, 5}, {4, 2, 3}, {},
               {"[conv_transpose2d] weight", "(C, O / groups, kH, kW)"});
  expect_error("channels", {1, 4, 5, 5}, {3, 4, 3, 3}, {},
               {"[conv_transpose2d] input channels: got 4", "wanted 3", "cases.cpp"});
  expect_error("nothing_is_left", {1, 1, 2, 1}, {1, 1, 2, 2}, {.padding = {0, 1}},
               {"[conv_transpose2d] output width: got 0 of input width 1", "1 or more"});
  expect_error("output_padding", {1, 1, 4, 4}, {1, 1, 3, 3},
               {.stride = {3, 2}, .output_padding = 2},
               {"[conv_transpose2d] output_padding: got (2, 2)", "less than the stride"});
  expect_error("padding_rule", {1, 1, 4, 4}, {1, 1, 3, 3}, {.padding = Padding2d::same()},
               {"[conv_transpose2d] padding: got same, wanted numbers"});

  table.measured.push_back({.name = "conv_transpose2d",
                            .runs = "4x4 windows, stride 2, forward and backward",
                            .shape = {8, 64, 16, 16},
                            .prepare = prepare,
                            .is_product = true});
}

}  // namespace warptape
