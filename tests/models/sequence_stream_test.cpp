// Streams against the full pass, for every option of the blocks.

#include <gtest/gtest.h>

#include "tests/models/streams.h"

namespace warptape {
namespace {

TEST(SequenceStreams, GiveWhatTheFullPassGives) {
  for (DType dtype : {float32, float64}) {
    SCOPED_TRACE(to_string(dtype));
    expect_as_full_pass(small(dtype));
    expect_as_full_pass(small(dtype), {1}, 30);
  }
}

TEST(SequenceStreams, OfEveryActivation) {
  for (const char* name : {"none", "relu", "tanh", "leaky_relu", "gelu", "gated"}) {
    SCOPED_TRACE(name);
    TCN::Options options = small();
    options.net.channels = {5, 4};
    options.net.block.activation = block_activation(name);
    options.net.block.negative_slope = 0.3;
    if (options.net.block.activation != BlockActivation::Gated) {
      options.net.block.output_activation = options.net.block.activation;
    }
    expect_as_full_pass(options, {5}, 25);
  }
}

TEST(SequenceStreams, OfEveryKindOfBlock) {
  TCN::Options options = small();
  options.net.block = TemporalBlock::darts(1, 4, 1, 1, 1, false);
  options.net.block.dtype = float64;
  options.net.block.hidden_channels = 4;
  options.net.last_is_linear = true;
  expect_as_full_pass(options);
  options.net.block.activation = BlockActivation::Gated;
  expect_as_full_pass(options);
  options = small();
  options.net.kernel_sizes = {6, 1, 4};
  options.net.dilations = {3, 9, 2};
  options.net.block.weight_norm = false;
  expect_as_full_pass(options, {4, 16}, 70);
  options = small();
  options.net.channels = {2, 2};  // the residual is the input itself
  expect_as_full_pass(options);
}

TEST(SequenceStreams, OfEveryNorm) {
  for (BlockNorm norm : {BlockNorm::Batch, BlockNorm::Layer}) {
    SCOPED_TRACE(to_string(norm));
    for (DType dtype : {float32, float64}) {
      TCN::Options options = small(dtype);
      options.net.block.norm = norm;
      expect_as_full_pass(options);
    }
    TCN::Options options = small();
    options.net.block.norm = norm;
    options.net.block.causal = false;
    options.net.block.activation = BlockActivation::Gated;
    options.net.last_is_linear = true;
    expect_as_full_pass(options);
  }
}

TEST(SequenceStreams, OfTheSumOfSkips) {
  for (bool causal : {true, false}) {
    TCN::Options options = small();
    options.net.block.skip_channels = 6;
    options.net.block.causal = causal;
    expect_as_full_pass(options);
    options.net.skip_activation = BlockActivation::Tanh;
    options.net.block.norm = BlockNorm::Layer;
    options.net.channels = {2, 7};
    expect_as_full_pass(options, {16, 3});
    options.net.channels = {3};
    expect_as_full_pass(options, {5});
    options.net.skip_activation = BlockActivation::LeakyReLU;
    options.net.block.negative_slope = 0.3;
    expect_as_full_pass(options, {5});
  }
  TemporalBlock alone({.in_channels = 2, .out_channels = 3, .skip_channels = 4, .dtype = float64});
  randomize(alone);
  expect_as_full_pass(alone, noise({2, 2, 20}, float64), {3});
}

TEST(SequenceStreams, OfConditions) {
  for (bool causal : {true, false}) {
    for (BlockNorm norm : {BlockNorm::None, BlockNorm::Batch, BlockNorm::Layer}) {
      TCN::Options options = small();
      options.net.channels = {5, 4};
      options.net.block.condition_channels = 3;
      options.net.block.causal = causal;
      options.net.block.norm = norm;
      expect_as_full_pass(options);
      options.net.block.activation = BlockActivation::Gated;
      options.net.block.skip_channels = 4;
      expect_as_full_pass(options);
    }
  }
  TemporalBlock block(
      {.in_channels = 3, .out_channels = 3, .condition_channels = 20, .dtype = float64});
  randomize(block);
  expect_as_full_pass(block, noise({2, 3, 30}, float64), {4, 1}, false, noise({2, 20}, float64, 6));
}

// Kernels of even reach look further ahead than back.
TEST(SequenceStreams, OfCentredModelsComeWithTheirDelay) {
  for (int64_t kernel_size : {2, 3, 4}) {
    TCN::Options options = small();
    options.net.kernel_size = kernel_size;
    options.net.block.causal = false;
    TCN model(options);
    EXPECT_EQ(SequenceStream(model).delay(), model.tcn.look_ahead());
    expect_as_full_pass(options, {3, 7, 1}, 40);
    expect_as_full_pass(options, {2}, 3);  // shorter than the delay
  }
  TCN::Options options = small();  // a delay of more steps than go through all stages at once
  options.net.channels = {2};
  options.net.dilations = {33};
  options.net.block.causal = false;
  expect_as_full_pass(options, {70}, 75);
}

// More channels than vectors of any level have lanes, and more rows than a ring has, in every
// number of rows that a tile takes.
TEST(SequenceStreams, OfEveryLevelOfInstructions) {
  for (int64_t width : {1, 3, 7, 9, 17, 25, 33, 41}) {
    TCN::Options options = small();
    options.net.channels = {width, 42 - width};
    TCN model(options);
    randomize(model);
    model.eval();
    const Tensor x = noise({1, 2, 110}, float64);
    const Tensor wanted = model(x);
    options.net.block.dtype = float32;
    TCN narrow(options);
    load_state_dict(narrow, state_dict(model));
    for (auto level :
         {LineInstructions::Baseline, LineInstructions::Avx2, LineInstructions::Avx512}) {
      SCOPED_TRACE(std::to_string(width) + " channels, level " +
                   std::to_string(static_cast<int>(level)));
      streaming::use_step_instructions(level);
      const SequenceStream of_double(model, {.block = 64});
      const SequenceStream of_float(narrow, {.block = 64});
      streaming::use_step_instructions(best_line_instructions());
      StreamState state = of_double.zeros();
      expect_close(streamed(of_double, state, x, {1, 2, 3, 4, 5, 6, 7, 8, 13, 61}), wanted, 1e-12);
      state = of_float.zeros();
      expect_close(streamed(of_float, state, x.to(float32), {1, 2, 3, 4, 5, 6, 7, 8, 13, 61}),
                   wanted, 1e-5);
    }
  }
}

TEST(SequenceStreams, GiveTheSameBitsForAllBlocks) {
  TCN model(small(float32));
  const Tensor x = noise({1, 2, 100}, float32);
  const SequenceStream stream(model, {.block = 100});
  StreamState state = stream.zeros();
  const std::vector<float> wanted = streamed(stream, state, x, {100}).to_vector<float>();
  for (const std::vector<int64_t>& blocks :
       {std::vector<int64_t>{1}, {2, 3}, {5, 4, 7}, {49, 51}}) {
    state = stream.zeros();
    EXPECT_EQ(streamed(stream, state, x, blocks).to_vector<float>(), wanted);
  }
}

TEST(SequenceStreams, OfSingleLayers) {
  const auto expect_layer = [](Module&& layer, int64_t channels) {
    SCOPED_TRACE(layer.type_name() + "(" + layer.settings() + ")");
    randomize(layer);
    expect_as_full_pass(layer, noise({2, channels, 30}, float64), {4, 1});
  };
  const auto conv = [](int64_t in, int64_t out, Padding1d padding, int64_t groups = 1,
                       bool bias = true) {
    return Conv1d({.in_channels = in,
                   .out_channels = out,
                   .kernel_size = 3,
                   .padding = padding,
                   .dilation = 2,
                   .groups = groups,
                   .bias = bias,
                   .dtype = float64});
  };
  expect_layer(conv(3, 5, Padding1d::causal()), 3);
  expect_layer(conv(3, 5, Padding1d::same(), 1, false), 3);
  expect_layer(conv(3, 5, Sides1d{.left = 1, .right = 3}), 3);
  expect_layer(conv(3, 5, Sides1d{.left = 0, .right = 4}), 3);
  expect_layer(conv(6, 9, Padding1d::causal(), 3), 6);
  expect_layer(conv(20, 20, Padding1d::causal(), 20), 20);
  expect_layer(TemporalBlock({.in_channels = 3, .out_channels = 3, .dtype = float64}), 3);
  TemporalConvNet::Options net = small().net;
  expect_layer(TemporalConvNet(net), 2);
  expect_layer(Sequential(conv(2, 4, Padding1d::causal()),
                          BatchNorm1d({.num_features = 4, .dtype = float64}), ReLU(),
                          BatchNorm1d({.num_features = 4, .affine = false, .dtype = float64})),
               2);
  expect_layer(BatchNorm1d({.num_features = 3, .bias = false, .dtype = float64}), 3);
  expect_layer(Sequential(conv(2, 4, Padding1d::causal()), ReLU(), Dropout(), Dropout1d(),
                          Sequential(conv(4, 3, Padding1d::same())), ReLU()),
               2);
}

TEST(SequenceStreams, OfAHeadForTheLastStepGiveEveryStep) {
  TCN::Options options = small();
  TCN every(options);
  randomize(every);
  options.head = TCN::Head::LastStep;
  TCN last(options);
  load_state_dict(last, state_dict(every));
  const Tensor x = noise({1, 2, 20}, float64);
  const SequenceStream stream(last);
  StreamState state = stream.zeros();
  every.eval();
  last.eval();
  const Tensor y = streamed(stream, state, x, {20});
  EXPECT_EQ(y.shape(), Shape({1, 20, 3}));
  expect_close(y, every(x), 1e-12);
  expect_close(reshape(steps_of(y, 19, 20, true), {1, 3}), last(x), 1e-12);
}

TEST(SequenceStreams, KeepTheWeightsThatTheModelHad) {
  TCN model(small());
  randomize(model);
  const Tensor x = noise({1, 2, 9}, float64);
  const SequenceStream stream(model);
  StreamState state = stream.zeros();
  const std::vector<double> before = streamed(stream, state, x, {9}).to_vector<double>();
  for (const NamedParameter& named : named_parameters(model)) {
    named.parameter->assign(Tensor::zeros(named.parameter->value().shape()));
  }
  stream.reset(state);
  EXPECT_EQ(streamed(stream, state, x, {9}).to_vector<double>(), before);
}

}  // namespace
}  // namespace warptape
