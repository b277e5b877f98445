#include "kernels/weight_norm/weight_norm.h"

#include <cmath>

#include "kernels/cases/measured.h"

namespace warptape {
namespace {

PreparedKernels measured(const Shape& shape, DType dtype) {
  Shape gain = shape;
  for (int dim = 1; dim < shape.rank(); ++dim) {
    gain[dim] = 1;
  }
  const auto op = [](const std::vector<Tensor>& in) { return weight_norm(in[0], in[1]); };
  // v, w; v, dw, dv. Of each row g, 1 / ||v||; g, 1 / ||v||, dg.
  const int64_t wide = 5 * bytes_of(shape, dtype);
  const int64_t inv_norms = 2 * bytes_of(gain, float64);
  return forward_and_backward({on_cuda(shape, dtype), on_cuda(gain, dtype)}, on_cuda(shape, dtype),
                              op, wide + 3 * bytes_of(gain, dtype) + inv_norms, wide);
}

}  // namespace

void weight_norm_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& v,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    Shape g = v;
    for (int d = 1; d < v.rank(); ++d) {
      g[d] = 1;
    }
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = v, .fill = Fill::AwayFromZero, .format = format}, {.shape = g}},
         .run = [](const std::vector<Operand>& in) { return weight_norm(in[0], in[1]); },
         .reference =
             [](const std::vector<Tensor>& in) {
               Plain w(in[0]);
               const Plain gain(in[1]);
               const int64_t length = w.numel() / w.size(0);
               for (int64_t row = 0; row < w.size(0); ++row) {
                 double square = 0;
                 for (int64_t i = 0; i < length; ++i) {
                   square += w[row * length + i] * w[row * length + i];
                 }
                 for (int64_t i = 0; i < length; ++i) {
                   w[row * length + i] *= gain[row] / std::sqrt(square);
                 }
               }
               return w.tensor();
             },
         .tolerance = Tolerance::Pointwise});
  };
  add("linear", {31, 33}, MemoryFormat::RowMajor);
  add("conv1d", {25, 7, 5});
  add("first_layer", {64, 3, 3, 3});
  add("rows_of_warps", {11, 67});
  add("one_row", {1, 1025});
  add("one_element", {5, 1});
  add("vector", {7});
  add("channels_last", {6, 5, 3, 2}, MemoryFormat::ChannelsLast);
  const auto add_dtype_error = [&](const char* name, DType of_v, DType of_w, const char* wanted) {
    table.errors.push_back(
        {name,
         [of_v, of_w] {
           weight_norm(Tensor::ones({4, 3}, of_v), Tensor::ones({4, 1}, of_v), {.dtype = of_w});
         },
         {"[weight_norm] dtype", to_string(of_w), wanted, to_string(of_v),
          "weight_norm_cases.cpp"}});
  };
  add_dtype_error("wider", float32, float64, "wanted float32 or bfloat16");
  add_dtype_error("rounded_twice", float64, bfloat16, "wanted float64");
  add_dtype_error("from_bfloat16", bfloat16, float32, "wanted bfloat16");
  add_dtype_error("integer", float32, int64, "wanted float32 or bfloat16");
  table.errors.push_back({"g_shape",
                          [] {
                            weight_norm(Tensor::ones({4, 3, 2}), Tensor::ones({4}));
                          },
                          {"[weight_norm] g", "(4,)", "(4, 1, 1)", "weight_norm_cases.cpp"}});
  table.errors.push_back({"g_count",
                          [] {
                            weight_norm(Tensor::ones({4, 3}), Tensor::ones({3, 1}));
                          },
                          {"[weight_norm] g", "(3, 1)", "(4, 1)"}});
  table.measured.push_back({"weight_norm", "forward and backward", {512, 576}, measured});
}

}  // namespace warptape
