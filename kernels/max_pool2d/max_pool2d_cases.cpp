#include "kernels/max_pool2d/max_pool2d.h"

#include <algorithm>

#include "core/deferred.h"
#include "kernels/flatten/flatten.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/pool/pool_cases.h"

namespace warptape {
namespace {

using Run = std::function<Tensor(const Operand&, MaxPool2dOptions)>;

double largest(const std::vector<double>& values, int64_t) {
  return *std::max_element(values.begin(), values.end());
}
double largest_or_zero(const std::vector<double>& values, int64_t padded) {
  return std::max(0.0, largest(values, padded));
}

void add_cases(CaseTable& table, const std::string& prefix, const Run& run,
               const WindowFunction& reduce) {
  const auto add = [&](const char* name, const Shape& shape, MaxPool2dOptions options,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    add_pool_case<MaxPool2dOptions>(table, (prefix + name).c_str(), shape, options,
                                    options.dilation, Fill::Distinct, format, run, reduce);
  };
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  add("two_by_two", {2, 3, 6, 8}, {});
  add("wide", {1, 33, 4, 4}, {}, channels_last);
  add("odd_sizes", {2, 3, 7, 5}, {}, channels_last);
  add("ceil_mode", {1, 2, 7, 5}, {.ceil_mode = true});
  add("ceil_mode_padding", {1, 2, 6, 7},
      {.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true});
  add("ceil_mode_gaps", {1, 2, 6, 7}, {.kernel_size = 2, .stride = 3, .ceil_mode = true});
  add("ceil_mode_smaller_than_window", {1, 2, 2, 5},
      {.kernel_size = 4, .stride = 3, .ceil_mode = true});
  add("overlap", {2, 2, 7, 7}, {.kernel_size = 3, .stride = 1}, channels_last);
  add("padding", {1, 3, 5, 6}, {.kernel_size = {3, 2}, .stride = {2, 1}, .padding = {1, 1}});
  add("dilation", {1, 2, 9, 8}, {.kernel_size = 2, .stride = 1, .dilation = {3, 2}});
  add("gaps", {1, 2, 8, 9}, {.kernel_size = 2, .stride = 3});
  add("large_window", {1, 2, 17, 17}, {.kernel_size = 16, .stride = 1});
  add("larger_than_the_image", {1, 4, 9, 8}, {.kernel_size = 17, .padding = 8}, channels_last);
  // Channels in packs, on "cuda".
  add("one_channel", {3, 1, 5, 6}, {}, channels_last);
  add("packs", {2, 64, 4, 4}, {}, channels_last);
  add("packs_small_image", {1, 128, 2, 3}, {}, channels_last);
  add("packs_overlap", {1, 4, 6, 7}, {.kernel_size = 3, .stride = 2, .padding = 1}, channels_last);
  add("one_pixel", {1, 1, 1, 1}, {.kernel_size = 1});
  add("empty_batch", {0, 2, 4, 4}, {});
}

// Of relu(x), and written row-major for flatten: two ops that wait, and one that takes both over.
Tensor rows_of(const Operand& x, const MaxPool2dOptions& options) {
  DeferralScope scope;
  Tensor y = flatten(max_pool2d(relu(x), options), 1);
  scope.finish();
  return y;
}

void add_row_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& shape, MaxPool2dOptions options) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .fill = Fill::Distinct, .format = MemoryFormat::ChannelsLast}},
         .run = [=](const std::vector<Operand>& in) { return rows_of(in[0], options); },
         .reference =
             [=](const std::vector<Tensor>& in) {
               const PoolGeometry geometry =
                   make_pool_geometry("reference", in[0], options.kernel_size, options.stride,
                                      options.padding, options.dilation, options.ceil_mode);
               const Tensor y = pool_reference(in[0], geometry, largest_or_zero);
               return y.view({y.size(0), y.numel() / y.size(0)});
             },
         .tolerance = Tolerance::Reduction});
  };
  add("rows", {2, 3, 6, 8}, {});
  add("rows_odd_sizes", {3, 5, 7, 5}, {});
  add("rows_packs", {3, 36, 6, 10}, {});
  add("rows_packs_one_window", {5, 64, 2, 2}, {});
  add("rows_overlap", {2, 4, 7, 6}, {.kernel_size = 3, .stride = 2, .padding = 1});
  add("rows_large_window", {1, 2, 34, 17}, {.kernel_size = {17, 16}});
}

}  // namespace

void max_pool2d_cases(CaseTable& table) {
  const auto plain = [](const Operand& x, MaxPool2dOptions options) {
    return max_pool2d(x, options);
  };
  add_cases(table, "", plain, largest);
  const auto with_relu = [](const Operand& x, MaxPool2dOptions options) {
    options.activation = Activation::ReLU;
    return max_pool2d(x, options);
  };
  add_cases(table, "relu_", with_relu, largest_or_zero);
  add_row_cases(table);
  const auto expect_error = [&](const char* name, const Shape& shape, MaxPool2dOptions options,
                                const std::vector<std::string>& mentions) {
    table.errors.push_back({name, [=] { max_pool2d(Tensor::zeros(shape), options); }, mentions});
  };
  expect_error("too_small", {1, 1, 1, 4}, {}, {"[max_pool2d] input height", "got 1", "at least 2"});
  expect_error("padding", {1, 1, 4, 4}, {.padding = 2}, {"[max_pool2d] padding", "(2, 2)", "half"});
  expect_error("rank", {4, 4}, {}, {"[max_pool2d]", "(4, 4)", "(N, C, H, W)"});
  expect_error("kernel", {1, 1, 4, 4}, {.kernel_size = 0}, {"[max_pool2d] kernel_size", "(0, 0)"});
  const auto measure = [&](const std::string& name, const char* windows, const Run& run,
                           const MaxPool2dOptions& options, const MemoryBounds& bounds = {}) {
    const auto of = [=](const Operand& x) { return run(x, options); };
    table.measured.push_back(pool_case(name, windows, 1, of, bounds));
  };
  measure("max_pool2d", "2x2 windows", plain, {});
  measure("relu_max_pool2d", "2x2 windows", with_relu, {});
  // Turned on the way, without a byte moved twice.
  measure("max_pool2d_rows", "2x2 windows of ReLU, written row-major for flatten", rows_of, {},
          layout_bounds);
  measure("max_pool2d_overlap", "3x3 windows, stride 2", plain,
          {.kernel_size = 3, .stride = 2, .padding = 1}, overlap_bounds);
}

}  // namespace warptape
