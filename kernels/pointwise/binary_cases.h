#pragma once
// The cases that all broadcasting binary ops share.

#include <functional>

#include "core/strided.h"
#include "kernels/cases/measured.h"
#include "kernels/pointwise/operands_read.h"

namespace warptape {

using BinaryFunction = std::function<Tensor(const Operand&, const Operand&)>;

inline Tensor binary_reference(const Tensor& a, const Tensor& b,
                               double (*function)(double, double)) {
  const Shape shape = broadcast_shapes(a.shape(), b.shape(), "reference", {});
  const Plain pa(a);
  const Plain pb(b);
  Plain y(shape);
  const auto loop =
      make_strided_loop<3>(shape, MemoryFormat::RowMajor,
                           {strides_of(shape, MemoryFormat::RowMajor),
                            broadcast_strides(a.shape(), MemoryFormat::RowMajor, shape),
                            broadcast_strides(b.shape(), MemoryFormat::RowMajor, shape)});
  loop.for_each_run(0, shape.numel(), [&](const auto& at, int64_t n, const auto& step) {
    for (int64_t i = 0; i < n; ++i) {
      y[at[0] + i * step[0]] = function(pa[at[1] + i * step[1]], pb[at[2] + i * step[2]]);
    }
  });
  return y.tensor();
}

inline void add_binary_cases(CaseTable& table, const std::string& op, Fill fill_b,
                             const BinaryFunction& run, double (*function)(double, double),
                             Reads gradient_a_reads, Reads gradient_b_reads) {
  const auto add = [&](const char* name, const Shape& a, const Shape& b,
                       MemoryFormat format_a = MemoryFormat::RowMajor,
                       MemoryFormat format_b = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = a, .format = format_a},
                    {.shape = b, .fill = fill_b, .format = format_b}},
         .run = [run](const std::vector<Operand>& in) { return run(in[0], in[1]); },
         .reference =
             [function](const std::vector<Tensor>& in) {
               return binary_reference(in[0], in[1], function);
             }});
  };
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  add("same_1025", {1025}, {1025});
  add("scalar", {3, 5}, {});
  add("scalar_first", {}, {3, 5});
  add("row", {33, 31}, {31});
  add("column", {32, 33}, {32, 1});
  add("both", {2, 3, 1, 5}, {3, 4, 1});
  add("row_by_four", {260, 64}, {64});
  add("column_by_four", {12, 68}, {12, 1});
  add("channels", {3, 5, 4, 4}, {5, 1, 1});
  add("middle", {2, 1, 4}, {2, 70, 4});
  add("empty", {0, 3}, {3});
  add("channels_last", {2, 3, 4, 5}, {2, 3, 4, 5}, channels_last, channels_last);
  add("channels_last_row_major", {2, 3, 4, 5}, {2, 3, 4, 5}, channels_last);
  add("channels_last_bias", {2, 33, 4, 5}, {33, 1, 1}, channels_last);
  table.errors.push_back({"shapes",
                          [run] {
                            run(Tensor::zeros({2, 3}), Tensor::zeros({4, 3}));
                          },
                          {"[" + op + "]", "(2, 3)", "(4, 3)", "binary_cases.h"}});
  table.errors.push_back({"dtypes",
                          [run] { run(Tensor::zeros({2}), Tensor::zeros({2}, float64)); },
                          {"[" + op + "]", "float32", "float64"}});
  // a, b, y; dy, what is read, da; dy, what is read, db.
  table.measured.push_back(
      elementwise_case(op, 2, 7 + count(gradient_a_reads) + count(gradient_b_reads),
                       [run](const std::vector<Tensor>& in) { return run(in[0], in[1]); }));
}

}  // namespace warptape
