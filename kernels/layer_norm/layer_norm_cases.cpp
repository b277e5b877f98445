#include "kernels/layer_norm/layer_norm.h"

#include "kernels/normalize/normalize_cases.h"

namespace warptape {
namespace {

PreparedKernels measured(const Shape& shape, DType dtype) {
  const Shape places{shape[-1]};
  const auto op = [places](const std::vector<Tensor>& in) {
    return layer_norm(in[0], places, in[1], in[2]);
  };
  // x, y; dy, x, dx; dy, x. Of each row its statistics, thrice; weight and bias, weight, and their
  // gradients.
  const int64_t wide = 7 * bytes_of(shape, dtype);
  const int64_t rows = shape.numel() / shape[-1];
  const int64_t few = 3 * 16 * rows + 5 * bytes_of(places, dtype);
  return forward_and_backward(
      {on_cuda(shape, dtype), on_cuda(places, dtype), on_cuda(places, dtype)},
      on_cuda(shape, dtype), op, wide + few, wide);
}

}  // namespace

void layer_norm_cases(CaseTable& table) {
  constexpr double eps = 1e-3;
  // parameters: 0: none, 1: a weight, 2: a bias, too.
  const auto add = [&](const char* name, const Shape& shape, int dims, int parameters,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    const std::vector<int64_t> trailing(shape.begin() + shape.rank() - dims,
                                        shape.begin() + shape.rank());
    const Shape places(trailing);
    std::vector<CaseInput> inputs = {{.shape = shape, .format = format}};
    for (int i = 0; i < parameters; ++i) {
      inputs.push_back({.shape = places});
    }
    table.cases.push_back({.name = name,
                           .inputs = inputs,
                           .run =
                               [places](const std::vector<Operand>& in) {
                                 const Operand none{Tensor()};
                                 return layer_norm(in[0], places, in.size() > 1 ? in[1] : none,
                                                   in.size() > 2 ? in[2] : none, eps);
                               },
                           .reference =
                               [places](const std::vector<Tensor>& in) {
                                 const int64_t length = places.numel();
                                 const int64_t rows = length == 0 ? 0 : in[0].numel() / length;
                                 return plain_normalized(
                                     in, rows, eps, [&](int64_t i) { return i / length; },
                                     [&](int64_t i) { return i % length; });
                               },
                           .tolerance = Tolerance::Reduction});
  };
  add("rows", {31, 33}, 1, 2);
  add("rows_of_packs", {9, 32}, 1, 2);
  add("long_row", {3, 1025}, 1, 1);
  add("plain", {7, 12}, 1, 0);
  add("sequences", {2, 5, 9}, 1, 2, MemoryFormat::ChannelsLast);
  add("sequences_whole", {3, 5, 9}, 2, 2, MemoryFormat::ChannelsLast);
  add("images", {2, 8, 3, 5}, 1, 2, MemoryFormat::ChannelsLast);
  add("images_planes", {3, 6, 4, 3}, 2, 2);
  add("images_whole", {4, 3, 5, 4}, 3, 2);
  add("all", {2, 3, 4, 2}, 4, 2);
  add("empty", {0, 4}, 1, 2);
  table.errors.push_back({"shape",
                          [] {
                            layer_norm(Tensor::zeros({2, 3}), {4});
                          },
                          {"[layer_norm] x", "(2, 3)", "(4,)"}});
  table.errors.push_back({"no_dims",
                          [] {
                            layer_norm(Tensor::zeros({2, 3}), {});
                          },
                          {"[layer_norm] normalized_shape", "()"}});
  table.errors.push_back({"weight",
                          [] {
                            layer_norm(Tensor::zeros({2, 3}), {3}, Tensor::zeros({2}));
                          },
                          {"[layer_norm] weight", "(2,)", "(3,)"}});
  table.errors.push_back(
      {"bias",
       [] {
         layer_norm(Tensor::zeros({2, 3}), {3}, Tensor::zeros({3}), Tensor::zeros({1, 3}));
       },
       {"[layer_norm] bias", "(1, 3)", "(3,)"}});
  table.errors.push_back({"dtype_of_weight",
                          [] {
                            layer_norm(Tensor::zeros({2, 3}), {3}, Tensor::zeros({3}, float64));
                          },
                          {"[layer_norm]", "float64"}});
  table.errors.push_back({"eps",
                          [] {
                            layer_norm(Tensor::zeros({2, 3}), {3}, Tensor(), Tensor(), -1);
                          },
                          {"[layer_norm] eps", "-1"}});
  table.errors.push_back({"integers",
                          [] {
                            layer_norm(Tensor::zeros({2, 3}, int64), {3});
                          },
                          {"[layer_norm]", "int64"}});
  table.measured.push_back({"layer_norm", "forward and backward", {512, 1024}, measured});
  // Each row reads weight and bias again, from the cache, element by element; pairs of sums in
  // shared memory take twice the wavefronts.
  table.measured.back().bounds = {.moved = 3.5, .efficiency = 0.38, .bank_factor = 2};
}

}  // namespace warptape
