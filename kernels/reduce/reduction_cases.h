#pragma once
// The cases that reductions over chosen dims share.

#include <functional>

#include "kernels/cases/measured.h"
#include "kernels/reduce/dims.h"

namespace warptape {

using ReductionFunction =
    std::function<Tensor(const Operand&, const std::vector<int>& dims, bool keepdim)>;
// Reduces one list of values (in logical order) to one.
using ListFunction = double (*)(const std::vector<double>&);

inline Tensor reduction_reference(const Tensor& x, const std::vector<int>& dims, bool keepdim,
                                  ListFunction function) {
  const ReductionDims reduction = reduction_dims("reference", x, dims, keepdim);
  std::vector<std::vector<double>> lists(static_cast<size_t>(reduction.kept.numel()));
  const std::vector<double> values = x.to_vector<double>();
  const auto loop = make_strided_loop<2>(
      x.shape(), MemoryFormat::RowMajor,
      {strides_of(x.shape(), MemoryFormat::RowMajor),
       [&] { return broadcast_strides(reduction.kept, MemoryFormat::RowMajor, x.shape()); }()});
  loop.for_each_run(0, x.numel(), [&](const auto& at, int64_t n, const auto& step) {
    for (int64_t i = 0; i < n; ++i) {
      lists[static_cast<size_t>(at[1] + i * step[1])].push_back(
          values[static_cast<size_t>(at[0] + i * step[0])]);
    }
  });
  Plain y(reduction.output);
  for (size_t i = 0; i < lists.size(); ++i) {
    y[static_cast<int64_t>(i)] = function(lists[i]);
  }
  return y.tensor();
}

inline void add_reduction_cases(CaseTable& table, const std::string& op, Fill fill,
                                const ReductionFunction& run, ListFunction function) {
  const auto add = [&](const char* name, const Shape& shape, const std::vector<int>& dims,
                       bool keepdim = false, MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .fill = fill, .format = format}},
         .run = [run, dims,
                 keepdim](const std::vector<Operand>& in) { return run(in[0], dims, keepdim); },
         .reference =
             [dims, keepdim, function](const std::vector<Tensor>& in) {
               return reduction_reference(in[0], dims, keepdim, function);
             },
         .tolerance = Tolerance::Reduction});
  };
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  add("all", {33, 31}, {});
  add("scalar", {}, {});
  add("one", {1}, {0}, true);
  add("rows", {5, 1025}, {-1});
  add("columns", {31, 130}, {0});
  add("columns_by_four", {31, 132}, {0});
  add("many_rows_of_columns", {260, 64}, {0});
  add("long_row", {16400}, {0});
  table.cases.back().differentiable = false;  // the gradient of its mean is too small to check
  add("long_odd_rows", {2, 4099}, {1});
  add("middle_keepdim", {3, 32, 5}, {1}, true);
  add("first_and_last", {4, 3, 6}, {0, 2});
  add("channels_last_spatial", {2, 70, 4, 5}, {2, 3}, true, channels_last);
  add("channels_last_channels", {2, 33, 4, 5}, {1}, false, channels_last);
  add("channels_last_all_but_channels", {2, 33, 4, 5}, {0, 2, 3}, false, channels_last);
  table.errors.push_back({"dim_out_of_range",
                          [run] {
                            run(Tensor::zeros({2, 3}), {2}, false);
                          },
                          {"[" + op + "]", "got 2", "-2 to 1"}});
  table.errors.push_back({"dim_twice",
                          [run] {
                            run(Tensor::zeros({2, 3}), {1, -1}, false);
                          },
                          {"[" + op + "]", "twice"}});
  table.errors.push_back(
      {"int64", [run] { run(Tensor::zeros({2}, int64), {}, false); }, {"[" + op + "]", "int64"}});
}

// Over one dimension. backward_reads: how often backward reads x, and y.
inline MeasuredCase reduction_case(const std::string& name, int dim, int64_t backward_reads,
                                   const ReductionFunction& run) {
  const auto prepare = [=](const Shape& shape, DType dtype) {
    Shape reduced = shape;
    reduced[dim < 0 ? shape.rank() + dim : dim] = 1;
    const int64_t wide = (2 + backward_reads) * bytes_of(shape, dtype);
    return forward_and_backward(
        {on_cuda(shape, dtype)}, on_cuda(reduced, dtype),
        [run, dim](const std::vector<Tensor>& in) { return run(in[0], {dim}, true); },
        wide + (2 + backward_reads) * bytes_of(reduced, dtype), wide);
  };
  const std::string which = dim < 0 ? "last" : "first";
  return {name, "over the " + which + " dimension, forward and backward", {512, 1024}, prepare};
}

}  // namespace warptape
