#include "kernels/group_norm/group_norm.h"

#include "kernels/normalize/normalize_cases.h"

namespace warptape {
namespace {

PreparedKernels measured(const Shape& shape, DType dtype, MemoryFormat format) {
  const Shape channels{shape[1]};
  const int64_t groups = shape[1] % 8 == 0 ? 8 : 1;
  const auto op = [groups](const std::vector<Tensor>& in) {
    return group_norm(in[0], groups, in[1], in[2]);
  };
  // x, x, y; dy, x, dy, x, dx.
  const int64_t wide = 8 * bytes_of(shape, dtype);
  return forward_and_backward(
      {on_cuda(shape, dtype).to(format), on_cuda(channels, dtype), on_cuda(channels, dtype)},
      on_cuda(shape, dtype).to(format), op, wide + 5 * bytes_of(channels, dtype), wide);
}

}  // namespace

void group_norm_cases(CaseTable& table) {
  constexpr double eps = 1e-3;
  const auto add = [&](const char* name, const Shape& shape, int64_t groups, int parameters,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    std::vector<CaseInput> inputs = {{.shape = shape, .format = format}};
    for (int i = 0; i < parameters; ++i) {
      inputs.push_back({.shape = {shape[1]}});
    }
    table.cases.push_back({.name = name,
                           .inputs = inputs,
                           .run =
                               [groups](const std::vector<Operand>& in) {
                                 const Operand none{Tensor()};
                                 return group_norm(in[0], groups, in.size() > 1 ? in[1] : none,
                                                   in.size() > 2 ? in[2] : none, eps);
                               },
                           .reference =
                               [groups](const std::vector<Tensor>& in) {
                                 const Shape& of_x = in[0].shape();
                                 const int64_t samples = of_x[0];
                                 const int64_t each =
                                     samples == 0 ? 1 : in[0].numel() / samples / of_x[1];
                                 const int64_t channels = of_x[1];
                                 return plain_normalized(
                                     in, samples * groups, eps,
                                     [&](int64_t i) { return i / (channels / groups * each); },
                                     [&](int64_t i) { return i / each % channels; });
                               },
                           .tolerance = Tolerance::Reduction});
  };
  add("vectors", {5, 12}, 3, 2);
  add("sequences", {2, 6, 17}, 2, 2);
  add("sequences_of_packs", {3, 8, 32}, 4, 2, MemoryFormat::ChannelsLast);
  add("instances", {2, 5, 4, 3}, 5, 1);
  add("one_group", {2, 33, 3, 3}, 1, 2);
  add("wide_groups", {2, 40, 5, 4}, 2, 2, MemoryFormat::ChannelsLast);
  add("plain", {3, 4, 9}, 2, 0);
  add("long", {1, 2, 1100}, 1, 2);
  add("empty", {0, 4, 3}, 2, 2);
  table.errors.push_back({"groups",
                          [] {
                            group_norm(Tensor::zeros({2, 6}), 4);
                          },
                          {"[group_norm] num_groups", "got 4", "6 channels"}});
  table.errors.push_back({"no_groups",
                          [] {
                            group_norm(Tensor::zeros({2, 6}), 0);
                          },
                          {"[group_norm] num_groups", "got 0"}});
  table.errors.push_back(
      {"rank", [] { group_norm(Tensor::zeros({6}), 2); }, {"[group_norm] x", "(6,)", "(N, C"}});
  table.errors.push_back({"weight",
                          [] {
                            group_norm(Tensor::zeros({2, 6}), 2, Tensor::zeros({2}));
                          },
                          {"[group_norm] weight", "(2,)", "(6,)"}});
  table.errors.push_back(
      {"bias",
       [] {
         group_norm(Tensor::zeros({2, 6}), 2, Tensor::zeros({6}), Tensor::zeros({5}));
       },
       {"[group_norm] bias", "(5,)", "(6,)"}});
  table.errors.push_back({"eps",
                          [] {
                            group_norm(Tensor::zeros({2, 6}), 2, Tensor(), Tensor(), -1);
                          },
                          {"[group_norm] eps", "-1"}});
  const auto add_measured = [&](const char* name, MemoryFormat format, const MemoryBounds& bounds) {
    table.measured.push_back(
        {name,
         "forward and backward",
         {32, 64, 16, 16},
         [format](const Shape& shape, DType dtype) { return measured(shape, dtype, format); },
         bounds});
  };
  // Sums of channels, some KB, are read by 8 bytes. Channels-last: each thread reads the numbers of
  // its columns, which a larger tensor hides.
  add_measured("group_norm", MemoryFormat::RowMajor, {.efficiency = 0.55, .bank_factor = 2});
  add_measured("group_norm_channels_last", MemoryFormat::ChannelsLast,
               {.moved = 1.3, .efficiency = 0.55, .bank_factor = 2});
}

}  // namespace warptape
