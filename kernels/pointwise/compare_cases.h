#pragma once
// The cases that all comparisons share.

#include "kernels/pointwise/binary_cases.h"

namespace warptape {

inline void add_compare_cases(CaseTable& table, const std::string& op, const BinaryFunction& run,
                              double (*function)(double, double)) {
  const auto add = [&](const char* name, const Shape& a, const Shape& b,
                       MemoryFormat format_a = MemoryFormat::RowMajor,
                       MemoryFormat format_b = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = a, .fill = Fill::Steps, .format = format_a},
                    {.shape = b, .fill = Fill::Steps, .format = format_b}},
         .run = [run](const std::vector<Operand>& in) { return run(in[0], in[1]); },
         .reference =
             [function](const std::vector<Tensor>& in) {
               return binary_reference(in[0], in[1], function);
             },
         .tolerance = Tolerance::Exact,
         .differentiable = false});
  };
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  add("same_1025", {1025}, {1025});
  add("scalar", {7, 5}, {});
  add("scalar_first", {}, {7, 5});
  add("row", {33, 31}, {31});
  add("row_of_packs", {33, 64}, {64});
  add("column", {32, 36}, {32, 1});
  add("both", {2, 3, 1, 5}, {3, 4, 1});
  add("empty", {0, 3}, {3});
  add("channels_last", {2, 3, 4, 5}, {2, 3, 4, 5}, channels_last, channels_last);
  add("channels_last_row_major", {2, 3, 4, 5}, {2, 3, 4, 5}, channels_last);
  add("channels_last_bias", {2, 32, 4, 5}, {32, 1, 1}, channels_last);
  table.errors.push_back({"shapes",
                          [run] {
                            run(Tensor::zeros({2, 3}), Tensor::zeros({4, 3}));
                          },
                          {"[" + op + "]", "(2, 3)", "(4, 3)", "compare_cases.h"}});
  table.errors.push_back({"dtypes",
                          [run] { run(Tensor::zeros({2}), Tensor::zeros({2}, uint8)); },
                          {"[" + op + "]", "float32", "uint8"}});
  table.errors.push_back(
      {"undefined", [run] { run(Tensor(), Tensor::zeros({2})); }, {"[" + op + "]", "undefined"}});
  const auto prepare = [run](const Shape& shape, DType dtype) {
    const int64_t wide = 2 * bytes_of(shape, dtype);
    return PreparedKernels{
        [run, a = on_cuda(shape, dtype), b = on_cuda(shape, dtype)] { run(a, b); },
        wide + bytes_of(shape, uint8), wide};
  };
  table.measured.push_back({op, "of two tensors", {512, 1024}, prepare});
}

}  // namespace warptape
