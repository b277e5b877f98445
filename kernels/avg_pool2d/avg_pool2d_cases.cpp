#include "kernels/avg_pool2d/avg_pool2d.h"

#include <numeric>

#include "kernels/pool/pool_cases.h"

namespace warptape {

void avg_pool2d_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& shape, AvgPool2dOptions options,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    const bool include_pad = options.count_include_pad;
    add_pool_case<AvgPool2dOptions>(
        table, name, shape, options, 1, Fill::Normal, format,
        [](const Operand& x, AvgPool2dOptions o) { return avg_pool2d(x, o); },
        [include_pad](const std::vector<double>& v, int64_t padded) {
          const auto count = include_pad ? padded : static_cast<int64_t>(v.size());
          return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(count);
        });
  };
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  add("two_by_two", {2, 3, 6, 8}, {});
  add("wide", {1, 33, 5, 4}, {}, channels_last);
  add("overlap", {2, 2, 7, 7}, {.kernel_size = 3, .stride = 1}, channels_last);
  add("padding", {1, 3, 5, 6}, {.kernel_size = {3, 2}, .stride = {2, 1}, .padding = {1, 1}});
  add("padding_not_counted", {1, 3, 5, 6},
      {.kernel_size = 3, .stride = 2, .padding = 1, .count_include_pad = false});
  add("ceil_mode", {1, 2, 7, 5}, {.ceil_mode = true});
  add("ceil_mode_padding", {1, 2, 6, 7},
      {.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true});
  add("ceil_mode_padding_not_counted", {1, 2, 6, 7},
      {.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false});
  add("ceil_mode_gaps", {1, 2, 6, 7}, {.kernel_size = 2, .stride = 3, .ceil_mode = true});
  add("ceil_mode_smaller_than_window", {1, 2, 2, 5},
      {.kernel_size = 4, .stride = 3, .ceil_mode = true});
  // Channels in packs, on "cuda".
  add("one_channel", {3, 1, 5, 6}, {}, channels_last);
  add("packs", {2, 64, 4, 4}, {}, channels_last);
  add("packs_uncovered", {1, 8, 5, 5}, {}, channels_last);
  add("packs_overlap", {1, 4, 6, 7},
      {.kernel_size = 3, .stride = 2, .padding = 1, .count_include_pad = false}, channels_last);
  add("empty_batch", {0, 2, 4, 4}, {});
  table.errors.push_back({"stride",
                          [] {
                            avg_pool2d(Tensor::zeros({1, 1, 4, 4}), {.stride = {1, -1}});
                          },
                          {"[avg_pool2d] stride", "(1, -1)"}});
  table.errors.push_back({"kernel_size",
                          [] {
                            avg_pool2d(Tensor::zeros({1, 1, 4, 4}), {.kernel_size = {2, 0}});
                          },
                          {"[avg_pool2d] kernel_size: got (2, 0), wanted 1 or more"}});
  table.errors.push_back({"too_large",
                          [] {
                            avg_pool2d(Tensor::zeros({1, 1, 4, 4}), {.stride = int64_t{1} << 40});
                          },
                          {"[avg_pool2d]", "1099511627776", "at most 268435456"}});
  table.errors.push_back({"image_too_large",
                          [] {
                            avg_pool2d(Tensor::zeros({0, 1 << 20, 64, 64}), {});
                          },
                          {"[avg_pool2d] image", "(0, 1048576, 64, 64)", "2^31"}});
  table.errors.push_back({"too_small",
                          [] {
                            avg_pool2d(Tensor::zeros({1, 1, 4, 1}), {});
                          },
                          {"[avg_pool2d] input width", "got 1", "at least 2"}});
  table.measured.push_back(pool_case("avg_pool2d", "2x2 windows", 0,
                                     [](const Operand& x) { return avg_pool2d(x, {}); }));
  table.measured.push_back(pool_case(
      "avg_pool2d_overlap", "3x3 windows, stride 2", 0,
      [](const Operand& x) { return avg_pool2d(x, {.kernel_size = 3, .stride = 2, .padding = 1}); },
      overlap_bounds));
}

}  // namespace warptape
