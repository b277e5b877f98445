#pragma once
// The cases that softmax and log_softmax share.

#include <cmath>
#include <functional>

#include "kernels/cases/measured.h"
#include "kernels/rows/along_dim.h"

namespace warptape {

inline void add_softmax_cases(CaseTable& table, const std::string& op,
                              const std::function<Tensor(const Operand&, int)>& run,
                              double (*element)(double x, double log_sum)) {
  const auto add = [&](const char* name, const Shape& shape, int dim,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .format = format}},
         .run = [run, dim](const std::vector<Operand>& in) { return run(in[0], dim); },
         .reference =
             [dim, element](const std::vector<Tensor>& in) {
               const int d = dim < 0 ? dim + in[0].rank() : dim;
               const AlongDim layout = along_dim(in[0], d);
               Plain y(in[0]);
               layout.for_each_row(0, layout.rows, [&](int64_t start) {
                 double total = 0;
                 for (int64_t i = 0; i < layout.length; ++i) {
                   total += std::exp(y[start + i * layout.stride]);
                 }
                 for (int64_t i = 0; i < layout.length; ++i) {
                   double& value = y[start + i * layout.stride];
                   value = element(value, std::log(total));
                 }
               });
               return y.tensor();
             },
         .tolerance = Tolerance::Reduction});
  };
  add("row", {1, 5}, 1);
  add("rows", {31, 33}, -1);
  add("long_row", {2, 1025}, 1);
  add("columns", {7, 33}, 0);
  add("rows_of_packs", {9, 12}, 1);
  add("columns_of_packs", {7, 12}, 0);
  add("middle", {2, 5, 3}, 1);
  add("channels_last", {2, 32, 3, 5}, 1, MemoryFormat::ChannelsLast);
  add("empty", {0, 4}, 1);
  table.errors.push_back({"dim",
                          [run] {
                            run(Tensor::zeros({2, 3}), 2);
                          },
                          {"[" + op + "]", "got 2", "-2 to 1"}});
  table.errors.push_back(
      {"dtype", [run] { run(Tensor::zeros({2}, uint8), 0); }, {"[" + op + "]", "uint8"}});
  // x, y; dy, y, dx.
  const auto measure = [&](const std::string& name, int dim) {
    table.measured.push_back(elementwise_case(
        name, 1, 5, [run, dim](const std::vector<Tensor>& in) { return run(in[0], dim); }));
  };
  measure(op, -1);
  measure(op + "_dim0", 0);
  // No block holds such columns: x is read once more forward, dy and y backward.
  table.measured.back().bounds.moved = 1.05 * 8 / 5;
}

}  // namespace warptape
