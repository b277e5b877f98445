#include "kernels/weight_norm/weight_norm.h"

#include <cmath>

#include "kernels/cases/measured.h"

namespace warptape {
namespace {

PreparedKernels measured_along(const NormDim& dim, const Shape& shape, DType dtype) {
  const Shape gain = dim.norm_shape(shape, "weight_norm", {});
  const auto op = [dim](const std::vector<Tensor>& in) {
    return weight_norm(in[0], in[1], {.dim = dim});
  };
  // v, w; v, dw, dv. Of each row g, 1 / ||v||; g, 1 / ||v||, dg.
  const int64_t wide = 5 * bytes_of(shape, dtype);
  const int64_t inv_norms = 2 * bytes_of(gain, float64);
  return forward_and_backward({on_cuda(shape, dtype), on_cuda(gain, dtype)}, on_cuda(shape, dtype),
                              op, wide + 3 * bytes_of(gain, dtype) + inv_norms, wide);
}

// The element of g, in logical order, that each element of v goes with.
std::vector<int64_t> slice_of_elements(const Shape& v, const Shape& g) {
  std::vector<int64_t> result;
  for (int64_t i = 0; i < v.numel(); ++i) {
    int64_t slice = 0;
    int64_t inner = v.numel();
    for (int axis = 0; axis < g.rank(); ++axis) {
      inner /= v[axis];
      slice = slice * g[axis] + (g[axis] == 1 ? 0 : i / inner % v[axis]);
    }
    result.push_back(slice);
  }
  return result;
}

}  // namespace

void weight_norm_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& v,
                       MemoryFormat format = MemoryFormat::RowMajor, const NormDim& dim = 0) {
    const Shape g = dim.norm_shape(v, "weight_norm", {});
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = v, .fill = Fill::AwayFromZero, .format = format},
                    {.shape = g, .format = normalized(format, g.rank())}},
         .run =
             [dim](const std::vector<Operand>& in) {
               return weight_norm(in[0], in[1], {.dim = dim});
             },
         .reference =
             [](const std::vector<Tensor>& in) {
               Plain w(in[0]);
               const Plain gain(in[1]);
               const std::vector<int64_t> slices = slice_of_elements(in[0].shape(), in[1].shape());
               std::vector<double> squares(static_cast<size_t>(gain.numel()));
               for (int64_t i = 0; i < w.numel(); ++i) {
                 squares[static_cast<size_t>(slices[static_cast<size_t>(i)])] += w[i] * w[i];
               }
               for (int64_t i = 0; i < w.numel(); ++i) {
                 const int64_t slice = slices[static_cast<size_t>(i)];
                 w[i] *= gain[slice] / std::sqrt(squares[static_cast<size_t>(slice)]);
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
  constexpr auto row_major = MemoryFormat::RowMajor;
  constexpr auto channels_last = MemoryFormat::ChannelsLast;
  add("last_dim", {33, 7}, row_major, -1);
  add("wide_last_dim", {9, 270}, row_major, 1);
  add("last_dim_of_three", {12, 5, 16}, row_major, 2);
  add("middle_dim", {9, 20, 7}, row_major, 1);
  add("middle_dim_of_long_runs", {3, 4, 70}, row_major, 1);
  add("dim_of_one_line", {1, 6, 5}, row_major, 1);
  add("whole_tensor", {6, 5, 3}, row_major, WholeTensor);
  add("first_and_last_dim", {6, 5, 3}, row_major, {0, -1});
  add("middle_and_last_dim", {6, 5, 3}, row_major, {1, 2});
  add("every_dim", {6, 5}, row_major, {0, 1});
  add("two_middle_dims", {3, 4, 2, 3, 5}, row_major, {1, 3});
  add("channels_last_dim_1", {6, 5, 3, 2}, channels_last, 1);
  add("channels_last_dim_2", {6, 5, 3, 2}, channels_last, 2);
  add("channels_last_dims", {6, 5, 3, 2}, channels_last, {1, 2});
  add("channels_last_whole", {6, 5, 3, 2}, channels_last, WholeTensor);
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
  const auto add_dim_error = [&](const char* name, const NormDim& dim,
                                 std::vector<std::string> words) {
    words.emplace_back("[weight_norm] dim");
    table.errors.push_back(
        {name,
         [dim] {
           weight_norm(Tensor::ones({4, 3, 2}), Tensor::ones({4, 1, 1}), {.dim = dim});
         },
         words});
  };
  add_dim_error("dim_behind", 3, {"got 3", "-3 to 2", "(4, 3, 2)"});
  add_dim_error("dim_before", -4, {"got -4"});
  add_dim_error("no_dim", NormDim(std::span<const int>{}), {"got no axis", "WholeTensor"});
  add_dim_error("dim_twice", {0, -3}, {"(0, -3)", "axis 0", "twice"});
  table.errors.push_back(
      {"dims_in_three_places",
       [] {
         const Shape v{2, 3, 2, 3, 2, 3};
         weight_norm(Tensor::ones(v), Tensor::ones({2, 1, 2, 1, 2, 1}), {.dim = {0, 2, 4}});
       },
       {"[weight_norm] dim", "(0, 2, 4)", "two places"}});
  table.errors.push_back({"g_of_another_dim",
                          [] {
                            weight_norm(Tensor::ones({4, 3}), Tensor::ones({4, 1}), {.dim = 1});
                          },
                          {"[weight_norm] g", "(4, 1)", "(1, 3)", "dim 1"}});
  table.errors.push_back({"g_count",
                          [] {
                            weight_norm(Tensor::ones({4, 3}), Tensor::ones({3, 1}));
                          },
                          {"[weight_norm] g", "(3, 1)", "(4, 1)"}});
  const auto measured = [](const NormDim& dim) {
    return [dim](const Shape& shape, DType dtype) { return measured_along(dim, shape, dtype); };
  };
  table.measured.push_back({"weight_norm", "forward and backward", {512, 576}, measured(0)});
  // Neighbours in memory belong to different norms: they are taken one by one, whole sectors of
  // them.
  table.measured.push_back(
      {"weight_norm_last_dim", "forward and backward", {256, 1024}, measured(-1), {.by_16 = 0}});
}

}  // namespace warptape
