#pragma once
// The cases that max_pool2d and relu_max_pool2d share.

#include "kernels/max_pool2d/max_pool2d.h"
#include "kernels/pool/pool_cases.h"

namespace warptape {

inline void add_max_pool_cases(CaseTable& table, const std::string& op,
                               const std::function<Tensor(const Operand&, MaxPool2dOptions)>& run,
                               const WindowFunction& reduce) {
  const auto add = [&](const char* name, const Shape& shape, MaxPool2dOptions options,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    add_pool_case<MaxPool2dOptions>(table, name, shape, options, options.dilation, Fill::Distinct,
                                    format, run, reduce);
  };
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  add("two_by_two", {2, 3, 6, 8}, {});
  add("wide", {1, 33, 4, 4}, {}, channels_last);
  add("odd_sizes", {2, 3, 7, 5}, {}, channels_last);
  add("ceil_mode", {1, 2, 7, 5}, {.ceil_mode = true});
  add("ceil_mode_padding", {1, 2, 6, 7},
      {.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true});
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
  table.errors.push_back({"too_small",
                          [run] {
                            run(Tensor::zeros({1, 1, 1, 4}), {});
                          },
                          {"[" + op + "] input height", "got 1", "at least 2"}});
  table.errors.push_back({"padding",
                          [run] {
                            run(Tensor::zeros({1, 1, 4, 4}), {.padding = 2});
                          },
                          {"[" + op + "] padding", "(2, 2)", "half"}});
  table.errors.push_back({"rank",
                          [run] {
                            run(Tensor::zeros({4, 4}), {});
                          },
                          {"[" + op + "]", "(4, 4)", "(N, C, H, W)"}});
  table.errors.push_back({"kernel",
                          [run] {
                            run(Tensor::zeros({1, 1, 4, 4}), {.kernel_size = 0});
                          },
                          {"[" + op + "] kernel_size", "(0, 0)"}});
}

}  // namespace warptape
