#pragma once
// The cases that element-by-element ops of one tensor share.

#include <functional>

#include "kernels/cases/measured.h"
#include "kernels/pointwise/functors.h"

namespace warptape {

inline void add_unary_cases(CaseTable& table, const std::string& op, Fill fill,
                            const std::function<Tensor(const Operand&)>& run,
                            const std::function<double(double)>& function, Saves saves) {
  // The derivative amplifies the rounding of an output that it is made from: 1 - y^2 of tanh, for
  // the inputs here, up to 9 times.
  const double roundings = saves == Saves::Output ? 12 : 2;
  const auto add = [&](const char* name, const Shape& shape,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back({.name = name,
                           .inputs = {{.shape = shape, .fill = fill, .format = format}},
                           .run = [run](const std::vector<Operand>& in) { return run(in[0]); },
                           .reference =
                               [function](const std::vector<Tensor>& in) {
                                 Plain y(in[0]);
                                 for (int64_t i = 0; i < y.numel(); ++i) {
                                   y[i] = function(y[i]);
                                 }
                                 return y.tensor();
                               },
                           .bfloat16_roundings = roundings});
  };
  add("scalar", {});
  add("empty", {0, 3});
  add("one", {1});
  add("31", {31});
  add("33x32", {33, 32});
  add("1025", {1025});
  add("channels_last", {2, 3, 5, 7}, MemoryFormat::ChannelsLast);
  table.errors.push_back({"int64",
                          [run] { run(Tensor::zeros({2}, int64)); },
                          {"[" + op + "]", "int64", "float32 or float64", "unary_cases.h"}});
  table.errors.push_back({"undefined", [run] { run(Tensor()); }, {"[" + op + "]", "undefined"}});
  // x, y; dy, what is saved, dx.
  table.measured.push_back(
      elementwise_case(op, 1, saves == Saves::Nothing ? 4 : 5,
                       [run](const std::vector<Tensor>& in) { return run(in[0]); }));
}

}  // namespace warptape
