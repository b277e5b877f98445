#include "kernels/max_pool1d/max_pool1d.h"

#include <algorithm>

#include "core/deferred.h"
#include "kernels/flatten/flatten.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/pool/pool_cases.h"

namespace warptape {
namespace {

constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

double largest(const std::vector<double>& values, int64_t) {
  return *std::max_element(values.begin(), values.end());
}
double largest_or_zero(const std::vector<double>& values, int64_t padded) {
  return std::max(0.0, largest(values, padded));
}

// Of relu(x), and written row-major for flatten: two ops that wait, and one that takes both over.
void add_rows_case(CaseTable& table, const char* name, const Shape& shape,
                   const MaxPool1dOptions& options) {
  table.cases.push_back(
      {.name = name,
       .inputs = {{.shape = shape, .fill = Fill::Distinct, .format = channels_last}},
       .run =
           [=](const std::vector<Operand>& in) {
             DeferralScope scope;
             Tensor y = flatten(max_pool1d(relu(in[0]), options), 1);
             scope.finish();
             return y;
           },
       .reference =
           [=](const std::vector<Tensor>& in) {
             const PoolGeometry geometry =
                 make_pool_geometry_1d("reference", in[0], options.kernel_size, options.stride,
                                       options.padding, options.dilation, options.ceil_mode);
             const Tensor y = pool_reference(in[0], geometry, largest_or_zero);
             return y.view({y.size(0), y.numel() / y.size(0)});
           },
       .tolerance = Tolerance::Reduction});
}

}  // namespace

void max_pool1d_cases(CaseTable& table) {
  const auto run = [](const Operand& x, MaxPool1dOptions options) {
    return max_pool1d(x, options);
  };
  const auto add = [&](const char* name, const Shape& shape, const MaxPool1dOptions& options,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    const bool with_relu = options.activation == Activation::ReLU;
    add_pool_case<MaxPool1dOptions>(table, name, shape, options, options.dilation, Fill::Distinct,
                                    format, run, with_relu ? largest_or_zero : largest);
  };
  add("two", {2, 3, 8}, {});
  add("packs", {2, 8, 11}, {}, channels_last);
  add("ceil_mode_padding", {1, 2, 8},
      {.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true});
  add("ceil_mode_gaps", {1, 2, 6}, {.kernel_size = 2, .stride = 3, .ceil_mode = true});
  add("ceil_mode_shorter_than_window", {2, 3, 2},
      {.kernel_size = 4, .stride = 5, .ceil_mode = true});
  add("overlap", {2, 5, 9}, {.kernel_size = 3, .stride = 1, .padding = 1}, channels_last);
  add("dilation", {1, 3, 12}, {.kernel_size = 3, .stride = 2, .padding = 1, .dilation = 3});
  add("gaps", {1, 2, 11}, {.kernel_size = 2, .stride = 4});
  add("index_of_256", {1, 2, 300}, {.kernel_size = 256, .stride = 13});
  add("relu", {2, 3, 9}, {.activation = Activation::ReLU});
  add("one", {1, 1, 1}, {.kernel_size = 1});
  add("empty_batch", {0, 2, 4}, {});
  add_rows_case(table, "rows", {2, 3, 7}, {});
  add_rows_case(table, "rows_overlap", {2, 4, 9}, {.kernel_size = 3, .stride = 2, .padding = 1});

  const auto expect_error = [&](const char* name, const Shape& shape,
                                const MaxPool1dOptions& options,
                                const std::vector<std::string>& mentions) {
    table.errors.push_back({name, [=] { max_pool1d(Tensor::zeros(shape), options); }, mentions});
  };
  expect_error("too_short", {1, 1, 1}, {},
               {"[max_pool1d] input length: got 1", "at least 2", "max_pool1d_cases.cpp"});
  expect_error("padding", {1, 1, 4}, {.padding = 2},
               {"[max_pool1d] padding: got (2,)", "half of the kernel size (2,)"});
  expect_error("rank", {1, 1, 4, 4}, {}, {"[max_pool1d]", "(1, 1, 4, 4)", "(N, C, L)"});
  expect_error("kernel", {1, 1, 4}, {.kernel_size = 0}, {"[max_pool1d] kernel_size: got (0,)"});
  expect_error("stride", {1, 1, 4}, {.stride = -1}, {"[max_pool1d] stride: got (-1,)"});
  expect_error("too_large", {1, 1, 4}, {.stride = int64_t{1} << 40},
               {"[max_pool1d] options and sequence", "1099511627776", "at most 268435456"});
  table.measured.push_back(pool_case("max_pool1d", "2 elements", 1,
                                     [](const Operand& x) { return max_pool1d(x, {}); }, {},
                                     {8, 64, 1024}));
}

}  // namespace warptape
