#include "kernels/conv2d/conv2d.h"

#include "core/check.h"
#include "core/primitives.h"
#include "kernels/cases/measured.h"

namespace warptape {
namespace {

Tensor reference(const std::vector<Tensor>& in, const Conv2dOptions& o) {
  const Plain x(in[0]);
  const Plain weight(in[1]);
  // An odd number of zeros leaves one more behind.
  const auto resolved = [](const AxisPadding& padding, int64_t kernel, int64_t dilation) {
    const int64_t total = dilation * (kernel - 1);
    return padding.rule == AxisPadding::Rule::Same ? AxisPadding{total / 2, total - total / 2}
                                                   : padding;
  };
  const AxisPadding rows = resolved(o.padding.vertical, weight.size(2), o.dilation.height);
  const AxisPadding columns = resolved(o.padding.horizontal, weight.size(3), o.dilation.width);
  const auto out_size = [](int64_t size, int64_t kernel, int64_t s, const AxisPadding& p,
                           int64_t d) {
    return (size + p.before + p.after - d * (kernel - 1) - 1) / s + 1;
  };
  const int64_t kernel_h = weight.size(2);
  const int64_t kernel_w = weight.size(3);
  const int64_t out_per_group = weight.size(0) / o.groups;
  Plain y({x.size(0), weight.size(0),
           out_size(x.size(2), kernel_h, o.stride.height, rows, o.dilation.height),
           out_size(x.size(3), kernel_w, o.stride.width, columns, o.dilation.width)});
  for (int64_t n = 0; n < y.size(0); ++n) {
    for (int64_t k = 0; k < y.size(1); ++k) {
      for (int64_t h = 0; h < y.size(2); ++h) {
        for (int64_t w = 0; w < y.size(3); ++w) {
          double sum = in.size() > 2 ? Plain(in[2])[k] : 0.0;
          for (int64_t c = 0; c < weight.size(1); ++c) {
            for (int64_t r = 0; r < kernel_h; ++r) {
              for (int64_t s = 0; s < kernel_w; ++s) {
                const int64_t ih = h * o.stride.height - rows.before + r * o.dilation.height;
                const int64_t iw = w * o.stride.width - columns.before + s * o.dilation.width;
                if (ih >= 0 && ih < x.size(2) && iw >= 0 && iw < x.size(3)) {
                  sum += x(n, k / out_per_group * weight.size(1) + c, ih, iw) * weight(k, c, r, s);
                }
              }
            }
          }
          y(n, k, h, w) = sum;
        }
      }
    }
  }
  return y.tensor();
}

// A 3x3 convolution with padding 1 of images of the shape; groups: as many as channels, or one.
MeasuredCase measured(const std::string& name, bool depthwise) {
  const auto prepare = [=](const Shape& shape, DType dtype) {
    check<ValueError>(shape.rank() == 4, "[kernel] {}: got shape {}, wanted (N, C, H, W)", name,
                      shape);
    const Tensor x = primitives::relayout(on_cuda(shape, dtype), MemoryFormat::ChannelsLast);
    const Shape filters{shape[1], depthwise ? 1 : shape[1], 3, 3};
    const Tensor weight = primitives::relayout(on_cuda(filters, dtype), MemoryFormat::ChannelsLast);
    const int64_t groups = depthwise ? shape[1] : 1;
    const auto op = [groups](const std::vector<Tensor>& in) {
      return conv2d(in[0], in[1], Tensor(), {.padding = 1, .groups = groups});
    };
    // x, y; dy, dx; dy, x. The filters of each.
    const int64_t wide = 6 * bytes_of(shape, dtype);
    return forward_and_backward({x, weight}, Tensor::empty_like(x), op,
                                wide + 3 * bytes_of(filters, dtype), wide);
  };
  // Depthwise, each of nine taps reads its pixels, mostly from a cache, and all by 16 bytes. The
  // weight gradient's last launch turns its few results round.
  return {.name = name,
          .runs = "3x3 windows, forward and backward",
          .shape = {8, 64, 32, 32},
          .prepare = prepare,
          .bounds = {.moved = 8, .by_16 = 6, .efficiency = 0.55},
          .is_product = !depthwise};
}

}  // namespace

void conv2d_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& x, const Shape& weight, bool bias,
                       Conv2dOptions options = {}, MemoryFormat format = MemoryFormat::RowMajor) {
    std::vector<CaseInput> in = {{.shape = x, .format = format}, {.shape = weight}};
    if (bias) {
      in.push_back({.shape = {weight[0]}});
    }
    table.cases.push_back(
        {.name = name,
         .inputs = in,
         .run =
             [bias, options](const std::vector<Operand>& op) {
               return conv2d(op[0], op[1], bias ? op[2] : Operand(Tensor()), options);
             },
         .reference =
             [options](const std::vector<Tensor>& tensors) { return reference(tensors, options); },
         .tolerance = Tolerance::Reduction});
  };
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  add("one_pixel", {1, 1, 1, 1}, {1, 1, 1, 1}, true);
  add("first_layer", {2, 3, 9, 8}, {8, 3, 3, 3}, true, {.padding = 1});
  add("wide", {2, 16, 6, 5}, {33, 16, 3, 3}, true, {.padding = 1}, channels_last);
  add("packs", {2, 8, 5, 4}, {12, 8, 3, 3}, true, {.padding = 1}, channels_last);
  add("packs_of_groups", {1, 8, 4, 4}, {8, 4, 3, 3}, true, {.padding = 1, .groups = 2},
      channels_last);
  add("no_bias", {1, 2, 5, 7}, {3, 2, 3, 3}, false);
  add("pointwise", {3, 17, 4, 3}, {5, 17, 1, 1}, true, {}, channels_last);
  add("stride", {2, 3, 9, 11}, {4, 3, 3, 3}, true, {.stride = {2, 3}, .padding = {1, 0}});
  add("dilation", {1, 3, 11, 9}, {4, 3, 3, 2}, true, {.padding = {2, 1}, .dilation = {3, 2}});
  add("groups", {2, 4, 6, 5}, {6, 2, 3, 3}, true, {.padding = 1, .groups = 2}, channels_last);
  add("depthwise", {1, 8, 5, 5}, {8, 1, 3, 3}, true, {.padding = 1, .groups = 8}, channels_last);
  add("depth_multiplier", {1, 3, 5, 5}, {6, 1, 3, 3}, false, {.padding = 1, .groups = 3});
  add("depth_multiplier_of_packs", {1, 4, 5, 6}, {8, 1, 3, 3}, true, {.padding = 1, .groups = 4},
      channels_last);
  add("all_at_once", {2, 4, 9, 10}, {6, 2, 3, 2}, true,
      {.stride = {2, 1}, .padding = {2, 3}, .dilation = {1, 2}, .groups = 2}, channels_last);
  add("kernel_covers_image", {2, 3, 4, 5}, {7, 3, 4, 5}, true);
  add("more_padding_than_kernel", {1, 2, 3, 3}, {2, 2, 2, 2}, true, {.padding = 3});
  add("sides", {2, 3, 6, 5}, {4, 3, 3, 3}, true,
      {.padding = Sides2d{.top = 2, .bottom = 0, .left = 1, .right = 3}});
  add("causal", {2, 4, 1, 9}, {5, 4, 1, 3}, true,
      {.padding = Sides2d{.left = 4}, .dilation = {1, 2}}, channels_last);
  add("padding_after_only", {2, 2, 5, 4}, {3, 2, 2, 3}, true,
      {.padding = Sides2d{.bottom = 1, .right = 2}});
  add("sides_beyond_kernel", {1, 2, 3, 3}, {2, 2, 2, 2}, true,
      {.padding = Sides2d{.top = 4, .right = 3}}, channels_last);
  add("sides_of_all_at_once", {2, 4, 7, 8}, {6, 2, 3, 2}, true,
      {.stride = {2, 3},
       .padding = Sides2d{.top = 1, .bottom = 2, .left = 3},
       .dilation = {2, 1},
       .groups = 2},
      channels_last);
  add("sides_depthwise", {1, 8, 5, 5}, {8, 1, 3, 3}, true,
      {.stride = {1, 2}, .padding = Sides2d{.top = 2, .right = 1}, .groups = 8}, channels_last);
  add("sides_same", {1, 2, 5, 6}, {3, 2, 4, 3}, true,
      {.padding = Padding2d::same(), .dilation = {1, 2}});
  add("empty_batch", {0, 2, 3, 3}, {2, 2, 2, 2}, true);

  const auto zeros = [](const Shape& shape) { return Tensor::zeros(shape); };
  table.errors.push_back({"channels",
                          [=] {
                            conv2d(zeros({1, 4, 5, 5}), zeros({2, 3, 3, 3}));
                          },
                          {"[conv2d] input channels", "got 4", "wanted 3", "conv2d_cases.cpp"}});
  table.errors.push_back({"rank",
                          [=] {
                            conv2d(zeros({4, 5, 5}), zeros({2, 4, 3, 3}));
                          },
                          {"[conv2d]", "(4, 5, 5)", "(N, C, H, W)"}});
  table.errors.push_back({"too_small",
                          [=] {
                            conv2d(zeros({1, 1, 2, 5}), zeros({1, 1, 3, 3}));
                          },
                          {"[conv2d] input height", "got 2", "at least 3"}});
  table.errors.push_back({"kernel_without_rows",
                          [=] {
                            conv2d(zeros({1, 1, 5, 5}), zeros({1, 1, 0, 3}));
                          },
                          {"[conv2d] kernel size: got (0, 3)", "wanted 1 or more"}});
  table.errors.push_back(
      {"kernel_without_columns",
       [=] {
         conv2d(zeros({1, 1, 5, 5}), zeros({1, 1, 3, 0}), Tensor(), {.padding = 2, .dilation = 3});
       },
       {"[conv2d] kernel size: got (3, 0)", "wanted 1 or more"}});
  table.errors.push_back(
      {"groups",
       [=] {
         conv2d(zeros({1, 4, 5, 5}), zeros({3, 2, 3, 3}), Tensor(), {.groups = 2});
       },
       {"[conv2d] groups", "got 2", "4 input and 3 output"}});
  table.errors.push_back(
      {"stride",
       [=] {
         conv2d(zeros({1, 1, 5, 5}), zeros({1, 1, 3, 3}), Tensor(), {.stride = 0});
       },
       {"[conv2d] stride", "(0, 0)"}});
  table.errors.push_back({"too_small_for_its_sides",
                          [=] {
                            conv2d(zeros({1, 1, 9, 2}), zeros({1, 1, 3, 5}), Tensor(),
                                   {.padding = Sides2d{.left = 2}});
                          },
                          {"[conv2d] input width: got 2 with padding (2, 0), wanted at least 5"}});
  table.errors.push_back(
      {"negative_side",
       [=] {
         conv2d(zeros({1, 1, 5, 5}), zeros({1, 1, 3, 3}), Tensor(),
                {.padding = Sides2d{.top = 1, .right = -1}});
       },
       {"[conv2d] padding: got ((1, 0), (0, -1)), wanted 0 or more", "conv2d_cases.cpp"}});
  table.errors.push_back({"same_with_strides",
                          [=] {
                            conv2d(zeros({1, 1, 5, 5}), zeros({1, 1, 3, 3}), Tensor(),
                                   {.stride = {1, 2}, .padding = Padding2d::same()});
                          },
                          {"[conv2d] stride: got (1, 2) with padding same, wanted 1"}});
  table.errors.push_back({"bias",
                          [=] {
                            conv2d(zeros({1, 1, 5, 5}), zeros({2, 1, 3, 3}), zeros({3}));
                          },
                          {"[conv2d] bias", "(3,)", "(2,)"}});
  table.measured.push_back(measured("conv2d", false));
  table.measured.push_back(measured("conv2d_depthwise", true));
}

}  // namespace warptape
