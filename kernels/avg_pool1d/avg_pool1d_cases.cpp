#include "kernels/avg_pool1d/avg_pool1d.h"

#include <numeric>

#include "kernels/pool/pool_cases.h"

namespace warptape {

void avg_pool1d_cases(CaseTable& table) {
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  const auto add = [&](const char* name, const Shape& shape, const AvgPool1dOptions& options,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    const bool include_pad = options.count_include_pad;
    add_pool_case<AvgPool1dOptions>(
        table, name, shape, options, int64_t{1}, Fill::Normal, format,
        [](const Operand& x, AvgPool1dOptions o) { return avg_pool1d(x, o); },
        [include_pad](const std::vector<double>& v, int64_t padded) {
          const auto count = include_pad ? padded : static_cast<int64_t>(v.size());
          return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(count);
        });
  };
  add("two", {2, 3, 8}, {});
  add("packs", {2, 8, 11}, {}, channels_last);
  add("overlap", {2, 5, 9}, {.kernel_size = 3, .stride = 1}, channels_last);
  add("padding", {1, 3, 7}, {.kernel_size = 3, .stride = 2, .padding = 1});
  add("padding_not_counted", {1, 3, 7},
      {.kernel_size = 3, .stride = 2, .padding = 1, .count_include_pad = false});
  add("ceil_mode_padding", {1, 2, 8},
      {.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true});
  add("ceil_mode_shorter_than_window", {2, 3, 2},
      {.kernel_size = 4, .stride = 5, .ceil_mode = true});
  add("empty_batch", {0, 2, 4}, {});
  table.errors.push_back(
      {"ceil_mode_too_short",
       [] {
         avg_pool1d(Tensor::zeros({1, 1, 1}), {.kernel_size = 4, .stride = 3, .ceil_mode = true});
       },
       {"[avg_pool1d] input length: got 1", "at least 2"}});
  table.errors.push_back(
      {"no_elements",
       [] {
         avg_pool1d(Tensor::zeros({1, 1, 0}), {.padding = 1, .count_include_pad = false});
       },
       {"[avg_pool1d] input length: got 0 with padding 1"}});
  table.errors.push_back({"too_short",
                          [] {
                            avg_pool1d(Tensor::zeros({1, 1, 2}), {.kernel_size = 3});
                          },
                          {"[avg_pool1d] input length: got 2", "at least 3"}});
  table.errors.push_back({"rank",
                          [] {
                            avg_pool1d(Tensor::zeros({4, 4}), {});
                          },
                          {"[avg_pool1d]", "(4, 4)", "(N, C, L)", "avg_pool1d_cases.cpp"}});
  table.errors.push_back({"padding",
                          [] {
                            avg_pool1d(Tensor::zeros({1, 1, 4}), {.padding = -1});
                          },
                          {"[avg_pool1d] padding: got (-1,)", "half of the kernel size (2,)"}});
  table.measured.push_back(pool_case("avg_pool1d", "2 elements", 0,
                                     [](const Operand& x) { return avg_pool1d(x, {}); }, {},
                                     {8, 64, 1024}));
}

}  // namespace warptape
