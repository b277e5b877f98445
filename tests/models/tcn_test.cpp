#include "models/tcn.h"

#include <gtest/gtest.h>

#include <functional>
#include <sstream>

#include "core/random.h"
#include "core/simt/build.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/precision.h"
#include "tests/core/expect_throws.h"
#include "tests/golden.h"
#include "tests/kernels/case_run.h"
#include "tests/kernels/devices.h"
#include "training/image_data.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

using Json = nlohmann::json;

StateDict state_of(const Json& golden) {
  StateDict state;
  for (const auto& [key, value] : golden.items()) {
    state.emplace_back(key, golden_tensor(value));
  }
  return state;
}

// What shapes do not tell.
TCN::Options options_of(const Json& golden, const StateDict& initial) {
  const auto head = golden.value("every_step", false) ? TCN::Head::EveryStep : TCN::Head::LastStep;
  TCN::Options options = tcn_options_for(initial, head);
  options.net.block.dropout = 0;
  const Json o = golden.value("options", Json::object());
  options.net.dilations = o.value("dilations", std::vector<int64_t>());
  options.net.block.activation = block_activation(o.value("activation", "relu"));
  options.net.block.output_activation = block_activation(o.value("output_activation", "relu"));
  options.net.last_is_linear = o.value("last_is_linear", false);
  return options;
}

// Adam steps on the batches that `loss_of` makes losses of.
void check_training(const Json& golden, double lr, Device device, DType dtype,
                    const std::vector<double>& losses,
                    const std::function<Tensor(TCN& model, size_t step)>& loss_of) {
  // Of float64 as of another implementation; of float32 as far as its rounding lets.
  const double tolerance = dtype == float64 ? 1e-9 : 2e-4;
  StateDict initial = state_of(golden.at("state"));
  for (auto& [key, tensor] : initial) {
    tensor = tensor.dtype() == float64 ? tensor.to(dtype) : tensor;
  }
  const TCN::Options options = options_of(golden, initial);
  EXPECT_EQ(options.net.block.dtype, dtype);
  TCN model(options);
  load_state_dict(model, initial);
  model.to(device);
  Adam optimizer(parameters(model), {.lr = lr});
  for (size_t step = 0; step < losses.size(); ++step) {
    optimizer.zero_grad();
    Tape tape;
    const Tensor loss = loss_of(model, step);
    EXPECT_NEAR(loss.to(float64).item(), losses[step], tolerance);
    tape.backward(loss);
    optimizer.step();
  }
  // A batch norm takes away what a bias in front of it adds: its gradient is nothing but rounding,
  // of which Adam makes steps.
  const auto is_rounding = [&](const std::string& key) {
    const bool is_in_front = key.find(".conv") != std::string::npos && key.ends_with(".bias");
    return options.net.block.norm == BlockNorm::Batch &&
           (is_in_front || key.ends_with("running_mean"));
  };
  const Json& final = golden.at("final");
  EXPECT_EQ(state_dict(model).size(), final.size());
  for (const auto& [key, tensor] : state_dict(model)) {
    if (is_rounding(key)) {
      continue;
    }
    expect_near(tensor.to(float64).to_vector<double>(),
                golden_tensor(final.at(key)).to(float64).to_vector<double>(), tolerance, key);
  }
}

// Where kernels are emulated a training takes seconds, under a sanitizer on the CPU as well: there
// in float64 alone, which is held to the tighter tolerance. What kernels do with float32 is their
// cases' to see.
bool is_slow(Device device) {
#ifdef WARPTAPE_SIMT
  return device.type == DeviceType::CUDA || is_sanitized();
#else
  return device.type == DeviceType::CPU && is_sanitized();
#endif
}

template <class Check>
void for_each_device_and_dtype(const Check& check) {
  for (Device device : available_devices()) {
    for (DType dtype : {float64, float32}) {
      if (dtype == float32 && is_slow(device)) {
        continue;
      }
      SCOPED_TRACE(to_string(dtype) + std::string(" on ") + to_string(device));
      check(device, dtype);
    }
  }
}

TEST(Tcns, TrainAsPyTorchs) {
  const Json golden = load_golden("tcn.json");
  ASSERT_EQ(golden.at("training").size(), 10u);
  for (const Json& training : golden.at("training")) {
    SCOPED_TRACE(training.at("name").get<std::string>());
    const Json& steps = training.at("steps");
    std::vector<double> losses;
    for (const Json& step : steps) {
      losses.push_back(step.at("loss"));
    }
    for_each_device_and_dtype([&](Device device, DType dtype) {
      check_training(training, 4e-3, device, dtype, losses, [&](TCN& model, size_t i) {
        const auto there = [&](const char* key) {
          return golden_tensor(steps[i].at(key)).to(dtype).to(device);
        };
        const Tensor y = steps[i].contains("condition") ? model(there("x"), there("condition"))
                                                        : model(there("x"));
        return mse_loss(y, there("target"));
      });
    });
  }
}

// Bai's preset on the shipped digits, as sequences of 64 pixels.
TEST(Tcns, TrainOnPixelsAsPyTorchs) {
  if (is_sanitized()) {
    GTEST_SKIP() << "values, of the code that the trainings above run";
  }
  const Json golden = load_golden("tcn.json").at("digits");
  const ImageSet digits = load_image_data(WARPTAPE_SOURCE_DIR "/data/digits").test;
  const int64_t batch = golden.at("batch");
  const auto losses = golden.at("losses").get<std::vector<double>>();
  ASSERT_EQ(losses.size(), 6u);
  for_each_device_and_dtype([&](Device device, DType dtype) {
    check_training(golden, 2e-3, device, dtype, losses, [&](TCN& model, size_t i) {
      const int64_t first = static_cast<int64_t>(i) * batch;
      const Tensor pixels = digits.images.slice(first, first + batch).to(float64) / 255.0;
      const Tensor x = reshape(pixels, {batch, 1, pixels.numel() / batch}).to(dtype);
      return cross_entropy(model(x.to(device)),
                           digits.labels.slice(first, first + batch).to(device));
    });
  });
}

TCN::Options small() {
  TCN::Options options;
  options.net.input_channels = 2;
  options.net.channels = {4, 4};
  options.net.kernel_size = 3;
  options.output_size = 5;
  return options;
}

TEST(Tcns, HaveTheKeysOfLocuslab) {
  TCN model(small());
  std::vector<std::string> keys;
  for (const auto& [key, tensor] : state_dict(model)) {
    keys.push_back(key);
  }
  EXPECT_EQ(keys, (std::vector<std::string>{
                      "tcn.network.0.conv1.weight_g", "tcn.network.0.conv1.weight_v",
                      "tcn.network.0.conv1.bias", "tcn.network.0.conv2.weight_g",
                      "tcn.network.0.conv2.weight_v", "tcn.network.0.conv2.bias",
                      "tcn.network.0.downsample.weight", "tcn.network.0.downsample.bias",
                      "tcn.network.1.conv1.weight_g", "tcn.network.1.conv1.weight_v",
                      "tcn.network.1.conv1.bias", "tcn.network.1.conv2.weight_g",
                      "tcn.network.1.conv2.weight_v", "tcn.network.1.conv2.bias", "linear.weight",
                      "linear.bias"}));
}

// The paper's models, by their numbers of parameters.
TEST(Tcns, HaveAsManyParametersAsThePapers) {
  const auto count = [](int64_t inputs, int64_t outputs, int64_t width, int64_t kernel_size) {
    TCN::Options options;
    options.net.input_channels = inputs;
    options.net.channels = std::vector<int64_t>(8, width);
    options.net.kernel_size = kernel_size;
    options.output_size = outputs;
    TCN model(options);
    int64_t total = 0;
    for (const NamedParameter& named : named_parameters(model)) {
      total += named.parameter->value().numel();
    }
    return total;
  };
  EXPECT_EQ(count(2, 1, 24, 8), 70369);   // adding, T = 600
  EXPECT_EQ(count(1, 10, 10, 8), 12530);  // copy memory
  EXPECT_EQ(count(1, 10, 25, 7), 66910);  // sequential MNIST
}

// As locuslab's modules save them: each convolution a second time, under its place in a Sequential.
TEST(Tcns, LoadLocuslabsDuplicateKeys) {
  TCN model(small());
  StateDict state = state_dict(model);
  const StateDict own = state;
  for (const auto& [key, tensor] : own) {
    const size_t conv = key.find(".conv");
    if (conv != std::string::npos) {
      const std::string place = key[conv + 5] == '1' ? ".net.0" : ".net.4";
      state.emplace_back(key.substr(0, conv) + place + key.substr(conv + 6), tensor);
    }
  }
  EXPECT_EQ(state.size(), own.size() + 12);
  EXPECT_EQ(without_duplicates(state).size(), own.size());
  const TCN::Options found = tcn_options_for(state);
  EXPECT_EQ(found.net.channels, small().net.channels);
  EXPECT_EQ(found.net.kernel_sizes, (std::vector<int64_t>{3, 3}));
  EXPECT_EQ(found.net.input_channels, 2);
  EXPECT_EQ(found.output_size, 5);
  EXPECT_TRUE(found.net.block.weight_norm);
  TCN loaded(found);
  load_state_dict(loaded, without_duplicates(state));
  model.eval();
  loaded.eval();
  const Tensor x = randn({2, 2, 9});
  EXPECT_EQ(loaded(x).to_vector<float>(), model(x).to_vector<float>());
}

// Blocks that are narrower inside, and gated ones, tell that by their filters.
TEST(Tcns, AreBuiltAsTheirCheckpointSays) {
  const auto expect_loads = [](const TCN::Options& options) {
    TCN model(options);
    TCN::Options found = tcn_options_for(state_dict(model));
    EXPECT_EQ(found.net.channels, options.net.channels);
    EXPECT_EQ(found.net.block.hidden_channels, options.net.block.hidden_channels);
    EXPECT_EQ(found.net.block.activation, options.net.block.activation);
    EXPECT_EQ(found.net.block.norm, options.net.block.norm);
    EXPECT_EQ(found.net.block.skip_channels, options.net.block.skip_channels);
    TCN loaded(found);
    load_state_dict(loaded, state_dict(model));
    model.eval();
    loaded.eval();
    const Tensor x = randn({2, options.net.input_channels, 9});
    EXPECT_EQ(loaded(x).to_vector<float>(), model(x).to_vector<float>());
  };
  expect_loads(small());
  TCN::Options options = small();
  options.net.block.hidden_channels = 3;
  expect_loads(options);
  options = small();
  options.net.block.activation = BlockActivation::Gated;
  expect_loads(options);
  options.net.block.hidden_channels = 7;
  options.net.block.weight_norm = false;
  expect_loads(options);
  options.net.block.norm = BlockNorm::Batch;
  expect_loads(options);
  options.net.block.norm = BlockNorm::Layer;
  options.net.block.skip_channels = 6;
  expect_loads(options);
  // Nothing follows the last block's second convolution: its filters are not doubled.
  for (const std::vector<int64_t>& channels : {std::vector<int64_t>{4, 6}, {4, 4}}) {
    TCN::Options linear = small();
    linear.net.channels = channels;
    linear.net.block.activation = BlockActivation::Gated;
    linear.net.last_is_linear = true;
    expect_loads(linear);
    linear.net.block.residual_name = "conv3";
    linear.net.block.skip_channels = 3;
    expect_loads(linear);
  }
  options.net.block.condition_channels = 9;
  EXPECT_EQ(tcn_options_for(state_dict(TCN(options))).net.block.condition_channels, 9);
}

StateDict without(const StateDict& state, const std::string& part) {
  StateDict kept;
  for (const auto& entry : state) {
    if (entry.first.find(part) == std::string::npos) {
      kept.push_back(entry);
    }
  }
  return kept;
}

TEST(Tcns, SayWhatACheckpointLacks) {
  expect_throws<ValueError>(
      [] {
        tcn_options_for({{"conv1.weight", Tensor::zeros({1, 1, 1})}});
      },
      {"tcn.network.0.conv1.weight", "among 1 tensors"});
  TCN model(small());
  const StateDict state = state_dict(model);
  const auto expect_lack = [&](const std::string& part, const std::string& what) {
    expect_throws<ValueError>([&] { tcn_options_for(without(state, part)); }, {what});
  };
  expect_lack("linear.", "there is no linear.weight");
  expect_lack("network.0.conv1", "there is no tcn.network.0.conv1.weight");
  expect_lack("network.0.", "there is no tcn.network.0.conv1.weight");
  expect_lack("network.1.conv2", "there is no tcn.network.1.conv2.weight");
  StateDict odd = without(without(state, "network.0.conv2"), "network.1.");
  StateDict mixed = state;
  mixed.emplace_back("tcn.network.1.skip.weight", Tensor::zeros({2, 4, 1}));
  expect_throws<ValueError>([&] { tcn_options_for(mixed); },
                            {"tcn.network.1 is built in another way than tcn.network.0"});
  odd.emplace_back("tcn.network.0.conv2.weight", Tensor::zeros({4, 3, 3}));
  expect_throws<ValueError>([&] { tcn_options_for(odd); },
                            {"tcn.network.0 has filters (4, 2, 3) and (4, 3, 3)"});
}

// As Darts' TCNModel: nothing follows the second convolution of the last block.
TEST(Tcns, MayEndWithoutAnActivation) {
  TCN::Options options = small();
  options.net.block = TemporalBlock::darts(1, 1, 1, 1, 1, false);
  options.net.last_is_linear = true;
  TCN model(options);
  const auto block = [&](size_t i) -> const TemporalBlock& {
    return dynamic_cast<const TemporalBlock&>(model.tcn.network[i]);
  };
  EXPECT_TRUE(block(0).options().activate_second);
  EXPECT_FALSE(block(1).options().activate_second);
}

TEST(Tcns, ComputeInBfloat16) {
  TCN::Options options = small();
  options.net.input_channels = 4;
  TCN model(options);
  set_precision(model, bfloat16);
  for (Device device : available_devices()) {
    model.to(device);
    Tape tape;
    const Tensor loss = sum(in_float32(model(Tensor::ones({2, 4, 9}).to(device))));
    tape.backward(loss);
    for (const NamedParameter& named : named_parameters(model)) {
      EXPECT_EQ(named.parameter->grad().dtype(), float32) << named.name;
    }
  }
}

// All weights 1: a pulse anywhere reaches the last output, if the field is the sequence's length,
// and none from before the field.
TEST(Tcns, SeeTheirReceptiveFieldAndNoMore) {
  const int64_t length = 20;
  TCN::Options options;
  options.net.kernel_size = 3;
  options.net.channels =
      std::vector<int64_t>(static_cast<size_t>(least_depth(length, 3)), int64_t{1});
  options.net.block.weight_norm = false;
  const auto seen_by = [&](TCN& model) {
    for (const NamedParameter& named : named_parameters(model)) {
      const bool is_bias = named.name.find("bias") != std::string::npos;
      named.parameter->assign(Tensor::full(named.parameter->value().shape(), is_bias ? 0 : 1));
    }
    model.eval();
    int64_t seen = 0;
    for (int64_t at = 0; at < length; ++at) {
      std::vector<float> pulse(static_cast<size_t>(length), 0.0F);
      pulse[static_cast<size_t>(at)] = 1;
      seen += model(Tensor::from_vector(pulse, {1, 1, length})).item() > 0 ? 1 : 0;
    }
    return seen;
  };
  TCN deep(options);
  EXPECT_GE(deep.receptive_field(), length);
  EXPECT_EQ(seen_by(deep), length);
  options.net.channels.pop_back();
  TCN shallow(options);
  EXPECT_LT(shallow.receptive_field(), length);
  EXPECT_EQ(seen_by(shallow), shallow.receptive_field());
}

TEST(Tcns, TakeDilationsAndKernelsPerBlock) {
  TCN::Options options = small();
  options.net.kernel_sizes = {6, 15};
  options.net.dilations = {1, 7};
  EXPECT_EQ(TCN(options).receptive_field(), 1 + 2 * 5 + 2 * 14 * 7);
  options.net.block.causal = false;
  TCN centred(options);
  EXPECT_EQ(centred.tcn.look_ahead(), 2 * 3 + 14 * 7);
  options.head = TCN::Head::EveryStep;
  EXPECT_EQ(TCN(options)(Tensor::zeros({3, 2, 8})).shape(), Shape({3, 8, 5}));
}

TEST(Tcns, PrintTheirReceptiveField) {
  std::ostringstream text;
  text << TCN(small());
  EXPECT_NE(text.str().find("TCN(\n  (tcn): TemporalConvNet(\n    receptive_field=13\n"),
            std::string::npos)
      << text.str();
  EXPECT_NE(text.str().find("(linear): Linear(in_features=4, out_features=5, bias=True)"),
            std::string::npos);
}

// The sum of all blocks' skips takes the place of the last block's output.
TEST(Tcns, MayGiveTheSumOfTheirSkips) {
  TCN::Options options = small();
  options.net.block.skip_channels = 6;
  options.net.block.dropout = 0;
  options.net.skip_activation = BlockActivation::LeakyReLU;
  options.net.block.negative_slope = 0.3;
  TCN model(options);
  EXPECT_EQ(model.linear.weight.shape(), Shape({5, 6}));
  const Tensor x = randn({3, 2, 8});
  const auto block = [&](size_t i) -> TemporalBlock& {
    return dynamic_cast<TemporalBlock&>(model.tcn.network[i]);
  };
  const auto first = block(0).outputs(x, Tensor());
  const auto second = block(1).outputs(first.y, Tensor());
  const Tensor y = model.tcn(x);
  EXPECT_EQ(y.shape(), Shape({3, 6, 8}));
  EXPECT_EQ(y.to_vector<float>(),
            leaky_relu(add(first.skip, second.skip), {.negative_slope = 0.3}).to_vector<float>());
}

TEST(Tcns, RefuseBadOptions) {
  const auto expect_refused = [](const TCN::Options& options, const std::string& why) {
    expect_throws<ValueError>([&] { TCN model(options); }, {why, "tcn_test.cpp"});
  };
  TCN::Options options = small();
  options.net.channels = {};
  expect_refused(options, "[TCN] channels: got none");
  options = small();
  options.net.dilations = {1, 2, 4};
  expect_refused(options, "[TCN] dilations: got 3, wanted one for each of 2 blocks");
  options = small();
  options.output_size = 0;
  expect_refused(options, "[TCN] output_size: got 0");
  options = small();
  options.net.channels = {4, 0};
  expect_refused(options, "[TemporalBlock] out_channels: got 0");
  options = small();
  options.net.skip_activation = BlockActivation::Gated;
  expect_refused(options, "[TCN] skip_activation: got gated");
  options = small();
  options.net.block.condition_channels = 2;
  TCN conditioned(options);
  expect_throws<ValueError>(
      [&] {
        conditioned(Tensor::zeros({2, 2, 3}));
      },
      {"condition: got none, wanted (N, 2) or (N, 2, L)", "tcn_test.cpp"});
  TCN model(small());
  expect_throws<ValueError>(
      [&] {
        model(Tensor::zeros({2, 2, 3}), Tensor::zeros({2, 2}));
      },
      {"condition: got one, wanted none", "tcn_test.cpp"});
  expect_throws<ShapeError>([&] { model(Tensor::zeros({2, 2})); }, {"[TCN]", "(N, C, L)"});
  expect_throws<ShapeError>([&] { model(Tensor::zeros({2, 3, 4})); }, {"input channels: got 3"});
  expect_throws<ShapeError>([&] { model(Tensor::zeros({2, 2, 0})); }, {"[TCN] length: got 0"});
}

}  // namespace
}  // namespace warptape
