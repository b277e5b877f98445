#include "kernels/linear/linear.h"

#include <algorithm>

#include "core/deferred.h"
#include "kernels/cases/case.h"
#include "kernels/pointwise/pointwise.h"

namespace warptape {
namespace {

struct Layer {
  int64_t outputs;
  bool bias = true;
  bool relu = false;
};

// As a module's call runs them: what can be fused is.
Tensor run_layers(const std::vector<Layer>& layers, const std::vector<Operand>& in) {
  DeferralScope scope;
  Tensor y = in[0];
  size_t next = 1;
  for (const Layer& layer : layers) {
    const Operand& weight = in[next++];
    y = layer.bias ? linear(std::move(y), weight, in[next++]) : linear(std::move(y), weight);
    if (layer.relu) {
      y = relu(std::move(y));
    }
  }
  scope.finish();
  return y;
}

Tensor reference(const std::vector<Layer>& layers, const std::vector<Tensor>& in) {
  Plain x(in[0]);
  size_t next = 1;
  for (const Layer& layer : layers) {
    const Plain weight(in[next++]);
    const std::vector<double> bias =
        layer.bias ? in[next++].to_vector<double>() : std::vector<double>();
    const int64_t inputs = weight.size(1);
    Shape shape = x.shape();
    shape[-1] = layer.outputs;
    Plain y(shape);
    for (int64_t row = 0; row < x.numel() / std::max<int64_t>(inputs, 1); ++row) {
      for (int64_t o = 0; o < layer.outputs; ++o) {
        double sum = layer.bias ? bias[static_cast<size_t>(o)] : 0.0;
        for (int64_t i = 0; i < inputs; ++i) {
          sum += x[row * inputs + i] * weight(o, i);
        }
        y[row * layer.outputs + o] = layer.relu ? std::max(sum, 0.0) : sum;
      }
    }
    x = y;
  }
  return x.tensor();
}

OpCase case_of(const char* name, const Shape& x, MemoryFormat format,
               const std::vector<Layer>& layers) {
  OpCase result{.name = name,
                .inputs = {{.shape = x, .format = format}},
                .run = {},
                .reference = [=](const std::vector<Tensor>& in) { return reference(layers, in); },
                .tolerance = Tolerance::Reduction};
  int64_t inputs = x[x.rank() - 1];
  for (const Layer& layer : layers) {
    result.inputs.push_back({.shape = {layer.outputs, inputs}});
    if (layer.bias) {
      result.inputs.push_back({.shape = {layer.outputs}});
    }
    inputs = layer.outputs;
  }
  return result;
}

}  // namespace

void linear_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& x, int64_t outputs, bool bias,
                       MemoryFormat format = MemoryFormat::RowMajor, bool relu = false) {
    OpCase added = case_of(name, x, format, {{.outputs = outputs, .bias = bias, .relu = relu}});
    const LinearOptions options{relu ? Activation::ReLU : Activation::None};
    added.run = [=](const std::vector<Operand>& op) {
      return linear(op[0], op[1], bias ? op[2] : Operand(Tensor()), options);
    };
    table.cases.push_back(added);
  };
  add("one", {1, 1}, 1, true);
  add("odd", {31, 33}, 7, true);
  add("no_bias", {5, 32}, 31, false);
  add("vector", {33}, 5, true);
  add("sequence", {2, 3, 31}, 4, true);
  add("long", {3, 1025}, 2, true);
  add("no_outputs", {3, 4}, 0, true);
  add("no_rows", {0, 4}, 3, true);
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  add("channels_last", {2, 3, 5}, 4, true, channels_last);
  add("relu", {31, 7}, 33, true, MemoryFormat::RowMajor, true);
  add("relu_no_bias", {5, 8}, 16, false, MemoryFormat::RowMajor, true);
  add("relu_vector", {9}, 6, true, MemoryFormat::RowMajor, true);
  add("relu_channels_last", {2, 3, 5}, 4, true, channels_last, true);
  add("relu_no_rows", {0, 4}, 3, true, MemoryFormat::RowMajor, true);

  const auto add_layers = [&](const char* name, const Shape& x, const std::vector<Layer>& layers,
                              MemoryFormat format = MemoryFormat::RowMajor) {
    OpCase added = case_of(name, x, format, layers);
    added.run = [=](const std::vector<Operand>& in) { return run_layers(layers, in); };
    table.cases.push_back(added);
  };
  constexpr bool with_relu = true;
  add_layers("then_relu", {31, 7}, {{33, true, with_relu}});
  add_layers("hidden_one", {1, 1}, {{1, true, with_relu}, {1}});
  add_layers("hidden_odd", {31, 7}, {{33, true, with_relu}, {5}});
  add_layers("hidden_packs", {12, 8}, {{16, true, with_relu}, {4}});
  add_layers("hidden_no_bias", {5, 12}, {{9, false, with_relu}, {3, false}});
  add_layers("hidden_first_bias", {5, 3}, {{4, true, with_relu}, {2, false}});
  add_layers("hidden_second_bias", {5, 3}, {{4, false, with_relu}, {2, true}});
  add_layers("hidden_vector", {9}, {{6, true, with_relu}, {5}});
  add_layers("hidden_sequence", {2, 3, 5}, {{7, true, with_relu}, {4}});
  add_layers("hidden_channels_last", {2, 3, 5}, {{6, true, with_relu}, {4}}, channels_last);
  add_layers("hidden_then_relu", {5, 8}, {{12, true, with_relu}, {9, true, with_relu}});
  add_layers("three_layers", {5, 8}, {{12, true, with_relu}, {9, true, with_relu}, {4}});
  add_layers("no_relu_between", {5, 8}, {{12}, {9}});

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
  table.errors.push_back(
      {"second_features",
       [] {
         const DeferralScope scope;
         linear(relu(linear(Tensor::zeros({2, 3}), Tensor::zeros({4, 3}))), Tensor::zeros({2, 5}));
       },
       {"[linear] input features", "(2, 4)", "(..., 5)"}});
}

}  // namespace warptape
