#include "layers/init.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/primitives.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/weight_norm.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

struct Spread {
  double mean = 0;
  double variance = 0;
  double lowest = 0;
  double highest = 0;
};

Spread spread(const Tensor& tensor) {
  const std::vector<double> values = primitives::cast(tensor, float64).to_vector<double>();
  const auto count = static_cast<double>(values.size());
  Spread result;
  for (double value : values) {
    result.mean += value / count;
  }
  for (double value : values) {
    result.variance += (value - result.mean) * (value - result.mean) / count;
  }
  result.lowest = *std::min_element(values.begin(), values.end());
  result.highest = *std::max_element(values.begin(), values.end());
  return result;
}

// Uniform in +-bound: inside, and filling the range.
void expect_uniform(const Tensor& tensor, double bound) {
  const Spread found = spread(tensor);
  EXPECT_GE(found.lowest, -bound * (1 + 1e-6));
  EXPECT_LE(found.highest, bound * (1 + 1e-6));
  EXPECT_LT(found.lowest, -0.98 * bound);
  EXPECT_GT(found.highest, 0.98 * bound);
  EXPECT_NEAR(found.mean, 0, 0.05 * bound);
  EXPECT_NEAR(found.variance, bound * bound / 3, 0.05 * bound * bound);
}

void expect_normal(const Tensor& tensor, double mean, double std) {
  const Spread found = spread(tensor);
  EXPECT_NEAR(found.mean, mean, 0.05 * std);
  EXPECT_NEAR(std::sqrt(found.variance), std, 0.05 * std);
  EXPECT_GT(found.highest, mean + 2.5 * std);
  EXPECT_LT(found.lowest, mean - 2.5 * std);
}

// (64, 32, 3, 3): fan in 288, fan out 576.
Weight filters() {
  return Weight(Tensor::zeros({64, 32, 3, 3}));
}

TEST(Init, FansCountTaps) {
  const init::Fans conv = init::fans({64, 32, 3, 5});
  EXPECT_EQ(conv.in, 32 * 15);
  EXPECT_EQ(conv.out, 64 * 15);
  const init::Fans linear = init::fans({7, 3});
  EXPECT_EQ(linear.in, 3);
  EXPECT_EQ(linear.out, 7);
  expect_throws<ShapeError>([] { init::fans({7}); }, {"[init]", "(7,)"});
}

TEST(Init, ConstantFillsWeightsAndParameters) {
  Weight weight = filters();
  init::constant(weight, 0.5);
  EXPECT_EQ(spread(weight.value()).lowest, 0.5);
  EXPECT_EQ(spread(weight.value()).highest, 0.5);
  Parameter bias(Tensor::zeros({3}));
  init::constant(bias, -2);
  EXPECT_EQ(bias.value().to_vector<float>(), std::vector<float>(3, -2));
}

TEST(Init, UniformAndNormalTakeTheirArguments) {
  Generator generator(1);
  Weight weight = filters();
  init::uniform(weight, -0.25, 0.25, generator);
  expect_uniform(weight.value(), 0.25);
  init::normal(weight, 3, 0.5, generator);
  expect_normal(weight.value(), 3, 0.5);
  Parameter parameter(Tensor::zeros({5000}));
  init::uniform(parameter, -2, 2, generator);
  expect_uniform(parameter.value(), 2);
  init::normal(parameter, -1, 0.1, generator);
  expect_normal(parameter.value(), -1, 0.1);
}

TEST(Init, KaimingUsesTheFanIn) {
  Generator generator(1);
  Weight weight = filters();
  init::kaiming_uniform(weight, {}, generator);
  expect_uniform(weight.value(), std::sqrt(6.0 / 288));
  init::kaiming_normal(weight, {}, generator);
  expect_normal(weight.value(), 0, std::sqrt(2.0 / 288));
}

TEST(Init, KaimingTakesTheSlopeOfLeakyRelu) {
  Generator generator(1);
  Weight weight = filters();
  init::kaiming_uniform(weight, {.a = std::sqrt(5.0)}, generator);
  expect_uniform(weight.value(), 1 / std::sqrt(288.0));
  init::kaiming_normal(weight, {.a = 1}, generator);
  expect_normal(weight.value(), 0, std::sqrt(1.0 / 288));
}

TEST(Init, XavierUsesBothFans) {
  Generator generator(1);
  Weight weight = filters();
  init::xavier_uniform(weight, 1, generator);
  expect_uniform(weight.value(), std::sqrt(6.0 / (288 + 576)));
  init::xavier_normal(weight, 1, generator);
  expect_normal(weight.value(), 0, std::sqrt(2.0 / (288 + 576)));
}

TEST(Init, GainsArePyTorchs) {
  using init::Nonlinearity;
  // torch.nn.init.calculate_gain
  EXPECT_DOUBLE_EQ(init::gain(Nonlinearity::Linear), 1);
  EXPECT_DOUBLE_EQ(init::gain(Nonlinearity::Sigmoid), 1);
  EXPECT_DOUBLE_EQ(init::gain(Nonlinearity::Tanh), 1.6666666666666667);
  EXPECT_DOUBLE_EQ(init::gain(Nonlinearity::ReLU), 1.4142135623730951);
  EXPECT_DOUBLE_EQ(init::gain(Nonlinearity::LeakyReLU), 1.4141428569978354);
  EXPECT_DOUBLE_EQ(init::gain(Nonlinearity::LeakyReLU, 0.2), 1.3867504905630728);
  EXPECT_DOUBLE_EQ(init::gain(Nonlinearity::SELU), 0.75);
}

TEST(Init, GainsAndModesScaleTheBounds) {
  Generator generator(1);
  Weight weight = filters();
  init::xavier_uniform(weight, 3, generator);
  expect_uniform(weight.value(), 3 * std::sqrt(6.0 / (288 + 576)));
  init::xavier_normal(weight, 0.5, generator);
  expect_normal(weight.value(), 0, 0.5 * std::sqrt(2.0 / (288 + 576)));
  init::kaiming_uniform(weight, {.mode = init::Fan::Out, .nonlinearity = init::Nonlinearity::Tanh},
                        generator);
  expect_uniform(weight.value(), 5.0 / 3 * std::sqrt(3.0 / 576));
  init::kaiming_normal(weight,
                       {.a = 7, .mode = init::Fan::Out, .nonlinearity = init::Nonlinearity::Linear},
                       generator);
  expect_normal(weight.value(), 0, std::sqrt(1.0 / 576));
}

TEST(Init, FillsWhateverHoldsElements) {
  Parameter parameter(Tensor::full({2, 3}, 5));
  init::zeros(parameter);
  EXPECT_EQ(parameter.value().to_vector<float>(), std::vector<float>(6, 0));
  Buffer buffer(Tensor::zeros({2}, float64));
  init::ones(buffer);
  EXPECT_EQ(buffer.value().to_vector<double>(), std::vector<double>(2, 1));
  Tensor plain = Tensor::zeros({4, 5000});
  Generator generator(3);
  init::uniform(plain, 0, 1, generator);
  EXPECT_NEAR(spread(plain).mean, 0.5, 0.01);
  init::normal(plain, 0, 1, generator);
  expect_normal(plain, 0, 1);
  Linear normed(3, 2);
  weight_norm(normed);
  init::constant(normed.weight, 2);
  EXPECT_EQ(normed.weight.value().to_vector<float>(), std::vector<float>(6, 2));
  Parameter undefined;
  expect_throws<ValueError>([&] { init::zeros(undefined); }, {"[init]", "undefined"});
}

TEST(Init, TruncatedNormalsHaveItsMoments) {
  Generator generator(1);
  Tensor values = Tensor::empty({100000}, float64);
  init::trunc_normal(values, 0, 1, -2, 2, generator);
  const Spread found = spread(values);
  EXPECT_GE(found.lowest, -2);
  EXPECT_LE(found.highest, 2);
  EXPECT_LT(found.lowest, -1.99);
  EXPECT_GT(found.highest, 1.99);
  EXPECT_NEAR(found.mean, 0, 0.015);
  // 1 - 4 phi(2) / (2 Phi(2) - 1)
  EXPECT_NEAR(found.variance, 0.7737413, 0.015);
  // One-sided, from 1 on: its mean is phi(1) / (1 - Phi(1)), times the std.
  init::trunc_normal(values, 3, 2, 5, 1e9, generator);
  EXPECT_GE(spread(values).lowest, 5);
  EXPECT_NEAR(spread(values).mean, 3 + 2 * 1.5251353, 0.02);
  expect_throws<ValueError>([&] { init::trunc_normal(values, 0, 1, 2, 2, generator); },
                            {"[trunc_normal]", "low 2 and high 2"});
}

void expect_orthogonal(const Shape& shape, double gain) {
  Generator generator(1);
  Tensor weight = Tensor::empty(shape, float64);
  init::orthogonal(weight, gain, generator);
  const std::vector<double> w = weight.to_vector<double>();
  const int64_t rows = shape[0];
  const int64_t columns = shape.numel() / rows;
  const bool by_rows = rows <= columns;
  const int64_t count = by_rows ? rows : columns;
  const int64_t length = by_rows ? columns : rows;
  const auto at = [&](int64_t i, int64_t k) {
    return w[static_cast<size_t>(by_rows ? i * columns + k : k * columns + i)];
  };
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < count; ++j) {
      double product = 0;
      for (int64_t k = 0; k < length; ++k) {
        product += at(i, k) * at(j, k);
      }
      EXPECT_NEAR(product, i == j ? gain * gain : 0, 1e-13) << shape << ": " << i << ", " << j;
    }
  }
}

TEST(Init, OrthogonalOnesAre) {
  expect_orthogonal({5, 5}, 1);
  expect_orthogonal({4, 9}, 2);
  expect_orthogonal({9, 4}, 0.5);
  expect_orthogonal({6, 2, 3, 3}, 1);
  expect_orthogonal({1, 7}, 1);
  Tensor vector = Tensor::zeros({3});
  expect_throws<ShapeError>([&] { init::orthogonal(vector); }, {"[init]", "(3,)"});
}

TEST(Init, LayersStartInPyTorchsRange) {
  manual_seed(5);
  Conv2d conv({.in_channels = 16, .out_channels = 512, .kernel_size = 3});
  expect_uniform(conv.weight.value(), 1 / std::sqrt(16.0 * 9));
  expect_uniform(conv.bias.value(), 1 / std::sqrt(16.0 * 9));
  Linear linear(25, 1000);
  expect_uniform(linear.weight.value(), 0.2);
  expect_uniform(linear.bias.value(), 0.2);
  Conv2d grouped({.in_channels = 16, .out_channels = 512, .kernel_size = 3, .groups = 4});
  expect_uniform(grouped.weight.value(), 1 / std::sqrt(4.0 * 9));
}

TEST(Init, TheSameSeedGivesTheSameLayer) {
  manual_seed(5);
  Linear first(3, 4);
  manual_seed(5);
  Linear second(3, 4);
  Linear third(3, 4);
  EXPECT_EQ(first.weight.value().to_vector<float>(), second.weight.value().to_vector<float>());
  EXPECT_EQ(first.bias.value().to_vector<float>(), second.bias.value().to_vector<float>());
  EXPECT_NE(first.weight.value().to_vector<float>(), third.weight.value().to_vector<float>());
}

TEST(Init, TorchDefaultWorksWithoutABias) {
  Weight weight = filters();
  Parameter none;
  Generator generator(1);
  init::torch_default(weight, none, generator);
  expect_uniform(weight.value(), 1 / std::sqrt(288.0));
  EXPECT_FALSE(none.defined());
}

}  // namespace
}  // namespace warptape
