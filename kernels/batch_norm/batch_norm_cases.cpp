#include "kernels/batch_norm/batch_norm.h"

#include "kernels/normalize/normalize_cases.h"

namespace warptape {
namespace {

RunningStatistics running_of(const Tensor& x) {
  const Shape channels{x.size(1)};
  const DType dtype = compute_dtype(x.dtype());
  return {Tensor::full(channels, 0.25, dtype, x.device()),
          Tensor::full(channels, 2, dtype, x.device()), Tensor::zeros({}, int64, x.device())};
}

PreparedKernels measured(const Shape& shape, DType dtype, MemoryFormat format) {
  const Shape channels{shape[1]};
  const Tensor x = on_cuda(shape, dtype).to(format);
  const auto op = [running = running_of(x)](const std::vector<Tensor>& in) {
    return batch_norm(in[0], running, in[1], in[2], {.training = true});
  };
  // x, x, y; dy, x, dy, x, dx.
  const int64_t wide = 8 * bytes_of(shape, dtype);
  return forward_and_backward({x, on_cuda(channels, dtype), on_cuda(channels, dtype)},
                              on_cuda(shape, dtype).to(format), op,
                              wide + 5 * bytes_of(channels, dtype), wide);
}

}  // namespace

void batch_norm_cases(CaseTable& table) {
  constexpr double eps = 1e-3;
  const auto add = [&](const char* name, const Shape& shape, bool training, int parameters,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    std::vector<CaseInput> inputs = {{.shape = shape, .format = format}};
    for (int i = 0; i < parameters; ++i) {
      inputs.push_back({.shape = {shape[1]}});
    }
    table.cases.push_back(
        {.name = name,
         .inputs = inputs,
         .run =
             [training](const std::vector<Operand>& in) {
               const Operand none{Tensor()};
               return batch_norm(in[0], running_of(in[0]), in.size() > 1 ? in[1] : none,
                                 in.size() > 2 ? in[2] : none, {.training = training, .eps = eps});
             },
         .reference =
             [training](const std::vector<Tensor>& in) {
               const int64_t channels = in[0].size(1);
               const int64_t samples = in[0].size(0);
               const int64_t each = samples == 0 ? 1 : in[0].numel() / samples / channels;
               const auto channel = [&](int64_t i) { return i / each % channels; };
               if (training) {
                 return plain_normalized(in, channels, eps, channel, channel);
               }
               Plain y(in[0]);
               for (int64_t i = 0; i < y.numel(); ++i) {
                 y[i] = (y[i] - 0.25) / std::sqrt(2 + eps);
                 y[i] = in.size() > 1 ? y[i] * Plain(in[1])[channel(i)] : y[i];
                 y[i] = in.size() > 2 ? y[i] + Plain(in[2])[channel(i)] : y[i];
               }
               return y.tensor();
             },
         .tolerance = Tolerance::Reduction});
  };
  add("vectors", {33, 12}, true, 2);
  add("vectors_odd", {9, 7}, true, 2);
  add("one_channel", {130, 1}, true, 2);
  add("sequences", {3, 5, 31}, true, 2);
  add("short_sequences", {9, 8, 3}, true, 2);
  add("images", {3, 6, 4, 5}, true, 2);
  add("images_channels_last", {2, 32, 5, 3}, true, 1, MemoryFormat::ChannelsLast);
  add("plain", {4, 3, 8}, true, 0);
  add("long", {2, 2, 2100}, true, 2);
  add("eval", {5, 12}, false, 2);
  add("eval_images", {2, 5, 3, 4}, false, 2);
  add("eval_plain", {2, 8, 5}, false, 0);
  add("empty", {0, 4, 3}, true, 2);
  const auto ones = [](int64_t n) { return Tensor::ones({n}); };
  table.errors.push_back({"rank",
                          [=] {
                            batch_norm(ones(3), {ones(3), ones(3)});
                          },
                          {"[batch_norm] x", "(3,)", "(N, C)"}});
  table.errors.push_back({"running_mean",
                          [=] {
                            batch_norm(Tensor::ones({2, 3}), {ones(2), ones(3)});
                          },
                          {"[batch_norm] running mean", "(2,)", "(3,)"}});
  table.errors.push_back({"running_variance",
                          [=] {
                            batch_norm(Tensor::ones({2, 3}), {ones(3), Tensor::ones({3}, float64)});
                          },
                          {"[batch_norm] running variance", "float64", "float32"}});
  table.errors.push_back({"only_mean",
                          [=] {
                            batch_norm(Tensor::ones({2, 3}), {ones(3), Tensor()});
                          },
                          {"[batch_norm] running statistics", "both or none"}});
  table.errors.push_back({"none_outside_of_training",
                          [=] {
                            batch_norm(Tensor::ones({2, 3}), {});
                          },
                          {"[batch_norm] running statistics", "outside of training"}});
  table.errors.push_back(
      {"one_value",
       [=] {
         batch_norm(Tensor::ones({1, 3}), {}, Tensor(), Tensor(), {.training = true});
       },
       {"[batch_norm] x", "(1, 3)", "more than one value per channel"}});
  table.errors.push_back({"cumulative_of_nothing",
                          [=] {
                            batch_norm(Tensor::ones({2, 3}), {ones(3), ones(3)}, Tensor(), Tensor(),
                                       {.training = true, .momentum = std::nullopt});
                          },
                          {"[batch_norm] momentum", "running batches"}});
  table.errors.push_back({"batches",
                          [=] {
                            batch_norm(Tensor::ones({2, 3}), {ones(3), ones(3), ones(1)});
                          },
                          {"[batch_norm] running batches", "float32", "int64"}});
  table.errors.push_back({"momentum",
                          [=] {
                            batch_norm(Tensor::ones({2, 3}), {}, Tensor(), Tensor(),
                                       {.training = true, .momentum = 1.5});
                          },
                          {"[batch_norm] momentum", "1.5", "0 to 1"}});
  table.errors.push_back({"weight",
                          [=] {
                            batch_norm(Tensor::ones({2, 3}), {ones(3), ones(3)}, ones(2));
                          },
                          {"[batch_norm] weight", "(2,)", "(3,)"}});
  table.errors.push_back({"eps",
                          [=] {
                            batch_norm(Tensor::ones({2, 3}), {ones(3), ones(3)}, Tensor(), Tensor(),
                                       {.eps = std::nan("")});
                          },
                          {"[batch_norm] eps", "nan"}});
  const auto add_measured = [&](const char* name, MemoryFormat format, const MemoryBounds& bounds) {
    table.measured.push_back(
        {name,
         "forward and backward",
         {32, 64, 16, 16},
         [format](const Shape& of, DType dtype) { return measured(of, dtype, format); },
         bounds});
  };
  add_measured("batch_norm", MemoryFormat::RowMajor, {});
  // Each thread reads the numbers of its columns, which a larger tensor hides; pairs of sums in
  // shared memory take twice the wavefronts.
  add_measured("batch_norm_channels_last", MemoryFormat::ChannelsLast,
               {.moved = 1.65, .efficiency = 0.65, .bank_factor = 2});
}

}  // namespace warptape
