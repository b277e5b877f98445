// Initialisations of weight-normalised layers: data-dependent, and norm-preserving.

#include <gtest/gtest.h>

#include <cmath>

#include "core/device/gpu.h"
#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/batch_norm.h"
#include "layers/conv1d.h"
#include "layers/conv_transpose1d.h"
#include "layers/data_dependent_init.h"
#include "layers/dropout.h"
#include "layers/init.h"
#include "layers/linear.h"
#include "layers/norm_preserving_init.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/state_dict.h"
#include "layers/weight_norm.h"
#include "models/simple_cnn.h"
#include "models/tcn.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

struct Moments {
  std::vector<double> mean;
  std::vector<double> variance;
};

// Per channel of what the layers of these paths compute in a call, in plain loops.
Moments moments_of(const Tensor& y, int axis) {
  const std::vector<double> values = y.to(cpu).to(float64).to_vector<double>();
  const int64_t channels = y.size(axis);
  int64_t inner = 1;
  for (int d = axis + 1; d < y.rank(); ++d) {
    inner *= y.size(d);
  }
  Moments moments{std::vector<double>(static_cast<size_t>(channels)),
                  std::vector<double>(static_cast<size_t>(channels))};
  const double count = static_cast<double>(y.numel()) / static_cast<double>(channels);
  const auto channel = [&](size_t i) {
    return i / static_cast<size_t>(inner) % moments.mean.size();
  };
  for (size_t i = 0; i < values.size(); ++i) {
    moments.mean[channel(i)] += values[i] / count;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const double off = values[i] - moments.mean[channel(i)];
    moments.variance[channel(i)] += off * off / count;
  }
  return moments;
}

// Runs the model in eval() and expects mean 0 and variance 1 behind each of these layers.
void expect_normal(Module& model, const std::vector<Module*>& layers, const Tensor& x, int axis,
                   double tolerance) {
  std::vector<HookHandle> handles;
  size_t seen = 0;
  for (Module* layer : layers) {
    handles.push_back(
        layer->register_forward_hook([&](Module&, const std::vector<Operand>&, Tensor& output) {
          ++seen;
          const Moments moments = moments_of(output, axis);
          for (size_t c = 0; c < moments.mean.size(); ++c) {
            ASSERT_NEAR(moments.mean[c], 0, tolerance) << "channel " << c;
            ASSERT_NEAR(moments.variance[c], 1, tolerance) << "channel " << c;
          }
        }));
  }
  const bool was_training = model.is_training();
  model.eval();
  model(x);
  model.train(was_training);
  for (HookHandle& handle : handles) {
    handle.remove();
  }
  EXPECT_EQ(seen, layers.size());
}

std::vector<std::string> names_of(const std::vector<DataDependentLayer>& layers) {
  std::vector<std::string> names;
  for (const DataDependentLayer& layer : layers) {
    names.push_back(layer.name);
  }
  return names;
}
using Names = std::vector<std::string>;

WeightNorm& norm_of(Weight& weight) {
  return dynamic_cast<WeightNorm&>(*weight.reparametrization());
}

TEST(DataDependentInit, SimpleCNNHasNormalPreActivations) {
  for (const Device device : available_devices()) {
    SimpleCNN model({.input_channels = 2, .num_classes = 3, .image_size = 8, .dtype = float64});
    model.to(device);
    const Tensor x = randn({6, 2, 8, 8}, float64).to(device);
    const std::vector<double> plain = model.fc1.weight.value().to_vector<double>();
    const auto report = data_dependent_init(model, x);
    EXPECT_EQ(names_of(report), (Names{"conv1", "conv2"}));
    EXPECT_EQ(report[1].mean.size(), 128U);
    expect_normal(model, {&model.conv1, &model.conv2}, x, 1, 1e-10);
    EXPECT_EQ(model.fc1.weight.value().to_vector<double>(), plain) << "a plain weight";
    EXPECT_TRUE(model.is_training());
  }
}

TCN small_tcn() {
  TCN::Options options;
  options.net.input_channels = 2;
  options.net.channels = {4, 5};
  options.net.kernel_size = 3;
  options.net.block.dropout = 0.5;
  options.net.block.dtype = float64;
  options.output_size = 2;
  return TCN(options);
}

TEST(DataDependentInit, TCNHasNormalPreActivationsAndKeepsItsDropout) {
  for (const Device device : available_devices()) {
    manual_seed(3);
    TCN model = small_tcn();
    model.to(device);
    const Tensor x = randn({5, 2, 12}, float64).to(device);
    const auto report = data_dependent_init(model, x, {.v_std = std::nullopt});
    EXPECT_EQ(names_of(report), (Names{"tcn.network.0.conv1", "tcn.network.0.conv2",
                                       "tcn.network.1.conv1", "tcn.network.1.conv2"}));
    std::vector<Module*> layers;
    for (size_t i = 0; i < 2; ++i) {
      auto& block = dynamic_cast<TemporalBlock&>(model.tcn.network[i]);
      layers.insert(layers.end(), {&block.conv1, &block.conv2});
      EXPECT_TRUE(block.is_training());
    }
    expect_normal(model, layers, x, 1, 1e-10);
  }
}

TEST(DataDependentInit, IsWhatThePaperSays) {
  Linear layer({.in_features = 4, .out_features = 3, .dtype = float64});
  weight_norm(layer);
  WeightNorm& norm = norm_of(layer.weight);
  const Tensor x = randn({7, 4}, float64);
  const Tensor v = norm.v().value().detach().clone();
  const Tensor t = matmul(x, weight_norm(v, Tensor::ones({3, 1}, float64)), {.transpose_b = true});
  const Moments wanted = moments_of(t, 1);
  const auto report = data_dependent_init(layer, x, {.v_std = std::nullopt});
  EXPECT_EQ(norm.v().value().to_vector<double>(), v.to_vector<double>());
  const std::vector<double> g = norm.g().value().to_vector<double>();
  const std::vector<double> bias = layer.bias.value().to_vector<double>();
  for (size_t c = 0; c < 3; ++c) {
    const double std = std::sqrt(wanted.variance[c]);
    EXPECT_NEAR(report[0].mean[c], wanted.mean[c], 1e-14);
    EXPECT_NEAR(report[0].std[c], std, 1e-14);
    EXPECT_NEAR(g[c], 1 / std, 1e-13 / std);
    EXPECT_NEAR(bias[c], -wanted.mean[c] / std, 1e-13);
  }
}

TEST(DataDependentInit, DrawsVUnlessToldNotTo) {
  Linear layer({.in_features = 500, .out_features = 40});
  weight_norm(layer);
  data_dependent_init(layer, randn({9, 500}));
  const std::vector<float> v = norm_of(layer.weight).v().value().to_vector<float>();
  double squares = 0;
  for (const float value : v) {
    squares += double{value} * value;
  }
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(v.size())), 0.05, 0.001);
}

TEST(DataDependentInit, OneFactorWhereGHasNoValuePerChannel) {
  for (const NormDim& dim : std::vector<NormDim>{1, WholeTensor}) {
    Linear layer({.in_features = 4, .out_features = 3, .dtype = float64});
    weight_norm(layer, {.dim = dim});
    const Tensor x = randn({8, 4}, float64);
    data_dependent_init(layer, x);
    const Moments moments = moments_of(layer(x), 1);
    EXPECT_NEAR((moments.variance[0] + moments.variance[1] + moments.variance[2]) / 3, 1, 1e-12);
    for (const double mean : moments.mean) {
      EXPECT_NEAR(mean, 0, 1e-12);
    }
    const std::vector<double> g = norm_of(layer.weight).g().value().to_vector<double>();
    EXPECT_EQ(g.front(), g.back());
  }
}

// As many input as output channels: g of dim 0 is not one of output channels all the same.
TEST(DataDependentInit, TransposedConvolutionsHaveTheirOutputsAlongDimOne) {
  for (const int dim : {0, 1}) {
    ConvTranspose1d layer(
        {.in_channels = 3, .out_channels = 3, .kernel_size = 2, .dtype = float64});
    weight_norm(layer, {.dim = dim});
    const Tensor x = randn({4, 3, 6}, float64);
    data_dependent_init(layer, x);
    const Moments moments = moments_of(layer(x), 1);
    const double sum = moments.variance[0] + moments.variance[1] + moments.variance[2];
    EXPECT_NEAR(sum / 3, 1, 1e-12);
    EXPECT_EQ(std::abs(moments.variance[0] - 1) < 1e-12, dim == 1);
  }
}

// Called twice, without a bias, beside dropout and batch norm.
struct Varied : Module {
  Linear twice{{.in_features = 4, .out_features = 4, .bias = false}};
  BatchNorm1d norm{4};
  Dropout dropout{0.5};
  Linear unused{4, 4};
  Linear last{4, 2};
  Varied() {
    weight_norm(twice);
    weight_norm(unused);
    weight_norm(last);
  }
  void fields(Visitor& visit) override {
    visit("twice", twice)("norm", norm)("dropout", dropout)("unused", unused)("last", last);
  }
  Tensor forward(const Operand& x) override { return last(dropout(norm(twice(relu(twice(x)))))); }
};

TEST(DataDependentInit, CountsTheFirstCallAndLeavesTheRestAsItWas) {
  Varied model;
  model.dropout.eval();
  const Tensor x = randn({6, 4});
  const std::vector<float> unused = model.unused.weight.value().to_vector<float>();
  const auto report = data_dependent_init(model, x);
  EXPECT_EQ(names_of(report), (Names{"twice", "last"}));
  const Moments moments = moments_of(model.twice(x), 1);
  EXPECT_NEAR(moments.variance[2], 1, 1e-5);
  EXPECT_EQ(model.unused.weight.value().to_vector<float>(), unused);
  EXPECT_EQ(model.norm.num_batches_tracked.value().item(), 0);
  EXPECT_EQ(model.norm.running_mean.value().to_vector<float>(), std::vector<float>(4));
  EXPECT_TRUE(model.is_training() && model.norm.is_training());
  EXPECT_FALSE(model.dropout.is_training());
}

void expect_unchanged(Module& model, const std::function<void()>& fails) {
  std::vector<std::vector<float>> before;
  for (const auto& [key, value] : state_dict(model)) {
    before.push_back(value.to(float32).to_vector<float>());
  }
  fails();
  size_t i = 0;
  for (const auto& [key, value] : state_dict(model)) {
    EXPECT_EQ(value.to(float32).to_vector<float>(), before[i++]) << key;
  }
  EXPECT_TRUE(model.is_training());
}

TEST(DataDependentInit, ErrorsLeaveTheModelAsItWas) {
  Varied model;
  expect_unchanged(model, [&] {
    expect_throws<ValueError>(
        [&] {
          data_dependent_init(model, Tensor::ones({3, 4}));
        },
        {"twice", "got a variance of 0", "output channel 0"});
    expect_throws<ValueError>([&] { data_dependent_init(model, [] {}); },
                              {"the call met none of the 3 weight-normalised layers of Varied"});
    expect_throws<Error>(
        [&] {
          data_dependent_init(model, [&] {
            model(randn({6, 4}));
            throw Error("later");
          });
        },
        {"later"});
    expect_throws<ValueError>(
        [&] {
          data_dependent_init(model, randn({6, 4}), {.v_std = 0});
        },
        {"v_std: got 0, wanted a number above 0"});
    Tape tape;
    expect_throws<ValueError>(
        [&] {
          data_dependent_init(model, randn({6, 4}));
        },
        {"got an open tape, wanted none"});
  });
  EXPECT_NO_THROW(data_dependent_init(model, randn({6, 4}))) << "no hook was left behind";
  Linear plain(3, 2);
  expect_throws<ValueError>(
      [&] {
        data_dependent_init(plain, randn({4, 3}));
      },
      {"Linear: got no weight-normalised layer"});
}

// A hook keeps the result of its layer whole; one that is gone must not.
TEST(DataDependentInit, LeavesLayersFused) {
  for (const Device device : available_devices()) {
    SimpleCNN model({.input_channels = 2, .num_classes = 3, .image_size = 8});
    model.to(device);
    const Tensor x = randn({6, 2, 8, 8}).to(device);
    const auto launches = [&] {
      model(x);
      const uint64_t before = gpu::launches;
      model(x);
      return gpu::launches - before;
    };
    const uint64_t fused = launches();
    data_dependent_init(model, x);
    EXPECT_EQ(launches(), fused) << to_string(device);
  }
}

// What a layer does behind its product cannot be undone by g and bias.
struct Squashed : Module {
  Weight weight{randn({3, 4})};
  Squashed() { weight_norm(*this); }
  void fields(Visitor& visit) override { visit("weight", weight); }
  Tensor forward(const Operand& x) override {
    return tanh(mul(matmul(x, weight.operand(x.site()), {.transpose_b = true}), 5));
  }
};

TEST(DataDependentInit, RefusesALayerThatIsNotItsProductAlone) {
  Squashed model;
  expect_unchanged(model, [&] {
    expect_throws<ValueError>(
        [&] {
          data_dependent_init(model, randn({30, 4}));
        },
        {"whose output is its product and its bias alone"});
  });
}

std::vector<double> matrix_product(const Tensor& rows) {
  const Tensor matrix = reshape(rows, {rows.size(0), rows.numel() / rows.size(0)});
  return matmul(matrix, matrix, {.transpose_b = true}).to_vector<double>();
}

TEST(NormPreservingInit, HasOrthogonalRowsAndTheGOfThePaper) {
  Conv1d layer({.in_channels = 4, .out_channels = 5, .kernel_size = 3, .dtype = float64});
  weight_norm(layer);
  init::norm_preserving(layer.weight, {.gamma = 2, .blocks = 4});
  WeightNorm& norm = norm_of(layer.weight);
  for (const double g : norm.g().value().to_vector<double>()) {
    EXPECT_NEAR(g, std::sqrt(2.0 * 4 / 5) / 2, 1e-14);
  }
  const std::vector<double> products = matrix_product(norm.v().value().detach());
  for (size_t i = 0; i < products.size(); ++i) {
    EXPECT_NEAR(products[i], i % 6 == 0 ? 1 : 0, 1e-12);
  }
}

TEST(NormPreservingInit, GivesOneWeightForEveryDim) {
  std::vector<double> wanted;
  for (const NormDim& dim : std::vector<NormDim>{0, 1, WholeTensor}) {
    Linear layer({.in_features = 4, .out_features = 6, .dtype = float64});
    weight_norm(layer, {.dim = dim});
    Generator generator(5);
    init::norm_preserving(layer.weight, {.gamma = 1}, generator);
    const std::vector<double> w = layer.weight.value().to_vector<double>();
    wanted = wanted.empty() ? w : wanted;
    for (size_t i = 0; i < w.size(); ++i) {
      EXPECT_NEAR(w[i], wanted[i], 1e-14);
    }
  }
}

// Of inputs of any kind, as there are as many outputs: rows and columns are orthogonal.
TEST(NormPreservingInit, KeepsNormsThroughALinearLayer) {
  ConvTranspose1d layer({.in_channels = 8,
                         .out_channels = 8,
                         .kernel_size = 1,
                         .groups = 2,
                         .bias = false,
                         .dtype = float64});
  weight_norm(layer, {.dim = 1});
  norm_preserving_init(layer, {.linear = {""}});
  const Tensor x = randn({1, 8, 3}, float64);
  const auto squares = [](const Tensor& t) { return sum(mul(t, t)).item(); };
  EXPECT_NEAR(squares(layer(x)), squares(x), 1e-12 * squares(x));
}

TEST(NormPreservingInit, OfAModelTellsLinearLayersAndEndsOfBlocksApart) {
  TCN model = small_tcn();
  const Names names = norm_preserving_init(
      model, {.linear = {"tcn.network.0.conv1"}, .block_ends = {"tcn.network.*.conv2"}});
  EXPECT_EQ(names.size(), 4U);
  const auto g_of = [&](size_t block, bool first) {
    auto& at = dynamic_cast<TemporalBlock&>(model.tcn.network[block]);
    return norm_of(first ? at.conv1.weight : at.conv2.weight).g().value().to_vector<double>()[0];
  };
  EXPECT_NEAR(g_of(0, true), std::sqrt(1.0 * 2 / 4), 1e-13);
  EXPECT_NEAR(g_of(0, false), std::sqrt(2.0 / 2), 1e-13);
  EXPECT_NEAR(g_of(1, true), std::sqrt(2.0 * 4 / 5), 1e-13);
  EXPECT_NEAR(g_of(1, false), std::sqrt(2.0 / 2), 1e-13);
  auto& block = dynamic_cast<TemporalBlock&>(model.tcn.network[0]);
  EXPECT_EQ(block.conv1.bias.value().to_vector<double>(), std::vector<double>(4));
}

TEST(NormPreservingInit, RefusesWhatCannotBe) {
  Linear plain(4, 3);
  expect_throws<ValueError>([&] { init::norm_preserving(plain.weight); },
                            {"[norm_preserving] weight: got one that is not weight-normalised"});
  expect_throws<ValueError>([&] { norm_preserving_init(plain); },
                            {"Linear: got no weight-normalised layer"});
  weight_norm(plain);
  expect_throws<ValueError>([&] { init::norm_preserving(plain.weight, {.gamma = 0}); },
                            {"gamma: got 0"});
  expect_throws<ValueError>([&] { init::norm_preserving(plain.weight, {.blocks = 0}); },
                            {"blocks: got 0"});
  expect_throws<ValueError>([&] { init::norm_preserving(plain.weight, {.output_axis = 2}); },
                            {"output_axis: got 2, wanted 0 or 1"});
  expect_throws<ValueError>([&] { init::norm_preserving(plain.weight, {.groups = 2}); },
                            {"groups: got 2, wanted a divisor of 3"});
  expect_throws<ValueError>([&] { norm_preserving_init(plain, {.block_ends = {"x.*"}}); },
                            {"pattern \"x.*\" matches no weight-normalised layer of Linear"});
}

}  // namespace
}  // namespace warptape
