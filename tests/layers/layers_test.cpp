// Each layer's forward is its op with its parameters and options.

#include <gtest/gtest.h>

#include <cmath>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/avg_pool1d.h"
#include "layers/avg_pool2d.h"
#include "layers/channel_dropout.h"
#include "layers/conv1d.h"
#include "layers/conv2d.h"
#include "layers/conv_transpose1d.h"
#include "layers/conv_transpose2d.h"
#include "layers/dropout.h"
#include "layers/embedding.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/max_pool1d.h"
#include "layers/max_pool2d.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/state_dict.h"
#include "layers/weight_norm.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

using Values = std::vector<float>;

Tensor images() {
  Generator generator(8);
  return randn({2, 4, 7, 6}, float32, generator);
}

void expect_same(const Tensor& found, const Tensor& wanted) {
  EXPECT_EQ(found.shape(), wanted.shape());
  EXPECT_EQ(found.to_vector<float>(), wanted.to_vector<float>());
}

TEST(Layers, Conv2dIsTheOp) {
  Conv2d plain({.in_channels = 4, .out_channels = 6, .kernel_size = 3});
  expect_same(plain(images()), conv2d(images(), plain.weight.value(), plain.bias));
  Conv2d::Options options{.in_channels = 4,
                          .out_channels = 6,
                          .kernel_size = {3, 2},
                          .stride = {2, 1},
                          .padding = {1, 2},
                          .dilation = {1, 2},
                          .groups = 2,
                          .bias = false};
  Conv2d special(options);
  EXPECT_FALSE(special.bias.defined());
  EXPECT_EQ(special.weight.shape(), Shape({6, 2, 3, 2}));
  expect_same(special(images()),
              conv2d(images(), special.weight.value(), Tensor(),
                     {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2}));
}

TEST(Layers, Conv2dTakesPaddingPerSide) {
  const Sides2d sides{.top = 2, .bottom = 1, .right = 3};
  for (const Padding2d& padding : {Padding2d(sides), Padding2d::same()}) {
    Conv2d layer({.in_channels = 4, .out_channels = 2, .kernel_size = {3, 2}, .padding = padding});
    expect_same(layer(images()),
                conv2d(images(), layer.weight.value(), layer.bias, {.padding = padding}));
  }
  const auto expect_refused = [](const Conv2d::Options& options, const std::string& why) {
    expect_throws<ValueError>([&] { Conv2d layer(options); }, {why, "layers_test.cpp"});
  };
  Conv2d::Options options{.in_channels = 1, .out_channels = 1, .kernel_size = 3};
  options.padding = Sides2d{.left = -1};
  expect_refused(options, "[Conv2d] padding: got ((0, 0), (-1, 0)), wanted 0 or more");
  options.padding = Padding2d::same();
  options.stride = {2, 1};
  expect_refused(options, "[Conv2d] stride: got (2, 1) with padding same, wanted 1");
  options.stride = 0;
  expect_refused(options, "[Conv2d] stride: got (0, 0), wanted 1 or more");
  options.stride = 1;
  options.dilation = 0;
  expect_refused(options, "[Conv2d] dilation: got (0, 0), wanted 1 or more");
}

Tensor sequences() {
  Generator generator(8);
  return randn({2, 4, 9}, float32, generator);
}

TEST(Layers, Conv1dIsTheOp) {
  Conv1d plain({.in_channels = 4, .out_channels = 6, .kernel_size = 3});
  expect_same(plain(sequences()), conv1d(sequences(), plain.weight.value(), plain.bias));
  Conv1d special({.in_channels = 4,
                  .out_channels = 6,
                  .kernel_size = 3,
                  .stride = 2,
                  .padding = Sides1d{.left = 3},
                  .dilation = 2,
                  .groups = 2,
                  .bias = false});
  EXPECT_FALSE(special.bias.defined());
  EXPECT_EQ(special.weight.shape(), Shape({6, 2, 3}));
  expect_same(special(sequences()),
              conv1d(sequences(), special.weight.value(), Tensor(),
                     {.stride = 2, .padding = Sides1d{.left = 3}, .dilation = 2, .groups = 2}));
}

// What lies behind an element does not change its output.
TEST(Layers, CausalConv1dSeesNothingBehind) {
  Conv1d layer({.in_channels = 4,
                .out_channels = 2,
                .kernel_size = 3,
                .padding = Padding1d::causal(),
                .dilation = 3});
  const std::vector<float> all = layer(sequences()).to_vector<float>();
  const std::vector<float> first = layer(slice(sequences(), -1, 0, 5)).to_vector<float>();
  for (size_t row = 0; row < 4; ++row) {
    for (size_t t = 0; t < 5; ++t) {
      EXPECT_NEAR(first[row * 5 + t], all[row * 9 + t], 1e-5) << "row " << row << ", element " << t;
    }
  }
}

TEST(Layers, Conv1dRefusesBadOptions) {
  const auto expect_refused = [](const Conv1d::Options& options, const std::string& why) {
    expect_throws<ValueError>([&] { Conv1d layer(options); }, {why, "layers_test.cpp"});
  };
  expect_refused({.out_channels = 1, .kernel_size = 3}, "[Conv1d] in_channels: got 0");
  expect_refused({.in_channels = 1, .out_channels = 1}, "[Conv1d] kernel_size: got 0");
  expect_refused({.in_channels = 2, .out_channels = 3, .kernel_size = 1, .groups = 2},
                 "[Conv1d] groups: got 2, wanted a divisor of 2 input and 3 output channels");
  expect_refused({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .stride = 0},
                 "[Conv1d] stride: got (0,), wanted 1 or more");
  expect_refused({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .padding = -1},
                 "[Conv1d] padding: got (-1,), wanted 0 or more");
}

TEST(Layers, ConvTransposeIsTheOp) {
  ConvTranspose1d line({.in_channels = 4,
                        .out_channels = 6,
                        .kernel_size = 3,
                        .stride = 3,
                        .padding = Sides1d{.left = 1},
                        .output_padding = 2,
                        .dilation = 2,
                        .groups = 2});
  EXPECT_EQ(line.weight.shape(), Shape({4, 3, 3}));
  EXPECT_EQ(line.bias.value().shape(), Shape({6}));
  expect_same(line(sequences()), conv_transpose1d(sequences(), line.weight.value(), line.bias,
                                                  {.stride = 3,
                                                   .padding = Sides1d{.left = 1},
                                                   .output_padding = 2,
                                                   .dilation = 2,
                                                   .groups = 2}));
  ConvTranspose2d plane({.in_channels = 4,
                         .out_channels = 6,
                         .kernel_size = {3, 2},
                         .stride = {2, 3},
                         .padding = {1, 2},
                         .output_padding = {1, 2},
                         .dilation = {1, 2},
                         .groups = 2,
                         .bias = false});
  EXPECT_FALSE(plane.bias.defined());
  EXPECT_EQ(plane.weight.shape(), Shape({4, 3, 3, 2}));
  expect_same(plane(images()), conv_transpose2d(images(), plane.weight.value(), Tensor(),
                                                {.stride = {2, 3},
                                                 .padding = {1, 2},
                                                 .output_padding = {1, 2},
                                                 .dilation = {1, 2},
                                                 .groups = 2}));
}

// PyTorch's bound is made of the second dimension and the taps: 1 / sqrt(2 * 5).
TEST(Layers, ConvTransposeStartsAsPyTorchs) {
  ConvTranspose1d layer({.in_channels = 64, .out_channels = 4, .kernel_size = 5, .groups = 2});
  const double bound = 1 / std::sqrt(2.0 * 5);
  double largest = 0;
  for (const float value : layer.weight.value().to_vector<float>()) {
    largest = std::max(largest, std::abs(static_cast<double>(value)));
  }
  EXPECT_LE(largest, bound);
  EXPECT_GT(largest, 0.9 * bound);
}

// As PyTorch's weight_norm without a dim: a norm per input channel.
TEST(Layers, ConvTransposeTakesWeightNorm) {
  ConvTranspose1d line({.in_channels = 4, .out_channels = 6, .kernel_size = 3, .stride = 2});
  const Tensor wanted = line(sequences());
  weight_norm(line);
  const StateDict state = state_dict(line);
  EXPECT_EQ(state.at(0).first, "weight_g");
  EXPECT_EQ(state.at(0).second.shape(), Shape({4, 1, 1}));
  EXPECT_EQ(state.at(1).first, "weight_v");
  EXPECT_EQ(state.at(1).second.shape(), Shape({4, 6, 3}));
  const Values found = line(sequences()).to_vector<float>();
  const Values values = wanted.to_vector<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(found[i], values[i], 1e-5);
  }
  ConvTranspose2d plane({.in_channels = 4, .out_channels = 2, .kernel_size = 2, .groups = 2});
  weight_norm(plane);
  EXPECT_EQ(state_dict(plane).at(0).second.shape(), Shape({4, 1, 1, 1}));
  EXPECT_EQ(plane(images()).shape(), Shape({2, 2, 8, 7}));
}

TEST(Layers, ConvTransposeRefusesBadOptions) {
  const auto expect_refused = [](const ConvTranspose1d::Options& options, const std::string& why) {
    expect_throws<ValueError>([&] { ConvTranspose1d layer(options); }, {why, "layers_test.cpp"});
  };
  expect_refused({.in_channels = 1, .kernel_size = 3}, "[ConvTranspose1d] out_channels: got 0");
  expect_refused({.in_channels = 3, .out_channels = 2, .kernel_size = 1, .groups = 2},
                 "[ConvTranspose1d] groups: got 2, wanted a divisor of 3 input and 2 output");
  expect_refused({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .output_padding = 1},
                 "[ConvTranspose1d] output_padding: got (1,), wanted 0 or more, and less than");
  expect_refused(
      {.in_channels = 1, .out_channels = 1, .kernel_size = 3, .padding = Padding1d::same()},
      "[ConvTranspose1d] padding: got same, wanted numbers");
}

TEST(Layers, PoolsOfSequencesAreTheOps) {
  const MaxPool1dOptions of_max{.kernel_size = 3, .stride = 2, .padding = 1};
  expect_same(MaxPool1d(of_max)(sequences()), max_pool1d(sequences(), of_max));
  const AvgPool1dOptions of_mean{
      .kernel_size = 3, .stride = 2, .padding = 1, .count_include_pad = false};
  expect_same(AvgPool1d(of_mean)(sequences()), avg_pool1d(sequences(), of_mean));
  expect_same(AdaptiveAvgPool1d(4)(sequences()), adaptive_avg_pool1d(sequences(), 4));
  expect_same(AdaptiveMaxPool1d(4)(sequences()), adaptive_max_pool1d(sequences(), 4));
}

TEST(Layers, EmbeddingIsTheOp) {
  manual_seed(3);
  Embedding layer({.num_embeddings = 40, .embedding_dim = 50, .padding_idx = -2});
  EXPECT_EQ(layer.options().padding_idx, 38);
  const Tensor index = tensor<int64_t>({0, 38, 7, 39, 38, 7}, {2, 3});
  const Tensor y = layer(index);
  expect_same(y, embedding(index, layer.weight.value()));
  EXPECT_EQ(y.shape(), Shape({2, 3, 50}));
  Tape tape;
  tape.backward(sum(layer(index)));
  // 1 in each row that is there, 2 in the one that is twice, nothing in the padding's.
  const Tensor gradient = named_parameters(layer).at(0).parameter->grad();
  EXPECT_EQ(sum(gradient).to_vector<float>(), Values{50 * 4});
}

// N(0, 1), but for the padding's row of zeros.
TEST(Layers, EmbeddingStartsAsPyTorchs) {
  manual_seed(3);
  Embedding layer({.num_embeddings = 40, .embedding_dim = 50, .padding_idx = 5});
  const Values weight = layer.weight.value().to_vector<float>();
  double squares = 0;
  double total = 0;
  for (size_t i = 0; i < weight.size(); ++i) {
    if (i / 50 == 5) {
      EXPECT_EQ(weight[i], 0);
    }
    total += static_cast<double>(weight[i]);
    squares += static_cast<double>(weight[i]) * static_cast<double>(weight[i]);
  }
  // Of 1950 numbers the mean strays by 1 / 44, that of the squares by 1 / 31: four times these.
  EXPECT_NEAR(total / 1950, 0, 0.09);
  EXPECT_NEAR(squares / 1950, 1, 0.13);
}

TEST(Layers, EmbeddingTakesWeightNorm) {
  Embedding layer(5, 4);
  const Tensor index = tensor<int64_t>({4, 0, 3}, {3});
  const Values wanted = layer(index).to_vector<float>();
  weight_norm(layer);
  EXPECT_EQ(state_dict(layer).at(0).second.shape(), Shape({5, 1}));
  const Values found = layer(index).to_vector<float>();
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_NEAR(found[i], wanted[i], 1e-6);
  }
}

TEST(Layers, EmbeddingRefusesBadOptions) {
  const auto expect_refused = [](const Embedding::Options& options, const std::string& why) {
    expect_throws<ValueError>([&] { Embedding layer(options); }, {why, "layers_test.cpp"});
  };
  expect_refused({.embedding_dim = 3}, "[Embedding] num_embeddings: got 0, wanted 1 or more");
  expect_refused({.num_embeddings = 3}, "[Embedding] embedding_dim: got 0, wanted 1 or more");
  expect_refused({.num_embeddings = 3, .embedding_dim = 1, .padding_idx = 3},
                 "[Embedding] padding_idx: got 3, wanted -3 to 2");
}

// In training as the op with the thread's generator; else nothing.
TEST(Layers, DropoutOfChannelsIsTheOp) {
  Dropout1d layer(0.5);
  manual_seed(3);
  const Tensor y = layer(sequences());
  Generator generator(3);
  expect_same(y, channel_dropout(sequences(), 0.5, true, generator));
  Dropout2d of_images(0.25);
  of_images.eval();
  expect_same(of_images(images()), images());
  expect_throws<ValueError>([] { Dropout1d refused(2); }, {"[Dropout1d] p: got 2", "0 to 1"});
  expect_throws<ShapeError>([&] { layer(images()); }, {"[Dropout1d]", "(N, C, L)"});
}

TEST(Layers, LinearIsTheOp) {
  const Tensor x = images();
  Linear layer(6, 5);
  EXPECT_EQ(layer.weight.shape(), Shape({5, 6}));
  expect_same(layer(x), linear(x, layer.weight.value(), layer.bias));
  Linear without({.in_features = 6, .out_features = 5, .bias = false});
  EXPECT_FALSE(without.bias.defined());
  expect_same(without(x), linear(x, without.weight.value()));
}

TEST(Layers, TakeTheirDtype) {
  Linear layer({.in_features = 2, .out_features = 3, .dtype = float64});
  EXPECT_EQ(layer(Tensor::ones({1, 2}, float64)).dtype(), float64);
  Conv2d conv({.in_channels = 1, .out_channels = 1, .kernel_size = 1, .dtype = float64});
  EXPECT_EQ(conv.weight.value().dtype(), float64);
  EXPECT_EQ(conv.bias.value().dtype(), float64);
}

TEST(Layers, PoolsAreTheOps) {
  const MaxPool2dOptions max_options{
      .kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true};
  expect_same(MaxPool2d(max_options)(images()), max_pool2d(images(), max_options));
  const AvgPool2dOptions avg_options{
      .kernel_size = {3, 2}, .stride = 1, .padding = 1, .count_include_pad = false};
  expect_same(AvgPool2d(avg_options)(images()), avg_pool2d(images(), avg_options));
}

TEST(Layers, ReluAndFlattenAreTheOps) {
  expect_same(ReLU()(images()), relu(images()));
  expect_same(Flatten()(images()), flatten(images(), 1));
  EXPECT_EQ(Flatten()(images()).shape(), Shape({2, 168}));
  EXPECT_EQ(Flatten(0, 1)(images()).shape(), Shape({8, 7, 6}));
}

TEST(Layers, SequentialRunsItsModulesInOrder) {
  Sequential net(Conv2d({.in_channels = 4, .out_channels = 3, .kernel_size = 3}), ReLU());
  net.append(Flatten()).append(Linear(60, 2));
  EXPECT_EQ(net.size(), 4U);
  auto& conv = dynamic_cast<Conv2d&>(net[0]);
  auto& head = dynamic_cast<Linear&>(net[3]);
  expect_same(net(images()), head(flatten(relu(conv(images())), 1)));
  EXPECT_THROW(net[4], ValueError);
}

TEST(Layers, SequentialsNest) {
  Sequential outer{Sequential{ReLU(), Flatten()}, Flatten()};
  EXPECT_EQ(outer.size(), 2U);
  EXPECT_EQ(outer[0].type_name(), "Sequential");
}

TEST(Layers, GradientsReachEveryParameter) {
  Sequential net(Conv2d({.in_channels = 4, .out_channels = 3, .kernel_size = 3}), ReLU(), Flatten(),
                 Linear(60, 2));
  Tape tape;
  tape.backward(sum(net(images())));
  for (const NamedParameter& named : named_parameters(net)) {
    EXPECT_TRUE(named.parameter->grad().defined()) << named.name;
  }
}

TEST(Layers, DropoutScalesWhatItKeepsInTraining) {
  manual_seed(1);
  Dropout dropout(0.25);
  const Values y = dropout(Tensor::full({10000}, 3)).to_vector<float>();
  int64_t dropped = 0;
  for (float value : y) {
    if (value == 0) {
      ++dropped;
    } else {
      EXPECT_FLOAT_EQ(value, 4);
    }
  }
  EXPECT_NEAR(static_cast<double>(dropped) / 10000, 0.25, 0.02);
}

TEST(Layers, DropoutDrawsAnewEveryTimeAndRepeatsWithTheSeed) {
  Dropout dropout;
  const Tensor x = Tensor::ones({100});
  manual_seed(1);
  const Values first = dropout(x).to_vector<float>();
  EXPECT_NE(dropout(x).to_vector<float>(), first);
  manual_seed(1);
  EXPECT_EQ(dropout(x).to_vector<float>(), first);
}

TEST(Layers, DropoutDoesNothingInEvaluation) {
  Sequential net(Dropout(0.9));
  net.eval();
  const Tensor x = images();
  expect_same(net(x), x);
  net.train();
  EXPECT_NE(net(x).to_vector<float>(), x.to_vector<float>());
}

TEST(Layers, DropoutOfProbabilityOneDropsAllAndZeroNone) {
  const Tensor x = Tensor::ones({50});
  EXPECT_EQ(Dropout(1)(x).to_vector<float>(), Values(50, 0));
  EXPECT_EQ(Dropout(0)(x).to_vector<float>(), Values(50, 1));
}

TEST(Layers, DropoutsGradientUsesTheSameMask) {
  manual_seed(1);
  Dropout dropout(0.5);
  Tape tape;
  Tensor x = Tensor::ones({100});
  tape.watch(x);
  const Tensor y = dropout(x);
  tape.backward(sum(y));
  EXPECT_EQ(tape.gradient(x).to_vector<float>(), y.to_vector<float>());
}

}  // namespace
}  // namespace warptape
