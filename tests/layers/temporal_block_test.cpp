#include "layers/temporal_block.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "core/profile.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/precision.h"
#include "layers/state_dict.h"
#include "tests/core/expect_throws.h"
#include "tests/golden.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

using Json = nlohmann::json;

TemporalBlock::Options options_of(const Json& golden) {
  const Json& o = golden.at("options");
  TemporalBlock::Options options{
      .in_channels = golden.at("in_channels"),
      .out_channels = o.at("out_channels"),
      .hidden_channels = o.value("hidden_channels", 0),
      .kernel_size = o.value("kernel_size", 2),
      .dilation = o.value("dilation", 1),
      .dropout = 0,
      .weight_norm = o.value("weight_norm", true),
      .causal = o.value("causal", true),
      .activation = block_activation(o.value("activation", "relu")),
      .activate_second = o.value("activate_second", true),
      .output_activation = block_activation(o.value("output_activation", "relu")),
      .norm = block_norm(o.value("norm", "none")),
      .condition_channels = o.value("condition_channels", 0),
      .skip_channels = o.value("skip_channels", 0),
      .dtype = float64};
  options.residual_name = o.value("residual_name", options.residual_name);
  return options;
}

StateDict state_of(const Json& golden) {
  StateDict state;
  for (const auto& [key, value] : golden.items()) {
    state.emplace_back(key, golden_tensor(value));
  }
  return state;
}

void check_block(const Json& golden, Device device) {
  TemporalBlock block(options_of(golden));
  load_state_dict(block, state_of(golden.at("state")));
  block.to(device);
  const auto there = [&](const char* key) { return golden_tensor(golden.at(key)).to(device); };
  const auto expect_golden = [&](const Tensor& got, const char* key) {
    const Tensor wanted = golden_tensor(golden.at(key));
    ASSERT_EQ(got.shape(), wanted.shape()) << key;
    expect_near(got.to_vector<double>(), wanted.to_vector<double>(), 1e-12, key);
  };
  Tape tape;
  Tensor x = there("x");
  tape.watch(x);
  Tensor condition = golden.contains("condition") ? there("condition") : Tensor();
  if (condition.defined()) {
    tape.watch(condition);
  }
  const TemporalBlock::Outputs outputs = block.outputs(x, condition);
  expect_golden(outputs.y, "y");
  Tensor loss = sum(outputs.y * there("grad_y"));
  ASSERT_EQ(outputs.skip.defined(), golden.contains("skip"));
  if (outputs.skip.defined()) {
    expect_golden(outputs.skip, "skip");
    loss = loss + sum(outputs.skip * there("grad_skip"));
  }
  tape.backward(loss);
  expect_golden(tape.gradient(x), "grad_x");
  if (condition.defined()) {
    expect_golden(tape.gradient(condition), "grad_condition");
  }
  const Json& gradients = golden.at("grads");
  const std::vector<NamedParameter> named = named_parameters(block);
  EXPECT_EQ(named.size(), gradients.size());
  for (const NamedParameter& parameter : named) {
    expect_near(parameter.parameter->grad().to_vector<double>(),
                golden_tensor(gradients.at(parameter.name)).to_vector<double>(), 1e-12,
                "gradient of " + parameter.name);
  }
  if (golden.contains("y_in_eval")) {
    block.eval();
    expect_golden(condition.defined() ? block(x, condition) : block(x), "y_in_eval");
  }
}

TEST(TemporalBlocks, ArePyTorchs) {
  const Json golden = load_golden("tcn.json");
  ASSERT_GT(golden.at("blocks").size(), 18u);
  for (const Json& block : golden.at("blocks")) {
    for (Device device : available_devices()) {
      SCOPED_TRACE(block.at("name").get<std::string>() + " on " + to_string(device));
      check_block(block, device);
    }
  }
}

std::string keys_of(Module& module) {
  std::string keys;
  for (const auto& [key, tensor] : state_dict(module)) {
    keys += key + " " + tensor.shape().to_string() + "\n";
  }
  return keys;
}

TEST(TemporalBlocks, OfBaiHaveTheKeysOfTheirPaper) {
  TemporalBlock block(TemporalBlock::bai(2, 5, 3, 4));
  EXPECT_EQ(keys_of(block),
            "conv1.weight_g (5, 1, 1)\n"
            "conv1.weight_v (5, 2, 3)\n"
            "conv1.bias (5,)\n"
            "conv2.weight_g (5, 1, 1)\n"
            "conv2.weight_v (5, 5, 3)\n"
            "conv2.bias (5,)\n"
            "downsample.weight (5, 2, 1)\n"
            "downsample.bias (5,)\n");
  EXPECT_EQ(block.options().dropout, 0.2);
}

TEST(TemporalBlocks, OfDartsHavePlainWeightsAndNoActivationAtTheirEnd) {
  TemporalBlock block(TemporalBlock::darts(2, 3, 1, 3, 4, true));
  EXPECT_EQ(keys_of(block),
            "conv1.weight (3, 2, 3)\n"
            "conv1.bias (3,)\n"
            "conv2.weight (1, 3, 3)\n"
            "conv2.bias (1,)\n"
            "conv3.weight (1, 2, 1)\n"
            "conv3.bias (1,)\n");
  EXPECT_FALSE(block.options().activate_second);
  EXPECT_TRUE(TemporalBlock(TemporalBlock::darts(2, 3, 3, 3, 4, false)).options().activate_second);
}

TEST(TemporalBlocks, HaveTheKeysOfTheirOptions) {
  TemporalBlock::Options options = TemporalBlock::darts(2, 3, 3, 2, 1, false);
  options.activation = BlockActivation::Gated;
  options.norm = BlockNorm::Batch;
  options.condition_channels = 5;
  options.skip_channels = 7;
  TemporalBlock batch(options);
  const std::string norm1 =
      "norm1.weight (6,)\n"
      "norm1.bias (6,)\n";
  EXPECT_EQ(keys_of(batch),
            "conv1.weight (6, 2, 2)\n"
            "conv1.bias (6,)\n" +
                norm1 +
                "norm1.running_mean (6,)\n"
                "norm1.running_var (6,)\n"
                "norm1.num_batches_tracked ()\n"
                "conv2.weight (6, 3, 2)\n"
                "conv2.bias (6,)\n"
                "norm2.weight (6,)\n"
                "norm2.bias (6,)\n"
                "norm2.running_mean (6,)\n"
                "norm2.running_var (6,)\n"
                "norm2.num_batches_tracked ()\n"
                "conv3.weight (3, 2, 1)\n"
                "conv3.bias (3,)\n"
                "condition.weight (6, 5, 1)\n"
                "skip.weight (7, 3, 1)\n"
                "skip.bias (7,)\n");
  options.norm = BlockNorm::Layer;
  TemporalBlock layer(options);
  EXPECT_NE(keys_of(layer).find(norm1 + "conv2"), std::string::npos);
}

// Not with later steps, either: the statistics are those of a step.
TEST(TemporalBlocks, OfLayerNormStayCausal) {
  TemporalBlock::Options options = TemporalBlock::bai(2, 3, 2, 1);
  options.norm = BlockNorm::Layer;
  options.dropout = 0;
  TemporalBlock block(options);
  const Tensor x = randn({1, 2, 8});
  const Tensor all = block(x);
  const Tensor some = block(slice(x, 2, 0, 5));
  expect_near(some.to(float64).to_vector<double>(),
              slice(all, 2, 0, 5).to(float64).to_vector<double>(), 1e-6, "first steps");
}

TEST(TemporalBlocks, CallTheirHooksWithConditions) {
  TemporalBlock::Options options = TemporalBlock::bai(2, 2, 2, 1);
  options.condition_channels = 3;
  options.dropout = 0;
  TemporalBlock block(options);
  const Tensor x = randn({1, 2, 4});
  const Tensor zeros = Tensor::zeros({1, 3});
  const std::vector<float> wanted = block(x, zeros).to_vector<float>();
  block.register_forward_pre_hook([&](Module&, std::vector<Operand>& inputs) {
    EXPECT_EQ(inputs.size(), 2u);
    inputs[1] = zeros;
  });
  block.register_forward_hook(
      [](Module&, const std::vector<Operand>&, Tensor& output) { output = output * 2.0; });
  std::vector<float> half = (block(x, Tensor::ones({1, 3})) * 0.5).to_vector<float>();
  EXPECT_EQ(half, wanted);
  half = (block.outputs(x, Tensor::ones({1, 3})).y * 0.5).to_vector<float>();
  EXPECT_EQ(half, wanted);
}

TEST(TemporalBlocks, SayWhichConditionTheyWant) {
  TemporalBlock::Options options = TemporalBlock::bai(2, 2, 2, 1);
  TemporalBlock plain(options);
  options.condition_channels = 3;
  TemporalBlock block(options);
  const Tensor x = Tensor::zeros({4, 2, 5});
  expect_throws<ValueError>(
      [&] {
        plain(x, Tensor::zeros({4, 3}));
      },
      {"[TemporalBlock] condition: got one, wanted none", "block_test.cpp"});
  expect_throws<ValueError>(
      [&] { block(x); },
      {"[TemporalBlock] condition: got none, wanted (N, 3) or (N, 3, L)", "block_test.cpp"});
  for (const Shape& shape :
       {Shape{4, 2}, Shape{1, 3}, Shape{4, 3, 1}, Shape{4, 3, 6}, Shape{3}, Shape{4, 3, 5, 1}}) {
    expect_throws<ShapeError>(
        [&] { block(x, Tensor::zeros(shape)); },
        {"[TemporalBlock] condition: got " + shape.to_string() + ", wanted (4, 3) or (4, 3, 5)"});
  }
}

// Whole channels, the same in all steps of a sequence.
TEST(TemporalBlocks, DropElementsOrChannels) {
  TemporalBlock::Options options = TemporalBlock::bai(4, 4, 2, 1);
  options.dropout = 0.5;
  options.output_activation = BlockActivation::None;
  const Tensor x = Tensor::zeros({8, 4, 32});
  for (bool channels : {false, true}) {
    options.channel_dropout = channels;
    TemporalBlock block(options);
    // conv1 and conv2 give 1 everywhere, so that only dropout makes a difference.
    for (Conv1d* conv : {&block.conv1, &block.conv2}) {
      conv->weight.assign(Tensor::zeros(conv->weight.shape()));
      conv->bias.assign(Tensor::ones({4}));
    }
    manual_seed(1);
    const std::vector<float> y = block(x).to_vector<float>();
    int zeros = 0;
    int mixed = 0;
    for (size_t row = 0; row < 32; ++row) {
      const auto begin = y.begin() + static_cast<int64_t>(32 * row);
      const auto dropped = std::count(begin, begin + 32, 0.0F);
      zeros += static_cast<int>(dropped);
      mixed += dropped != 0 && dropped != 32;
    }
    EXPECT_GT(zeros, 300);
    EXPECT_LT(zeros, 724);
    EXPECT_EQ(mixed, channels ? 0 : 32);
    block.eval();
    EXPECT_EQ(block(x).to_vector<float>(), std::vector<float>(8 * 4 * 32, 1.0F));
  }
}

// Whose residual is x itself, or a convolution of it.
TEST(TemporalBlocks, ComputeInBfloat16) {
  for (auto [inputs, norm] : {std::pair(4, BlockNorm::None), std::pair(3, BlockNorm::None),
                              std::pair(3, BlockNorm::Batch), std::pair(3, BlockNorm::Layer)}) {
    TemporalBlock::Options options = TemporalBlock::bai(inputs, 4, 3, 2);
    options.norm = norm;
    TemporalBlock block(options);
    block.eval();
    const Tensor x = randn({2, inputs, 9});
    const std::vector<float> wanted = block(x).to_vector<float>();
    set_precision(block, bfloat16);
    const Tensor y = block(x);
    EXPECT_EQ(y.dtype(), bfloat16);
    const std::vector<float> got = y.to(float32).to_vector<float>();
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_NEAR(got[i], wanted[i], 0.05 * std::max(1.0F, std::abs(wanted[i])));
    }
  }
}

double root_mean_square(const Tensor& tensor) {
  double sum = 0;
  for (float value : tensor.to_vector<float>()) {
    sum += static_cast<double>(value) * value;
  }
  return std::sqrt(sum / static_cast<double>(tensor.numel()));
}

TEST(TemporalBlocks, OfBaiBeginWithSmallResiduals) {
  manual_seed(2);
  TemporalBlock bai(TemporalBlock::bai(1, 256, 3, 1));
  EXPECT_NEAR(root_mean_square(bai.residual->weight.value()), 0.01, 0.003);
  TemporalBlock darts(TemporalBlock::darts(1, 256, 256, 3, 1, false));
  EXPECT_GT(root_mean_square(darts.residual->weight.value()), 0.3) << "U(-1, 1)";
}

TEST(TemporalBlocks, PrintTheirConvolutions) {
  std::ostringstream text;
  text << TemporalBlock(TemporalBlock::bai(2, 5, 3, 4));
  EXPECT_EQ(text.str(),
            "TemporalBlock(\n"
            "  relu, dropout=0.2, output_activation=relu\n"
            "  (conv1): Conv1d(2, 5, kernel_size=(3,), stride=(1,), padding=causal, "
            "dilation=(4,), weight_norm(dim=0))\n"
            "  (conv2): Conv1d(5, 5, kernel_size=(3,), stride=(1,), padding=causal, "
            "dilation=(4,), weight_norm(dim=0))\n"
            "  (downsample): Conv1d(2, 5, kernel_size=(1,), stride=(1,))\n"
            ")");
}

TEST(TemporalBlocks, RefuseBadOptions) {
  const auto expect_refused = [](const TemporalBlock::Options& options, const std::string& why) {
    expect_throws<ValueError>([&] { TemporalBlock block(options); }, {why, "block_test.cpp"});
  };
  expect_refused({.out_channels = 1}, "[TemporalBlock] in_channels: got 0, wanted 1 to");
  expect_refused({.in_channels = 1}, "[TemporalBlock] out_channels: got 0, wanted 1 to");
  expect_refused({.in_channels = 1, .out_channels = 1, .hidden_channels = -1},
                 "[TemporalBlock] hidden_channels: got -1, wanted 1 to");
  expect_refused({.in_channels = 1, .out_channels = 1, .kernel_size = 0},
                 "[Conv1d] kernel_size: got 0, wanted 1 or more");
  expect_refused({.in_channels = 1, .out_channels = 1, .dropout = 1.5},
                 "[TemporalBlock] dropout: got 1.5, wanted 0 to 1");
  expect_refused({.in_channels = 1, .out_channels = 1, .output_activation = BlockActivation::Gated},
                 "[TemporalBlock] output_activation: got gated");
  expect_refused({.in_channels = 1,
                  .out_channels = 1,
                  .hidden_channels = int64_t{1} << 62,
                  .activation = BlockActivation::Gated},
                 "[TemporalBlock] hidden_channels: got 4611686018427387904");
  expect_refused({.in_channels = 1, .out_channels = 1, .residual_std = -1},
                 "[TemporalBlock] residual_std: got -1, wanted 0 or more");
  expect_refused({.in_channels = 1, .out_channels = 1, .condition_channels = -1},
                 "[TemporalBlock] condition_channels: got -1, wanted 0 (none) to");
  expect_refused({.in_channels = 1, .out_channels = 1, .skip_channels = -2},
                 "[TemporalBlock] skip_channels: got -2, wanted 0 (none) to");
  for (const char* name : {"", "conv1", "a.b", "norm2", "skip", "condition"}) {
    expect_refused({.in_channels = 1, .out_channels = 2, .residual_name = name},
                   "[TemporalBlock] residual_name: got \"" + std::string(name) + "\"");
  }
  expect_throws<ValueError>([] { block_activation("swish"); },
                            {"got \"swish\", wanted one of none, relu, tanh, leaky_relu, gelu, "
                             "gated"});
  expect_throws<ValueError>([] { block_norm("group"); },
                            {"[norm] got \"group\", wanted one of none, batch, layer"});
  expect_throws<ValueError>(
      [] {
        activated(Tensor::zeros({1, 3, 2}), BlockActivation::Gated);
      },
      {"[gated] channels: got 3 in shape (1, 3, 2), wanted an even number"});
}

// A copy trains on its own.
// What follows a convolution along lines is part of its pass, where it is handed on and not held.
TEST(TemporalBlocks, AreConvolutionsAlone) {
  for (const int64_t in_channels : {4, 3}) {  // without and with a 1x1 convolution
    TemporalBlock block(TemporalBlock::bai(in_channels, 4, 3, 2));
    Tensor x = randn({2, in_channels, 40});
    Tape tape;
    tape.watch(x);
    profile::start();
    tape.backward(sum(block(x)));
    for (const profile::Total& total : profile::summarize(profile::stop())) {
      for (const char* alone : {"relu", "dropout", "add"}) {
        EXPECT_NE(total.name.rfind(alone, 0), 0U) << total.name << " of " << in_channels;
      }
    }
  }
}

TEST(TemporalBlocks, AreCopied) {
  TemporalBlock block(TemporalBlock::bai(2, 3, 2, 1));
  TemporalBlock copy = block;
  block.eval();
  copy.eval();
  const Tensor x = Tensor::ones({1, 2, 5});
  EXPECT_EQ(copy(x).to_vector<float>(), block(x).to_vector<float>());
  copy.residual->weight.assign(Tensor::ones({3, 2, 1}));
  EXPECT_NE(copy(x).to_vector<float>(), block(x).to_vector<float>());
}

}  // namespace
}  // namespace warptape
