#include "core/check.h"
#include "core/primitives.h"
#include "kernels/cases/measured.h"
#include "kernels/conv1d/conv1d.h"

namespace warptape {
namespace {

// How many zeros stand before and behind x; its windows are as long as `span`.
AxisPadding zeros_around(const AxisPadding& padding, int64_t span) {
  switch (padding.rule) {
    case AxisPadding::Rule::Same:
      return {(span - 1) / 2, span - 1 - (span - 1) / 2};
    case AxisPadding::Rule::Causal:
      return {span - 1, 0};
    default:
      return padding;
  }
}

Tensor reference(const std::vector<Tensor>& in, const Conv1dOptions& o) {
  const Plain x(in[0]);
  const Plain weight(in[1]);
  const int64_t kernel = weight.size(2);
  const int64_t span = o.dilation * (kernel - 1) + 1;
  const AxisPadding zeros = zeros_around(o.padding.axis, span);
  const int64_t length = (x.size(2) + zeros.before + zeros.after - span) / o.stride + 1;
  const int64_t out_per_group = weight.size(0) / o.groups;
  Plain y({x.size(0), weight.size(0), length});
  for (int64_t n = 0; n < y.size(0); ++n) {
    for (int64_t k = 0; k < y.size(1); ++k) {
      for (int64_t t = 0; t < length; ++t) {
        double sum = in.size() > 2 ? Plain(in[2])[k] : 0.0;
        for (int64_t c = 0; c < weight.size(1); ++c) {
          for (int64_t tap = 0; tap < kernel; ++tap) {
            const int64_t at = t * o.stride - zeros.before + tap * o.dilation;
            if (at >= 0 && at < x.size(2)) {
              sum += x(n, k / out_per_group * weight.size(1) + c, at) * weight(k, c, tap);
            }
          }
        }
        y(n, k, t) = sum;
      }
    }
  }
  return y.tensor();
}

// A causal convolution of sequences (N, C, L), channels-last, to as many channels.
PreparedKernels prepare(const Shape& shape, DType dtype) {
  check<ValueError>(shape.rank() == 3, "[kernel] conv1d: got shape {}, wanted (N, C, L)", shape);
  const Tensor x = primitives::relayout(on_cuda(shape, dtype), MemoryFormat::ChannelsLast);
  const Shape filters{shape[1], shape[1], 7};
  const Tensor weight = primitives::relayout(on_cuda(filters, dtype), MemoryFormat::ChannelsLast);
  const auto op = [](const std::vector<Tensor>& in) {
    return conv1d(in[0], in[1], Tensor(), {.padding = Padding1d::causal(), .dilation = 4});
  };
  // x, y; dy, dx; dy, x. The filters of each.
  const int64_t wide = 6 * bytes_of(shape, dtype);
  return forward_and_backward({x, weight}, Tensor::empty_like(x), op,
                              wide + 3 * bytes_of(filters, dtype), wide);
}

}  // namespace

void conv1d_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& x, const Shape& weight, bool bias,
                       Conv1dOptions options = {}, MemoryFormat format = MemoryFormat::RowMajor) {
    std::vector<CaseInput> in = {{.shape = x, .format = format}, {.shape = weight}};
    if (bias) {
      in.push_back({.shape = {weight[0]}});
    }
    table.cases.push_back(
        {.name = name,
         .inputs = in,
         .run =
             [bias, options](const std::vector<Operand>& op) {
               return conv1d(op[0], op[1], bias ? op[2] : Operand(Tensor()), options);
             },
         .reference =
             [options](const std::vector<Tensor>& tensors) { return reference(tensors, options); },
         .tolerance = Tolerance::Reduction});
  };
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  const Padding1d causal = Padding1d::causal();
  add("one", {1, 1, 1}, {1, 1, 1}, true);
  add("no_bias", {2, 3, 11}, {4, 3, 3}, false);
  add("pointwise", {3, 17, 5}, {5, 17, 1}, true, {}, channels_last);
  add("padding", {2, 3, 10}, {5, 3, 4}, true, {.padding = 2});
  add("sides", {2, 3, 10}, {5, 3, 4}, true, {.padding = Sides1d{.left = 1, .right = 4}});
  add("same", {2, 3, 9}, {5, 3, 4}, true, {.padding = Padding1d::same(), .dilation = 2});
  add("causal", {2, 5, 13}, {7, 5, 3}, true, {.padding = causal, .dilation = 2});
  add("causal_packs", {2, 8, 19}, {12, 8, 7}, true, {.padding = causal, .dilation = 4},
      channels_last);
  // Most of the windows begin in the padding; some see nothing else but their last tap.
  add("causal_longer_than_x", {1, 4, 6}, {4, 4, 3}, true, {.padding = causal, .dilation = 8});
  add("causal_stride", {2, 3, 12}, {4, 3, 3}, true, {.stride = 3, .padding = causal, .dilation = 2},
      channels_last);
  add("causal_groups", {2, 6, 9}, {4, 3, 3}, true, {.padding = causal, .groups = 2});
  add("causal_depthwise", {2, 8, 10}, {8, 1, 4}, true,
      {.padding = causal, .dilation = 2, .groups = 8}, channels_last);
  add("stride", {1, 3, 17}, {4, 3, 5}, true, {.stride = 4, .padding = 1});
  add("all_at_once", {2, 4, 15}, {6, 2, 3}, true,
      {.stride = 2, .padding = Sides1d{.left = 5, .right = 1}, .dilation = 3, .groups = 2});
  add("more_padding_than_kernel", {1, 2, 3}, {2, 2, 2}, true, {.padding = 4});
  add("kernel_covers_x", {2, 3, 6}, {4, 3, 6}, true);
  add("empty_batch", {0, 2, 5}, {3, 2, 2}, true, {.padding = causal});

  const auto expect_error = [&](const char* name, const Shape& x, const Shape& weight,
                                Conv1dOptions options, const std::vector<std::string>& mentions) {
    table.errors.push_back(
        {name, [=] { conv1d(Tensor::zeros(x), Tensor::zeros(weight), Tensor(), options); },
         mentions});
  };
  expect_error("rank", {1, 4, 5, 5}, {2, 4, 3}, {}, {"[conv1d]", "(1, 4, 5, 5)", "(N, C, L)"});
  expect_error("weight", {1, 4, 5}, {2, 4, 3, 3}, {}, {"[conv1d] weight", "(O, C / groups, k)"});
  expect_error("channels", {1, 4, 5}, {2, 3, 3}, {},
               {"[conv1d] input channels", "got 4", "wanted 3", "conv1d_cases.cpp"});
  expect_error("too_short", {1, 1, 4}, {1, 1, 3}, {.dilation = 2},
               {"[conv1d] input length: got 4", "at least 5"});
  expect_error("stride_of_same", {1, 1, 4}, {1, 1, 3}, {.stride = 2, .padding = Padding1d::same()},
               {"[conv1d] stride: got (2,) with padding same", "wanted 1"});
  expect_error("dilation", {1, 1, 4}, {1, 1, 3}, {.dilation = 0}, {"[conv1d] dilation", "(0,)"});
  expect_error("padding_of_a_side", {1, 1, 4}, {1, 1, 3}, {.padding = Sides1d{.left = -1}},
               {"[conv1d] padding: got ((-1, 0),)", "0 or more"});
  expect_error("groups", {1, 4, 4}, {4, 4, 3}, {.groups = 3}, {"[conv1d] groups: got 3"});

  table.measured.push_back({.name = "conv1d",
                            .runs = "causal, 7 taps of dilation 4, forward and backward",
                            .shape = {8, 64, 512},
                            .prepare = prepare,
                            .is_product = true});
}

}  // namespace warptape
