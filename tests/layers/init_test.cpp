#include "layers/init.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/primitives.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
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
  init::kaiming_uniform(weight, 0, generator);
  expect_uniform(weight.value(), std::sqrt(6.0 / 288));
  init::kaiming_normal(weight, 0, generator);
  expect_normal(weight.value(), 0, std::sqrt(2.0 / 288));
}

TEST(Init, KaimingTakesTheSlopeOfLeakyRelu) {
  Generator generator(1);
  Weight weight = filters();
  init::kaiming_uniform(weight, std::sqrt(5.0), generator);
  expect_uniform(weight.value(), 1 / std::sqrt(288.0));
  init::kaiming_normal(weight, 1, generator);
  expect_normal(weight.value(), 0, std::sqrt(1.0 / 288));
}

TEST(Init, XavierUsesBothFans) {
  Generator generator(1);
  Weight weight = filters();
  init::xavier_uniform(weight, generator);
  expect_uniform(weight.value(), std::sqrt(6.0 / (288 + 576)));
  init::xavier_normal(weight, generator);
  expect_normal(weight.value(), 0, std::sqrt(2.0 / (288 + 576)));
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
