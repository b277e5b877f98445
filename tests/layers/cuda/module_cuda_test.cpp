// Modules that move between devices.

#include "core/profile.h"
#include "core/tape.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/sum/sum.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "layers/state_dict.h"
#include "layers/weight_norm.h"
#include "tests/core/device/gpu_test.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

class ModuleCuda : public GpuTest {};

Sequential net() {
  Sequential result(Linear({.in_features = 5, .out_features = 3, .dtype = float64}));
  weight_norm(dynamic_cast<Linear&>(result[0]));
  return result;
}

std::vector<std::vector<double>> values_of(Module& module) {
  std::vector<std::vector<double>> result;
  for (const auto& [name, value] : state_dict(module)) {
    result.push_back(value.to_vector<double>());
  }
  return result;
}

TEST_F(ModuleCuda, MovesWithTheSameParameters) {
  Sequential model = net();
  const ParameterStates states = parameters(model);
  states[0]->grad = Tensor::full(states[0]->value.shape(), 0.25, float64);
  states[0]->grad_is_empty = false;
  const auto values = values_of(model);
  const auto weight = dynamic_cast<Linear&>(model[0]).weight.value().to_vector<double>();
  for (Device device : {cuda, cpu, cuda}) {
    model.to(device);
    EXPECT_EQ(parameters(model), states);
    EXPECT_EQ(values_of(model), values);
    for (const auto& state : states) {
      EXPECT_EQ(state->value.device(), device);
    }
    EXPECT_EQ(states[0]->grad.device(), device);
    EXPECT_EQ(states[0]->grad.to_vector<double>()[1], 0.25);
    const Tensor moved = dynamic_cast<Linear&>(model[0]).weight.value();  // computed there
    EXPECT_EQ(moved.device(), device);
    for (size_t i = 0; i < weight.size(); ++i) {
      EXPECT_NEAR(moved.to_vector<double>()[i], weight[i], 1e-14);
    }
  }
}

TEST_F(ModuleCuda, AllItsWeightsAreNormalisedInOneLaunch) {
  Sequential model(Linear({.in_features = 5, .out_features = 7, .dtype = float64}),
                   Linear({.in_features = 7, .out_features = 3, .dtype = float64}),
                   Linear({.in_features = 3, .out_features = 130, .dtype = float64}));
  for (size_t i = 0; i < 3; ++i) {
    weight_norm(dynamic_cast<Linear&>(model[i]));
  }
  model.to(cuda);
  const uint64_t before = gpu::launches;
  refresh_weight_norm(model);
  EXPECT_EQ(gpu::launches - before, 1u);
  refresh_weight_norm(model);
  const auto weight = [&](size_t i) { return dynamic_cast<Linear&>(model[i]).weight.operand({}); };
  weight(1);
  EXPECT_EQ(gpu::launches - before, 1u) << "nothing has changed";

  Tape tape;
  refresh_weight_norm(model);
  const std::vector<Operand> weights{weight(0), weight(1), weight(2)};
  Tensor total = sum(weights[0]);
  total = add(total, sum(weights[1]));
  total = add(total, sum(weights[2]));
  profile::start();
  tape.backward(total);
  int64_t calls = 0;
  for (const profile::Total& range : profile::summarize(profile::stop())) {
    calls += range.name == "weight_norm backward" ? range.calls : 0;
  }
  EXPECT_EQ(calls, 1);
}

TEST_F(ModuleCuda, FiltersLieAsConvolutionsReadThem) {
  Sequential model(Conv2d({.in_channels = 3, .out_channels = 5, .kernel_size = 2}),
                   Conv2d({.in_channels = 5, .out_channels = 2, .kernel_size = 3}), Linear(4, 2));
  auto& normed = dynamic_cast<Conv2d&>(model[1]);
  weight_norm(normed);
  const std::vector<NamedParameter> named = named_parameters(model);
  const auto& plain = *named[0].parameter;
  plain.state()->grad = Tensor::full(plain.value().shape(), 0.25, float32);
  const auto values = plain.value().to_vector<float>();
  const auto weight = normed.weight.value().to_vector<float>();
  for (const auto& [device, format] :
       {std::pair(cuda, MemoryFormat::ChannelsLast), std::pair(cuda, MemoryFormat::ChannelsLast),
        std::pair(cpu, MemoryFormat::RowMajor)}) {
    model.to(device);
    EXPECT_EQ(plain.value().memory_format(), format);
    EXPECT_EQ(plain.state()->grad.memory_format(), format);
    EXPECT_EQ(plain.value().to_vector<float>(), values);
    const Tensor moved = normed.weight.value();
    EXPECT_EQ(moved.memory_format(), format) << "w has v's";
    const std::vector<float> got = moved.to_vector<float>();
    for (size_t i = 0; i < weight.size(); ++i) {
      EXPECT_NEAR(got[i], weight[i], 1e-6 * std::abs(weight[i]));
    }
    EXPECT_EQ(dynamic_cast<Linear&>(model[2]).weight.value().memory_format(),
              MemoryFormat::RowMajor);
  }
}

TEST_F(ModuleCuda, OptimizersHoldWhatMoved) {
  Sequential host = net();
  Sequential device = host;
  for (Sequential* model : {&host, &device}) {
    SGD optimizer(parameters(*model), {.lr = 0.5, .momentum = 0.9});
    model->to(model == &device ? cuda : cpu);
    for (int step = 0; step < 2; ++step) {
      for (const auto& state : parameters(*model)) {
        state->grad = Tensor::full(state->value.shape(), 0.25, float64, state->value.device());
        state->grad_is_empty = false;
      }
      optimizer.step();
    }
  }
  const auto wanted = values_of(host);
  const auto got = values_of(device);
  for (size_t i = 0; i < wanted.size(); ++i) {
    for (size_t j = 0; j < wanted[i].size(); ++j) {
      EXPECT_NEAR(got[i][j], wanted[i][j], 1e-14);
    }
  }
}

TEST_F(ModuleCuda, TakesTheStateOfAModuleElsewhere) {
  Sequential host = net();
  Sequential device = net();
  device.to(cuda);
  load_state_dict(device, state_dict(host));
  EXPECT_EQ(values_of(device), values_of(host));
  for (const auto& [name, value] : state_dict(device)) {
    EXPECT_EQ(value.device(), cuda) << name;
  }
  Sequential other = net();
  load_state_dict(other, state_dict(device));
  EXPECT_EQ(values_of(other), values_of(host));
  EXPECT_EQ(state_dict(other)[0].second.device(), cpu);
  Sequential plain(Linear({.in_features = 5, .out_features = 3, .dtype = float64}));  // folded
  plain.to(cuda);
  load_state_dict(plain, state_dict(host));
  EXPECT_EQ(dynamic_cast<Linear&>(plain[0]).weight.value().device(), cuda);
}

}  // namespace
}  // namespace warptape
