#include "core/check.h"
#include "core/primitives.h"
#include "kernels/cases/measured.h"
#include "kernels/conv_transpose1d/conv_transpose1d.h"

namespace warptape {
namespace {

Tensor reference(const std::vector<Tensor>& in, const ConvTranspose1dOptions& o) {
  const Plain x(in[0]);
  const Plain weight(in[1]);
  const int64_t kernel = weight.size(2);
  const int64_t out_per_group = weight.size(1);
  const int64_t in_per_group = x.size(1) / o.groups;
  const AxisPadding cut = o.padding.axis;
  const int64_t length = (x.size(2) - 1) * o.stride + o.dilation * (kernel - 1) + 1 - cut.before -
                         cut.after + o.output_padding;
  Plain y({x.size(0), out_per_group * o.groups, length});
  for (int64_t n = 0; n < y.size(0); ++n) {
    for (int64_t k = 0; k < y.size(1); ++k) {
      for (int64_t t = 0; t < length; ++t) {
        y(n, k, t) = in.size() > 2 ? Plain(in[2])[k] : 0.0;
      }
      for (int64_t c = 0; c < in_per_group; ++c) {
        const int64_t from = k / out_per_group * in_per_group + c;
        for (int64_t t = 0; t < x.size(2); ++t) {
          for (int64_t tap = 0; tap < kernel; ++tap) {
            const int64_t at = t * o.stride - cut.before + tap * o.dilation;
            if (at >= 0 && at < length) {
              y(n, k, at) += x(n, from, t) * weight(from, k % out_per_group, tap);
            }
          }
        }
      }
    }
  }
  return y.tensor();
}

// To twice the length, of sequences (N, C, L) to as many channels.
PreparedKernels prepare(const Shape& shape, DType dtype) {
  check<ValueError>(shape.rank() == 3, "[kernel] conv_transpose1d: got shape {}, wanted (N, C, L)",
                    shape);
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  const Tensor x = primitives::relayout(on_cuda(shape, dtype), channels_last);
  const Shape filters{shape[1], shape[1], 4};
  const Tensor weight = primitives::relayout(on_cuda(filters, dtype), channels_last);
  const Shape twice{shape[0], shape[1], 2 * shape[2]};
  const Tensor dy = primitives::relayout(on_cuda(twice, dtype), channels_last);
  const auto op = [](const std::vector<Tensor>& in) {
    return conv_transpose1d(in[0], in[1], Tensor(), {.stride = 2, .padding = 1});
  };
  // x, y; dy, dx; dy, x. The filters of each.
  const int64_t wide = 3 * bytes_of(shape, dtype) + 3 * bytes_of(twice, dtype);
  return forward_and_backward({x, weight}, dy, op, wide + 3 * bytes_of(filters, dtype), wide);
}

}  // namespace

void conv_transpose1d_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& x, const Shape& weight, bool bias,
                       ConvTranspose1dOptions options = {},
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
               return conv_transpose1d(op[0], op[1], bias ? op[2] : Operand(Tensor()), options);
             },
         .reference =
             [options](const std::vector<Tensor>& tensors) { return reference(tensors, options); },
         .tolerance = Tolerance::Reduction});
  };
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  add("one", {1, 1, 1}, {1, 1, 1}, true);
  add("no_bias", {2, 3, 7}, {3, 4, 3}, false);
  add("pointwise", {3, 17, 5}, {17, 5, 1}, true, {}, channels_last);
  add("twice", {2, 3, 6}, {3, 5, 4}, true, {.stride = 2, .padding = 1});
  add("twice_packs", {2, 8, 9}, {8, 12, 4}, true, {.stride = 2, .padding = 1}, channels_last);
  // No tap reaches some of the elements: they are the bias.
  add("gaps", {2, 3, 4}, {3, 4, 2}, true, {.stride = 5, .output_padding = 4});
  add("output_padding", {1, 4, 5}, {4, 2, 3}, true,
      {.stride = 3, .padding = 1, .output_padding = 2}, channels_last);
  // Beyond the stride, where only the dilation allows it.
  add("output_padding_below_dilation", {2, 3, 4}, {3, 4, 2}, true,
      {.output_padding = 2, .dilation = 3});
  add("dilation", {2, 3, 5}, {3, 4, 3}, true, {.stride = 2, .dilation = 3});
  add("sides", {2, 3, 5}, {3, 4, 4}, true, {.stride = 2, .padding = Sides1d{.right = 2}});
  // More is cut off than the kernel adds.
  add("padding_beyond_kernel", {1, 2, 8}, {2, 3, 2}, true, {.padding = 3});
  add("groups", {2, 6, 5}, {6, 2, 3}, true, {.stride = 2, .groups = 2}, channels_last);
  add("groups_of_packs", {1, 8, 6}, {8, 4, 3}, true, {.stride = 2, .groups = 2}, channels_last);
  add("depthwise", {2, 8, 5}, {8, 1, 4}, true, {.stride = 2, .padding = 1, .groups = 8},
      channels_last);
  add("depthwise_odd", {1, 3, 6}, {3, 1, 3}, true, {.dilation = 2, .groups = 3});
  add("several_inputs_of_each_output", {1, 6, 5}, {6, 1, 3}, true, {.groups = 3});
  add("depth_multiplier", {1, 3, 5}, {3, 2, 3}, true, {.stride = 2, .groups = 3});
  add("all_at_once", {2, 4, 6}, {4, 3, 3}, true,
      {.stride = 3,
       .padding = Sides1d{.left = 2, .right = 1},
       .output_padding = 1,
       .dilation = 2,
       .groups = 2});
  add("empty_batch", {0, 2, 5}, {2, 3, 2}, true, {.stride = 2});
  add("no_input_channels", {2, 0, 3}, {0, 3, 2}, true);

  const auto expect_error = [&](const char* name, const Shape& x, const Shape& weight,
                                ConvTranspose1dOptions options,
                                const std::vector<std::string>& mentions, const Shape& bias = {}) {
    table.errors.push_back({name,
                            [=] {
                              conv_transpose1d(Tensor::zeros(x), Tensor::zeros(weight),
                                               bias.rank() == 0 ? Tensor() : Tensor::zeros(bias),
                                               options);
                            },
                            mentions});
  };
  expect_error("rank", {1, 4, 5, 5}, {4, 2, 3}, {},
               {"[conv_transpose1d]", "(1, 4, 5, 5)", "(N, C, L)"});
  expect_error("weight", {1, 4, 5}, {4, 2, 3, 3}, {},
               {"[conv_transpose1d] weight", "(C, O / groups, k)"});
  expect_error("channels", {1, 4, 5}, {2, 4, 3}, {},
               {"[conv_transpose1d] input channels: got 4", "wanted 2", "cases.cpp"});
  expect_error("bias", {1, 4, 5}, {4, 2, 3}, {.groups = 2},
               {"[conv_transpose1d] bias: got shape (2,), wanted (4,)"}, {2});
  expect_error("groups", {1, 4, 4}, {4, 1, 3}, {.groups = 3},
               {"[conv_transpose1d] groups: got 3, wanted a divisor of 4 input channels"});
  expect_error("kernel", {1, 4, 5}, {4, 2, 0}, {}, {"[conv_transpose1d] kernel size: got (0,)"});
  expect_error("nothing_is_left", {1, 1, 1}, {1, 1, 3}, {.padding = 2},
               {"[conv_transpose1d] output length: got -1 of input length 1", "kernel size 3",
                "padding (2,)", "1 or more"});
  expect_error("no_length", {1, 1, 0}, {1, 1, 3}, {},
               {"[conv_transpose1d] input length: got 0, wanted 1 or more"});
  expect_error("output_padding", {1, 1, 4}, {1, 1, 3}, {.stride = 2, .output_padding = 2},
               {"[conv_transpose1d] output_padding: got (2,)", "less than the stride"});
  expect_error("output_padding_negative", {1, 1, 4}, {1, 1, 3}, {.output_padding = -1},
               {"[conv_transpose1d] output_padding: got (-1,)", "0 or more"});
  expect_error("padding_rule", {1, 1, 4}, {1, 1, 3}, {.padding = Padding1d::causal()},
               {"[conv_transpose1d] padding: got causal, wanted numbers"});
  expect_error("padding_negative", {1, 1, 4}, {1, 1, 3}, {.padding = Sides1d{.right = -1}},
               {"[conv_transpose1d] padding: got ((0, -1),)", "0 or more"});
  expect_error("stride", {1, 1, 4}, {1, 1, 3}, {.stride = 0},
               {"[conv_transpose1d] stride: got (0,)"});
  expect_error("dilation", {1, 1, 4}, {1, 1, 3}, {.dilation = -1},
               {"[conv_transpose1d] dilation: got (-1,)"});
  expect_error("too_long", {1, 1, 1 << 10}, {1, 1, 1}, {.stride = 1 << 20},
               {"[conv_transpose1d] output length: got 1072693249, wanted at most 268435456"});

  table.measured.push_back({.name = "conv_transpose1d",
                            .runs = "4 taps of stride 2, forward and backward",
                            .shape = {8, 64, 512},
                            .prepare = prepare,
                            .is_product = true});
}

}  // namespace warptape
