#include "kernels/linear/linear.h"

#include <algorithm>

#include "kernels/cases/case.h"

namespace warptape {
namespace {

Tensor reference(const std::vector<Tensor>& in) {
  const Plain x(in[0]);
  const Plain weight(in[1]);
  Shape shape = in[0].shape();
  const int64_t outputs = weight.size(0);
  const int64_t inputs = weight.size(1);
  shape[shape.rank() - 1] = outputs;
  Plain y(shape);
  for (int64_t row = 0; row < x.numel() / std::max<int64_t>(inputs, 1); ++row) {
    for (int64_t o = 0; o < outputs; ++o) {
      double sum = in.size() > 2 ? Plain(in[2])[o] : 0.0;
      for (int64_t i = 0; i < inputs; ++i) {
        sum += x[row * inputs + i] * weight(o, i);
      }
      y[row * outputs + o] = sum;
    }
  }
  return y.tensor();
}

}  // namespace

void linear_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& x, int64_t outputs, bool bias,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    const int64_t inputs = x[x.rank() - 1];
    std::vector<CaseInput> in = {{.shape = x, .format = format}, {.shape = {outputs, inputs}}};
    if (bias) {
      in.push_back({.shape = {outputs}});
    }
    table.cases.push_back({.name = name,
                           .inputs = in,
                           .run =
                               [bias](const std::vector<Operand>& op) {
                                 return bias ? linear(op[0], op[1], op[2]) : linear(op[0], op[1]);
                               },
                           .reference = reference,
                           .tolerance = Tolerance::Reduction});
  };
  add("one", {1, 1}, 1, true);
  add("odd", {31, 33}, 7, true);
  add("no_bias", {5, 32}, 31, false);
  add("vector", {33}, 5, true);
  add("sequence", {2, 3, 31}, 4, true);
  add("long", {3, 1025}, 2, true);
  add("no_outputs", {3, 4}, 0, true);
  add("no_rows", {0, 4}, 3, true);
  add("channels_last", {2, 3, 5}, 4, true, MemoryFormat::ChannelsLast);
  table.errors.push_back({"features",
                          [] {
                            linear(Tensor::zeros({2, 3}), Tensor::zeros({5, 4}));
                          },
                          {"[linear]", "(2, 3)", "(..., 4)", "linear_cases.cpp"}});
  table.errors.push_back(
      {"bias",
       [] {
         linear(Tensor::zeros({2, 3}), Tensor::zeros({5, 3}), Tensor::zeros({4}));
       },
       {"[linear] bias", "(4,)", "(5,)"}});
}

}  // namespace warptape
