#include "models/sequence_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "kernels/streaming/instructions.h"
#include "layers/batch_norm.h"
#include "layers/channel_dropout.h"
#include "layers/conv_transpose1d.h"
#include "layers/dropout.h"
#include "layers/precision.h"
#include "layers/relu.h"
#include "layers/weight_norm.h"
#include "models/tcn.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/devices.h"
#include "tests/support/heap_count.h"

namespace warptape {
namespace {

using Options = SequenceStream::Options;

TCN::Options small(DType dtype = float64) {
  TCN::Options options;
  options.net.input_channels = 2;
  options.net.channels = {5, 5, 4};
  options.net.kernel_size = 3;
  options.net.block.dtype = dtype;
  options.output_size = 3;
  options.head = TCN::Head::EveryStep;
  return options;
}

Tensor noise(const Shape& shape, DType dtype, uint64_t seed = 3) {
  Generator generator(seed);
  return randn(shape, float32, generator).to(dtype);
}

// Initial heads, biases and statistics are near 0 or 1: a mistake in what they multiply would hide.
void randomize(Module& model) {
  uint64_t seed = 20;
  for (const NamedParameter& named : named_parameters(model)) {
    const Tensor& value = named.parameter->value();
    named.parameter->assign(noise(value.shape(), value.dtype(), seed++).to(cpu) * 0.4);
  }
  for (const NamedBuffer& named : named_buffers(model)) {
    const Tensor& value = named.buffer->value();
    if (value.dtype() != int64) {
      named.buffer->assign(abs(noise(value.shape(), value.dtype(), seed++)) + 0.1);
    }
  }
}

// The steps [begin, end) of a sequence, (N, C, L) or, with steps_first, (N, L, C).
Tensor steps_of(const Tensor& x, int64_t begin, int64_t end, bool steps_first = false) {
  return slice(x, steps_first ? 1 : 2, begin, end);
}

// All outputs of a sequence that comes in blocks of these sizes, over and over, delay and end
// among them.
// condition: undefined, (N, K) or (N, K, L).
Tensor streamed(const SequenceStream& stream, StreamState& state, const Tensor& x,
                const std::vector<int64_t>& blocks, bool finish = true,
                const Tensor& condition = Tensor()) {
  const bool steps_first = stream.output_shape(77)[1] == 77;
  std::vector<Operand> parts;
  size_t next = 0;
  for (int64_t at = 0; at < x.size(2);) {
    const int64_t steps = std::min(blocks[next++ % blocks.size()], x.size(2) - at);
    const Tensor part = steps_of(x, at, at + steps).to(stream.device());
    if (condition.defined()) {
      const Tensor given = condition.rank() == 2 ? condition : steps_of(condition, at, at + steps);
      parts.emplace_back(stream.step_with(state, part, given.to(stream.device())).to(cpu));
    } else {
      parts.emplace_back(stream.step(state, part).to(cpu));
    }
    at += steps;
  }
  if (finish && stream.delay() > 0) {
    parts.emplace_back(stream.finish(state).to(cpu));
  }
  return concat(parts, steps_first ? 1 : 2);
}

void expect_close(const Tensor& got, const Tensor& wanted, double tolerance) {
  ASSERT_EQ(got.shape(), wanted.shape());
  const std::vector<double> a = got.to(float64).to_vector<double>();
  const std::vector<double> b = wanted.to(float64).to_vector<double>();
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]) / std::max(1.0, std::abs(b[i]));
    largest = difference <= largest ? largest : difference;
  }
  EXPECT_LE(largest, tolerance);
}

double tolerance_of(DType dtype) {
  return dtype == float64 ? 1e-12 : 1e-5;
}

// On every device, two streams at once.
template <class Model>
void expect_as_full_pass(Model& model, const Tensor& x, const std::vector<int64_t>& blocks,
                         bool steps_first = false, const Tensor& condition = Tensor()) {
  model.to(cpu);
  model.eval();
  const Tensor wanted = [&] {
    if constexpr (std::is_base_of_v<ConditionedModule, Model>) {
      return model(x, condition);
    } else {
      return model(x);
    }
  }();
  for (Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    model.to(device);
    const int64_t block = *std::max_element(blocks.begin(), blocks.end());
    const SequenceStream stream(model, {.batch = x.size(0), .block = block});
    StreamState state = stream.zeros();
    const Tensor got = streamed(stream, state, x, blocks, true, condition);
    const int64_t delay = stream.delay();
    const int64_t length = wanted.size(steps_first ? 1 : 2);
    EXPECT_EQ(stream.output_steps(x.size(2)), length);
    expect_close(steps_of(got, delay, delay + length, steps_first), wanted,
                 tolerance_of(x.dtype()));
    if (delay > 0) {
      EXPECT_EQ(sum(abs(steps_of(got, 0, delay, steps_first))).item(), 0);
    }
  }
  model.to(cpu);
}

void expect_as_full_pass(const TCN::Options& options,
                         const std::vector<int64_t>& blocks = {3, 7, 1}, int64_t length = 40) {
  TCN model(options);
  randomize(model);
  const DType dtype = options.net.block.dtype;
  const Tensor x = noise({2, 2, length}, dtype);
  const int64_t conditions = options.net.block.condition_channels;
  if (conditions == 0) {
    return expect_as_full_pass(model, x, blocks, true);
  }
  expect_as_full_pass(model, x, blocks, true, noise({2, conditions}, dtype, 5));
  expect_as_full_pass(model, x, blocks, true, noise({2, conditions, length}, dtype, 5));
}

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

// With conditions, too, as if both had always been like this. The memory of a state is that of a
// condition as well.
TEST(SequenceStreams, RememberConditions) {
  TCN::Options options = small();
  options.net.block.condition_channels = 3;
  options.net.block.causal = false;
  options.net.block.norm = BlockNorm::Layer;
  options.net.block.skip_channels = 4;
  TCN model(options);
  randomize(model);
  model.eval();
  const Tensor steady = noise({2, 2}, float64, 7);
  const Tensor steady_condition = noise({2, 3}, float64, 8);
  const int64_t before = model.receptive_field();
  const auto with_past = [&](const Tensor& value, const Tensor& x) {
    const Tensor ones = Tensor::ones({2, x.size(1), before}, float64);
    return concat({ones * reshape(value, {2, x.size(1), 1}), x}, 2);
  };
  const Tensor x = noise({2, 2, 30}, float64);
  const Tensor condition = noise({2, 3, 30}, float64, 9);
  const Tensor wanted =
      steps_of(model(with_past(steady, x), with_past(steady_condition, condition)), before,
               before + 30, true);
  for (Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    model.to(device);
    const SequenceStream stream(model, {.batch = 2, .block = 7});
    EXPECT_EQ(stream.condition_channels(), 3);
    StreamState state = stream.zeros();
    stream.settle_with(state, steady.to(device), steady_condition.to(device));
    streamed(stream, state, steps_of(x, 0, 11), {4}, false, steps_of(condition, 0, 11));
    StreamState other = stream.zeros();
    stream.load_state_dict(other, stream.state_dict(state));
    const Tensor rest =
        streamed(stream, other, steps_of(x, 11, 30), {7, 2}, true, steps_of(condition, 11, 30));
    const int64_t delay = stream.delay();
    expect_close(steps_of(rest, delay, delay + 19, true), steps_of(wanted, 11, 30, true), 1e-12);
  }
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

ConvTranspose1d wider(int64_t in, int64_t out, int64_t kernel_size, int64_t stride,
                      Padding1d padding, int64_t output_padding = 0, int64_t dilation = 1,
                      int64_t groups = 1) {
  return ConvTranspose1d({.in_channels = in,
                          .out_channels = out,
                          .kernel_size = kernel_size,
                          .stride = stride,
                          .padding = padding,
                          .output_padding = output_padding,
                          .dilation = dilation,
                          .groups = groups,
                          .dtype = float64});
}

Conv1d narrower(int64_t in, int64_t out, int64_t kernel_size, int64_t stride, Padding1d padding,
                int64_t dilation = 1, int64_t groups = 1) {
  return Conv1d({.in_channels = in,
                 .out_channels = out,
                 .kernel_size = kernel_size,
                 .stride = stride,
                 .padding = padding,
                 .dilation = dilation,
                 .groups = groups,
                 .dtype = float64});
}

// As vocoders have them: `stride` outputs for every input.
TEST(SequenceStreams, OfTransposedConvolutions) {
  const auto expect_layer = [](Module&& layer, const std::vector<int64_t>& blocks,
                               int64_t channels) {
    SCOPED_TRACE(layer.type_name() + "(" + layer.settings() + ")");
    randomize(layer);
    expect_as_full_pass(layer, noise({2, channels, 12}, float64), blocks);
  };
  for (const std::vector<int64_t>& blocks : {std::vector<int64_t>{3, 1}, {12}}) {
    expect_layer(wider(3, 2, 16, 8, 4), blocks, 3);
    expect_layer(wider(3, 5, 4, 2, 1), blocks, 3);
    expect_layer(wider(3, 5, 3, 1, Sides1d{.left = 0, .right = 2}), blocks, 3);
    expect_layer(wider(2, 3, 5, 2, Sides1d{.left = 0, .right = 3}), blocks, 2);
    expect_layer(wider(2, 3, 5, 2, Sides1d{.left = 3, .right = 0}), blocks, 2);
    expect_layer(wider(2, 3, 5, 2, 2, 1), blocks, 2);
    expect_layer(wider(2, 3, 2, 3, 0, 1), blocks, 2);     // a phase of nothing but bias
    expect_layer(wider(2, 3, 3, 4, 1, 1, 2), blocks, 2);  // taps that share a phase
    expect_layer(wider(2, 3, 4, 3, Sides1d{.left = 1, .right = 6}, 0, 3), blocks, 2);
    expect_layer(wider(2, 3, 3, 2, Sides1d{.left = 1, .right = 4}, 0, 3), blocks, 2);
    expect_layer(wider(4, 6, 4, 2, 1, 0, 1, 2), blocks, 4);  // groups
    expect_layer(Sequential(wider(3, 4, 4, 2, 1), ReLU(), wider(4, 2, 7, 3, 2),
                            narrower(2, 2, 3, 1, Padding1d::same())),
                 blocks, 3);
  }
}

TEST(SequenceStreams, OfStridedConvolutions) {
  const auto expect_layer = [](Module&& layer, const std::vector<int64_t>& blocks,
                               int64_t multiple) {
    SCOPED_TRACE(layer.type_name() + "(" + layer.settings() + ")");
    randomize(layer);
    EXPECT_EQ(SequenceStream(layer).steps_multiple(), multiple);
    expect_as_full_pass(layer, noise({2, 2, 24}, float64), blocks);
  };
  expect_layer(narrower(2, 3, 4, 2, Padding1d::causal()), {2, 4}, 2);
  expect_layer(narrower(2, 3, 4, 2, 1), {2, 4}, 2);
  expect_layer(narrower(2, 3, 5, 2, Sides1d{.left = 0, .right = 3}), {2, 4}, 2);
  expect_layer(narrower(2, 3, 3, 3, 0), {3, 6, 3}, 3);
  expect_layer(narrower(2, 4, 3, 4, Sides1d{.left = 2, .right = 0}, 2, 2), {4, 8}, 4);
  const auto conv = [] { return narrower(4, 4, 3, 1, Padding1d::same()); };
  expect_layer(Sequential(narrower(2, 4, 3, 1, Padding1d::same()), narrower(4, 4, 4, 2, 1), conv(),
                          wider(4, 3, 4, 2, 1)),
               {2, 4, 6}, 2);
  expect_layer(Sequential(wider(2, 4, 6, 3, Sides1d{.left = 2, .right = 1}), conv(),
                          narrower(4, 4, 4, 2, 1), ReLU(), conv()),
               {2, 4, 6}, 2);
  expect_layer(Sequential(narrower(2, 4, 4, 2, 1), conv(), narrower(4, 4, 3, 2, 1), conv(),
                          wider(4, 4, 8, 4, 2), conv()),
               {4, 8}, 4);
}

// x at 3/2 of its steps.
Sequential resampler(bool causal) {
  const auto padding = [&](Padding1d centred) { return causal ? Padding1d::causal() : centred; };
  return Sequential(
      wider(2, 4, 6, 3, causal ? Sides1d{.left = 0, .right = 3} : Sides1d{.left = 2, .right = 1}),
      narrower(4, 4, 3, 1, padding(Padding1d::same())), narrower(4, 4, 4, 2, padding(1)),
      narrower(4, 3, 3, 1, padding(Padding1d::same())));
}

// What a steady input becomes is not steady behind a transposed convolution.
TEST(SequenceStreams, OfOtherRatesSettleOnASteadyInput) {
  for (bool causal : {true, false}) {
    Sequential model = resampler(causal);
    randomize(model);
    model.eval();
    const Tensor steady = noise({2, 2}, float64, 7);
    const Tensor x = noise({2, 2, 12}, float64);
    const Tensor past = Tensor::ones({2, 2, 20}, float64) * reshape(steady, {2, 2, 1});
    const Tensor wanted = steps_of(model(concat({past, x}, 2)), 30, 48);
    for (Device device : available_devices()) {
      SCOPED_TRACE(to_string(device) + (causal ? ", causal" : ", centred"));
      model.to(device);
      const SequenceStream stream(model, {.batch = 2, .block = 4});
      StreamState state = stream.steady(steady.to(device));
      EXPECT_EQ(stream.output_shape(4), Shape({2, 3, 6}));
      const int64_t delay = stream.delay();
      EXPECT_EQ(delay == 0, causal);
      Tensor got = streamed(stream, state, x, {4, 2});
      expect_close(steps_of(got, delay, delay + 18), wanted, 1e-12);
      // Saved and loaded in the middle, between streams of other blocks.
      stream.settle(state, steady.to(device));
      streamed(stream, state, steps_of(x, 0, 6), {2}, false);
      const SequenceStream other(model, {.batch = 2, .block = 2});
      StreamState loaded = other.zeros();
      other.load_state_dict(loaded, stream.state_dict(state));
      got = streamed(other, loaded, steps_of(x, 6, 12), {2});
      expect_close(steps_of(got, delay, delay + 9), steps_of(wanted, 9, 18), 1e-12);
    }
  }
}

TEST(SequenceStreams, OfOtherRatesTakeStepsInGroups) {
  Sequential model = resampler(false);
  const SequenceStream stream(model, {.batch = 2, .block = 4});
  EXPECT_EQ(stream.steps_multiple(), 2);
  EXPECT_EQ(stream.output_steps(4), 6);
  StreamState state = stream.zeros();
  StateDict odd = stream.state_dict(state);
  odd[0].second = tensor<int64_t>({3, 3}, {2});
  expect_throws<ValueError>([&] { stream.load_state_dict(state, odd); },
                            {"[stream] steps: got other numbers than multiples of 2"});
  expect_throws<ShapeError>(
      [&] {
        stream.step(state, Tensor::zeros({2, 2, 3}, float64));
      },
      {"[stream] steps: got 3, wanted a multiple of 2: the model gives 3"});
  std::vector<double> in(2 * 2 * 4, 0.5);
  std::vector<double> out(2 * 3 * 6);
  stream.step(state, in, out);
  StreamState other = stream.zeros();
  EXPECT_EQ(out, stream.step(other, Tensor::full({2, 2, 4}, 0.5, float64)).to_vector<double>());
  // No call allocates anything.
  const Tensor x = Tensor::ones({2, 2, 4}, float64);
  Tensor y = Tensor::empty(stream.output_shape(4), float64);
  Tensor rest = Tensor::empty({2, 3, stream.delay()}, float64);
  const uint64_t blocks = memory_stats(cpu).allocations;
  const uint64_t heap = heap_allocations();
  stream.step(state, x, y);
  stream.finish(state, rest);
  EXPECT_EQ(memory_stats(cpu).allocations, blocks);
  if (counts_heap_allocations()) {
    EXPECT_EQ(heap_allocations(), heap);
  }
}

TEST(SequenceStreams, OfThePaddingOfAConvolutionAlone) {
  Conv1d layer({.in_channels = 1, .out_channels = 1, .kernel_size = 5, .padding = 2});
  EXPECT_EQ(SequenceStream(layer).delay(), 2);
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

// As if the sequence had always been like this.
TEST(SequenceStreams, SettleOnASteadyInput) {
  for (bool causal : {true, false}) {
    TCN::Options options = small();
    options.net.block.causal = causal;
    options.net.block.activation = BlockActivation::Gated;
    TCN model(options);
    randomize(model);
    model.eval();
    const Tensor steady = tensor<double>({0.5, -2, 1, 3}, {2, 2});
    const Tensor x = noise({2, 2, 30}, float64);
    const int64_t before = model.receptive_field();
    const Tensor all =
        concat({Tensor::ones({2, 2, before}, float64) * reshape(steady, {2, 2, 1}), x}, 2);
    const Tensor wanted = steps_of(model(all), before, before + 30, true);
    for (Device device : available_devices()) {
      SCOPED_TRACE(to_string(device));
      model.to(device);
      const SequenceStream stream(model, {.batch = 2, .block = 7});
      StreamState state = stream.steady(steady.to(device));
      const int64_t delay = stream.delay();
      const Tensor fresh = streamed(stream, state, x, {7, 2});
      expect_close(steps_of(fresh, delay, delay + 30, true), wanted, 1e-12);
      // The outputs that the delay brings along are the steady ones.
      expect_close(steps_of(fresh, 0, delay, true),
                   steps_of(model(all.to(device)).to(cpu), before - delay, before, true), 1e-12);
      stream.settle(state, steady.to(device));
      EXPECT_EQ(streamed(stream, state, x, {7, 2}).to_vector<double>(), fresh.to_vector<double>());
    }
    model.to(cpu);
  }
}

TEST(SequenceStreams, HaveStatesThatAreCopiedAndReset) {
  TCN::Options options = small();
  options.net.channels = {5, 4};
  options.net.block.causal = false;  // so that a stream knows how far it is
  TCN model(options);
  randomize(model);
  const Tensor x = noise({2, 2, 24}, float64);
  for (Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    model.to(device);
    const SequenceStream stream(model, {.batch = 2, .block = 12});
    StreamState state = stream.zeros();
    const auto run = [&](StreamState& from, int64_t begin, int64_t end) {
      return streamed(stream, from, steps_of(x, begin, end), {12}, false).to_vector<double>();
    };
    const std::vector<double> first = run(state, 0, 12);
    StreamState copy = state;
    StreamState assigned = stream.zeros();
    run(assigned, 3, 9);
    assigned = state;
    const std::vector<double> wanted = run(state, 12, 24);
    EXPECT_NE(wanted, first);
    EXPECT_EQ(run(copy, 12, 24), wanted);
    EXPECT_EQ(run(assigned, 12, 24), wanted);
    stream.reset(state);
    EXPECT_EQ(run(state, 0, 12), first);
    // One of the two begins again.
    stream.reset(state, 1);
    const std::vector<double> mixed = run(state, 12, 24);
    const auto half = static_cast<std::ptrdiff_t>(wanted.size() / 2);
    EXPECT_TRUE(std::equal(mixed.begin(), mixed.begin() + half, wanted.begin()));
    StreamState fresh = stream.zeros();
    const std::vector<double> begun = run(fresh, 12, 24);
    EXPECT_TRUE(std::equal(mixed.begin() + half, mixed.end(), begun.begin() + half));
    EXPECT_FALSE(std::equal(mixed.begin() + half, mixed.end(), wanted.begin() + half));
  }
}

// Between devices and blocks, too, in the middle of a sequence and of its delay.
TEST(SequenceStreams, SaveAndLoadTheirStates) {
  TCN::Options options = small();
  options.net.block.causal = false;
  TCN model(options);
  randomize(model);
  const Tensor x = noise({2, 2, 40}, float64);
  for (int64_t before : {5, 31}) {
    const SequenceStream whole(model, {.batch = 2, .block = 40});
    StreamState state = whole.zeros();
    streamed(whole, state, steps_of(x, 0, before), {9}, false);
    const StateDict saved = whole.state_dict(state);
    const Tensor wanted = streamed(whole, state, steps_of(x, before, 40), {40});
    for (Device device : available_devices()) {
      SCOPED_TRACE(to_string(device));
      model.to(device);
      const SequenceStream other(model, {.batch = 2, .block = 3});
      StreamState loaded = other.steady(Tensor::ones({2, 2}, float64, device));
      other.load_state_dict(loaded, saved);
      const StateDict again = other.state_dict(loaded);
      ASSERT_EQ(again.size(), saved.size());
      for (size_t i = 0; i < saved.size(); ++i) {
        EXPECT_EQ(again[i].first, saved[i].first);
        EXPECT_EQ(again[i].second.to(float64).to_vector<double>(),
                  saved[i].second.to(float64).to_vector<double>());
      }
      expect_close(streamed(other, loaded, steps_of(x, before, 40), {3, 1}), wanted, 1e-12);
    }
    model.to(cpu);
  }
}

TEST(SequenceStreams, AllocateNothingOnceTheyHaveBegun) {
  for (Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    TCN::Options options = small(float32);
    options.net.block.causal = false;
    TCN model(options);
    model.to(device);
    options.net.block.norm = BlockNorm::Layer;
    options.net.block.skip_channels = 3;
    options.net.block.condition_channels = 2;
    TCN conditioned(options);
    conditioned.to(device);
    const SequenceStream with(conditioned, {.batch = 2, .block = 5});
    StreamState of_with = with.zeros();
    const SequenceStream stream(model, {.batch = 2, .block = 5});
    StreamState state = stream.zeros();
    const StreamState other = state;
    const Tensor x = Tensor::ones({2, 2, 5}, float32, device);
    const Tensor steady = Tensor::ones({2, 2}, float32, device);
    Tensor y = Tensor::empty(stream.output_shape(5), float32, device);
    Tensor rest = Tensor::empty(stream.output_shape(stream.delay()), float32, device);
    std::vector<float> in(4);
    std::vector<float> out(6);
    const auto all = [&] {
      stream.step(state, x, y);
      if (device == cpu) {
        stream.step(state, in, out);
      }
      stream.reset(state);
      stream.settle(state, steady);
      stream.step(state, x, y);
      stream.finish(state, rest);
      state = other;
      with.step_with(of_with, x, steady, y);
      with.step_with(of_with, x, x, y);
      with.settle_with(of_with, steady, steady);
      with.finish(of_with, rest);
    };
    all();
    const uint64_t blocks = memory_stats(device).allocations;
    const uint64_t heap = heap_allocations();
    all();
    EXPECT_EQ(memory_stats(device).allocations, blocks);
    if (counts_heap_allocations()) {
      EXPECT_EQ(heap_allocations(), heap);
    }
  }
}

TEST(SequenceStreams, TakePlainMemory) {
  TCN model(small());
  randomize(model);
  const Tensor x = noise({2, 2, 8}, float64);
  const SequenceStream stream(model, {.batch = 2, .block = 8});
  StreamState state = stream.zeros();
  const std::vector<double> wanted = stream.step(state, x).to_vector<double>();
  stream.reset(state);
  const std::vector<double> in = x.to_vector<double>();
  std::vector<double> out(wanted.size());
  stream.step(state, in, out);
  EXPECT_EQ(out, wanted);
  // (N, L, C) in memory.
  stream.reset(state);
  EXPECT_EQ(stream.step(state, x.to(MemoryFormat::ChannelsLast)).to_vector<double>(), wanted);
}

TEST(SequenceStreams, RefuseBadInputAndKeepTheirState) {
  TCN model(small());
  randomize(model);
  const SequenceStream stream(model, {.batch = 2, .block = 6});
  StreamState state = stream.zeros();
  const Tensor x = noise({2, 2, 6}, float64);
  stream.step(state, x);
  const StateDict before = stream.state_dict(state);
  Tensor y = Tensor::zeros({2, 6, 3}, float64);
  const auto expect_refused = [&]<class E>(E*, const std::function<void()>& call,
                                           const std::string& why) {
    expect_throws<E>(call, {"[stream] " + why, "sequence_stream_test.cpp"});
    const StateDict after = stream.state_dict(state);
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(after[i].second.to(float64).to_vector<double>(),
                before[i].second.to(float64).to_vector<double>());
    }
    EXPECT_EQ(y.to_vector<double>(), std::vector<double>(36));
  };
  ShapeError* const shape = nullptr;
  DTypeError* const dtype = nullptr;
  ValueError* const value = nullptr;
  const auto step = [&](const Tensor& from) {
    return [&stream, &state, &y, from] { stream.step(state, from, y); };
  };
  expect_refused(shape, step(Tensor::zeros({2, 3, 6}, float64)),
                 "x: got (2, 3, 6), wanted (2, 2, 6)");
  expect_refused(shape, step(Tensor::zeros({1, 2, 6}, float64)), "x: got (1, 2, 6)");
  expect_refused(shape, step(Tensor::zeros({2, 2}, float64)),
                 "x: got (2, 2), wanted (2, 2, steps)");
  expect_refused(shape, step(Tensor()), "x: got none");
  expect_refused(shape, step(Tensor::zeros({2, 2, 7}, float64)), "steps: got 7, wanted 1 to 6");
  expect_refused(shape, step(Tensor::zeros({2, 2, 0}, float64)), "steps: got 0");
  expect_refused(dtype, step(Tensor::zeros({2, 2, 6})), "x: got float32, wanted float64");
  // A y that is not as it should be, or is x.
  const auto into = [&](Tensor to) {
    return [&stream, &state, &x, to]() mutable { stream.step(state, x, to); };
  };
  expect_refused(shape, into(Tensor::zeros({2, 3, 6}, float64)),
                 "y: got (2, 3, 6), wanted (2, 6, 3)");
  expect_refused(shape, into(Tensor()), "y: got none");
  expect_refused(dtype, into(Tensor::zeros({2, 6, 3})), "y: got float32, wanted float64");
  Tensor both = Tensor::zeros({72}, float64);
  expect_refused(
      value,
      [&] {
        Tensor to = both.slice(36, 72).view({2, 6, 3});
        stream.step(state, both.slice(0, 24).view({2, 2, 6}), to);
      },
      "y: got the storage of x");
  std::vector<double> plain(60);
  const auto spans = [&](size_t in, size_t at, size_t out) {
    return [&, in, at, out] {
      stream.step(state, std::span(plain).first(in), std::span(plain).subspan(at, out));
    };
  };
  expect_refused(shape, spans(23, 24, 36), "x: got 23 elements, wanted a multiple of 4");
  expect_refused(shape, spans(28, 28, 32), "steps: got 7");
  expect_refused(shape, spans(0, 24, 0), "steps: got 0");
  expect_refused(shape, spans(24, 24, 35), "y: got 35 elements, wanted 36 of (2, 6, 3)");
  expect_refused(value, spans(24, 23, 36), "y: got the memory of x");
  std::vector<float> floats(60);
  expect_refused(
      dtype, [&] { stream.step(state, std::span(floats).first(24), std::span(floats).last(36)); },
      "x: got float32, wanted float64");
  expect_refused(
      value, [&] { stream.reset(state, 2); }, "stream: got 2, wanted 0 to 1");
  expect_refused(
      shape,
      [&] {
        stream.settle(state, Tensor::zeros({2, 3}, float64));
      },
      "x: got (2, 3), wanted (2, 2)");
  expect_refused(
      shape, [&] { stream.finish(state, y); }, "y: got (2, 6, 3), wanted (2, 0, 3)");
  expect_refused(
      value, [&] { stream.step_with(state, x, x, y); },
      "condition: got one, wanted none: the model takes none");
  // States of other streams, or of none.
  StreamState none;
  expect_refused(
      value, [&] { stream.step(none, x, y); }, "state: got one of no stream");
  const SequenceStream wider(model, {.batch = 3, .block = 6});
  StreamState foreign = wider.zeros();
  expect_refused(
      value, [&] { stream.step(foreign, x, y); }, "state: got one of another model");
  for (Device device : available_devices()) {
    if (device != cpu) {
      DeviceError* const devices = nullptr;
      expect_refused(devices, step(x.to(device)), "x: got cuda:0, wanted cpu");
    }
  }
  // Another model's weights for the state's shape are welcome.
  TCN twin(small());
  SequenceStream(twin, {.batch = 2, .block = 6}).step(state, x, y);
}

TEST(SequenceStreams, SayWhichConditionTheyWant) {
  TCN::Options options = small();
  options.net.block.condition_channels = 3;
  TCN model(options);
  const SequenceStream stream(model, {.batch = 2, .block = 6});
  StreamState state = stream.zeros();
  const Tensor x = noise({2, 2, 4}, float64);
  const Tensor steady = noise({2, 2}, float64);
  Tensor y = Tensor::zeros({2, 4, 3}, float64);
  const std::vector<double> in(16);
  std::vector<double> out(24);
  for (const std::function<void()>& call : std::vector<std::function<void()>>{
           [&] { stream.step(state, x, y); }, [&] { stream.step(state, x); },
           [&] { stream.step(state, in, out); }, [&] { stream.settle(state, steady); },
           [&] { stream.steady(steady); }, [&] { stream.step_with(state, x, Tensor(), y); }}) {
    expect_throws<ValueError>(call, {"[stream] condition: got none, wanted (2, 3)"});
  }
  for (const Shape& shape : {Shape{2, 2}, Shape{2, 3, 5}, Shape{1, 3}, Shape{2, 2, 4}, Shape{3}}) {
    expect_throws<ShapeError>([&] { stream.step_with(state, x, Tensor::zeros(shape, float64), y); },
                              {"[stream] condition: got " + shape.to_string() + ", wanted (2, 3"});
  }
  expect_throws<ShapeError>(
      [&] {
        stream.settle_with(state, steady, Tensor::zeros({2, 3, 1}, float64));
      },
      {"[stream] condition: got (2, 3, 1), wanted (2, 3)"});
  expect_throws<DTypeError>(
      [&] {
        stream.step_with(state, x, Tensor::zeros({2, 3}), y);
      },
      {"[stream] condition: got float32, wanted float64"});
  Tensor both = Tensor::zeros({48}, float64);
  Tensor to = both.slice(24, 48).view({2, 4, 3});
  expect_throws<ValueError>(
      [&] {
        stream.step_with(state, x, both.slice(0, 24).view({2, 3, 4}), to);
      },
      {"[stream] y: got the storage of condition"});
  EXPECT_EQ(stream.state_dict(state)[0].second.to_vector<int64_t>(), (std::vector<int64_t>{0, 0}));
}

TEST(SequenceStreams, SayWhatASavedStateLacks) {
  TCN model(small());
  const SequenceStream stream(model);
  StreamState state = stream.zeros();
  stream.step(state, Tensor::ones({1, 2, 9}, float64));
  const StateDict saved = stream.state_dict(state);
  const auto expect_refused = [&](const StateDict& dict, const std::string& why) {
    expect_throws<ValueError>([&] { stream.load_state_dict(state, dict); }, {"[stream] " + why});
    EXPECT_EQ(stream.state_dict(state)[1].second.to_vector<double>(),
              saved[1].second.to_vector<double>());
  };
  StateDict dict = saved;
  dict.pop_back();
  expect_refused(dict, saved.back().first + ": got none among " + std::to_string(dict.size()));
  dict = saved;
  dict[1].second = Tensor::zeros({1, 2, 7}, float64);
  expect_refused(dict, "history.0: got (1, 2, 7) of float64, wanted (1, 2, 2) of float64");
  dict = saved;
  dict[0].second = tensor<int64_t>({-1}, {1});
  expect_refused(dict, "steps: got less than 0");
}

struct Doubled : TCN {
  using TCN::TCN;
  Tensor forward(const Operand& x) override { return TCN::forward(x) * 2.0; }
};

TEST(SequenceStreams, RefuseWhatHasNoStages) {
  const auto expect_refused = [&]<class E>(E*, Module&& model, const std::string& why) {
    expect_throws<E>([&] { SequenceStream stream(model); },
                     {"[stream] " + why, "sequence_stream_test.cpp"});
  };
  ValueError* const value = nullptr;
  const auto conv = [](int64_t stride, Padding1d padding) {
    return Conv1d({.in_channels = 2,
                   .out_channels = 2,
                   .kernel_size = 3,
                   .stride = stride,
                   .padding = padding,
                   .dilation = 2});
  };
  expect_refused(value, conv(1, 0),
                 "model: padding: got (0,), wanted causal, same, or 4 zeros in all");
  expect_refused(value, conv(1, Sides1d{.left = 4, .right = 1}), "model: padding: got ((4, 1),)");
  expect_refused(value, Sequential(conv(1, 2), conv(2, 5)),
                 "1: padding: got (5,), wanted causal, or 3 to 4 zeros in all, so that there is an "
                 "output for every 2 elements");
  expect_refused(value, conv(3, 0), "model: padding: got (0,), wanted causal, or 2 to 4 zeros");
  expect_refused(value, wider(2, 2, 4, 2, 0),
                 "model: padding: got (0,), wanted 2 in all, so that there are 2 outputs for every "
                 "element");
  expect_refused(value, narrower(2, 2, 65, 65, 0),
                 "block: got 64, wanted 65 or more: the model gives an output for so many steps");
  expect_refused(value, Sequential(conv(1, 2), Linear(2, 2)), "1: got a Linear, wanted a TCN");
  expect_refused(value, Doubled(small()), "model: got a TCN, wanted");
  expect_refused(value, Sequential(ReLU(), conv(1, 2)), "0: got a ReLU in front");
  expect_refused(
      value, Sequential(conv(1, 2), BatchNorm1d({.num_features = 2, .track_running_stats = false})),
      "1: track_running_stats: got False, wanted True");
  expect_refused(value, Sequential(conv(1, 2), LayerNorm(7)), "1: got a LayerNorm, wanted a TCN");
  expect_refused(value, Sequential(Dropout()), "model: got one without layers that compute");
  ShapeError* const shape = nullptr;
  expect_refused(shape,
                 Sequential(conv(1, 2), TemporalBlock({.in_channels = 3, .out_channels = 2})),
                 "1.conv1: got 2 channels, wanted 3");
  DTypeError* const dtype = nullptr;
  TCN mixed(small(float32));
  set_precision(mixed, bfloat16);
  expect_refused(dtype, std::move(mixed),
                 "tcn.network.0.conv1: got a layer that computes in bfloat16");
  TCN model(small());
  expect_throws<ValueError>([&] { SequenceStream(model, {.batch = 0}); },
                            {"[stream] batch: got 0, wanted 1 to 65535"});
  expect_throws<ValueError>([&] { SequenceStream(model, {.block = 4097}); },
                            {"[stream] block: got 4097, wanted 1 to 4096"});
}

}  // namespace
}  // namespace warptape
