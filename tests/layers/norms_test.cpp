// BatchNorm1d, BatchNorm2d, LayerNorm and GroupNorm as layers.

#include <gtest/gtest.h>

#include "core/device/gpu.h"
#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "layers/batch_norm.h"
#include "layers/conv1d.h"
#include "layers/group_norm.h"
#include "layers/layer_norm.h"
#include "layers/precision.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/state_dict.h"
#include "layers/weight_norm.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

std::vector<std::string> keys_of(const StateDict& state) {
  std::vector<std::string> keys;
  for (const auto& [key, tensor] : state) {
    keys.push_back(key);
  }
  return keys;
}

using Keys = std::vector<std::string>;

TEST(NormLayers, PrintAsPyTorchDoes) {
  EXPECT_EQ(to_string(BatchNorm1d(5)),
            "BatchNorm1d(5, eps=1e-05, momentum=0.1, affine=True, bias=True, "
            "track_running_stats=True)");
  EXPECT_EQ(to_string(BatchNorm2d({.num_features = 3,
                                   .eps = 0.001,
                                   .momentum = std::nullopt,
                                   .affine = false,
                                   .track_running_stats = false})),
            "BatchNorm2d(3, eps=0.001, momentum=None, affine=False, bias=False, "
            "track_running_stats=False)");
  EXPECT_EQ(to_string(LayerNorm(5)),
            "LayerNorm((5,), eps=1e-05, elementwise_affine=True, bias=True)");
  EXPECT_EQ(to_string(LayerNorm({.normalized_shape = {3, 4}, .bias = false})),
            "LayerNorm((3, 4), eps=1e-05, elementwise_affine=True, bias=False)");
  EXPECT_EQ(to_string(GroupNorm(2, 6)), "GroupNorm(2, 6, eps=1e-05, affine=True, bias=True)");
}

TEST(NormLayers, HavePyTorchsKeys) {
  BatchNorm1d batch(3);
  EXPECT_EQ(keys_of(state_dict(batch)),
            (Keys{"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}));
  EXPECT_EQ(batch.num_batches_tracked.value().dtype(), int64);
  EXPECT_EQ(batch.num_batches_tracked.value().shape(), Shape{});
  BatchNorm2d plain({.num_features = 3, .affine = false, .track_running_stats = false});
  EXPECT_EQ(keys_of(state_dict(plain)), Keys{});
  LayerNorm layer({.normalized_shape = {2, 3}, .bias = false});
  EXPECT_EQ(keys_of(state_dict(layer)), Keys{"weight"});
  EXPECT_EQ(layer.weight.shape(), (Shape{2, 3}));
  GroupNorm group(2, 6);
  EXPECT_EQ(keys_of(state_dict(group)), (Keys{"weight", "bias"}));
}

// A fresh layer scales by one and shifts by nothing.
TEST(NormLayers, BeginWithOnesAndZeros) {
  const Tensor x = randn({4, 6});
  BatchNorm1d batch(6);
  EXPECT_EQ(batch(x).to_vector<float>(),
            batch_norm(x, {}, Tensor(), Tensor(), {.training = true}).to_vector<float>());
  LayerNorm layer(6);
  EXPECT_EQ(layer(x).to_vector<float>(), layer_norm(x, {6}).to_vector<float>());
  GroupNorm group(3, 6);
  EXPECT_EQ(group(x).to_vector<float>(), group_norm(x, 3).to_vector<float>());
}

TEST(NormLayers, BatchNormTrainsOnTheBatchAndEvaluatesByWhatItHasSeen) {
  for (const Device device : available_devices()) {
    BatchNorm1d norm({.num_features = 2, .momentum = 0.5});
    norm.to(device);
    const Tensor x = tensor<float>({0, 10, 2, 30}, {2, 2}).to(device);
    norm(x);
    EXPECT_EQ(norm.num_batches_tracked.value().item(), 1);
    EXPECT_EQ(norm.running_mean.value().to_vector<float>(), (std::vector<float>{0.5, 10}));
    EXPECT_EQ(norm.running_var.value().to_vector<float>(), (std::vector<float>{1.5, 100.5}));
    norm.eval();
    const std::vector<float> y = norm(x).to_vector<float>();
    EXPECT_FLOAT_EQ(y[0], -0.5f / std::sqrt(1.5f + 1e-5f));
    EXPECT_FLOAT_EQ(y[3], 20 / std::sqrt(100.5f + 1e-5f));
    EXPECT_EQ(norm.num_batches_tracked.value().item(), 1);
    EXPECT_EQ(norm.running_mean.value().to_vector<float>(), (std::vector<float>{0.5, 10}));
  }
}

TEST(NormLayers, WithoutRunningStatisticsTheBatchServesInEvaluationToo) {
  BatchNorm1d norm({.num_features = 3, .track_running_stats = false});
  const Tensor x = randn({5, 3});
  const std::vector<float> training = norm(x).to_vector<float>();
  norm.eval();
  EXPECT_EQ(norm(x).to_vector<float>(), training);
}

TEST(NormLayers, StateDictsAndCopiesCarryTheStatistics) {
  for (const Device device : available_devices()) {
    BatchNorm1d norm(3);
    norm.to(device);
    for (int step = 0; step < 3; ++step) {
      norm(randn({4, 3}).to(device));
    }
    BatchNorm1d loaded(3);
    loaded.to(device);
    load_state_dict(loaded, state_dict(norm));
    BatchNorm1d copy = norm;
    norm.eval();
    const Tensor x = randn({4, 3}).to(device);
    const std::vector<float> wanted = norm(x).to_vector<float>();
    for (BatchNorm1d* other : {&loaded, &copy}) {
      EXPECT_EQ(other->num_batches_tracked.value().item(), 3);
      other->eval();
      EXPECT_EQ((*other)(x).to_vector<float>(), wanted);
    }
    copy.train();
    copy(x);  // has statistics of its own
    EXPECT_EQ(norm.num_batches_tracked.value().item(), 3);
    EXPECT_EQ(norm(x).to_vector<float>(), wanted);
  }
}

TEST(NormLayers, AreWeightNormalisedAsOtherLayersAre) {
  LayerNorm layer(4);
  layer.weight.assign(tensor<float>({1, -2, 3, 4}, {4}));
  const Tensor x = randn({3, 4});
  const std::vector<float> before = layer(x).to_vector<float>();
  weight_norm(layer);
  EXPECT_EQ(keys_of(state_dict(layer)), (Keys{"weight_g", "weight_v", "bias"}));
  const std::vector<float> after = layer(x).to_vector<float>();
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_NEAR(after[i], before[i], 1e-6);
  }
}

// Of a bfloat16 x the layer reads its float32 parameters as they are; of a float32 x the output is
// float32.
TEST(NormLayers, MixedPrecisionLeavesTheirParametersAlone) {
  for (const bool normalised : {false, true}) {
    Sequential model(Conv1d({.in_channels = 2, .out_channels = 4, .kernel_size = 1}),
                     BatchNorm1d(4), ReLU());
    auto& norm = dynamic_cast<BatchNorm1d&>(model[1]);
    norm.weight.assign(tensor<float>({1.001f, 2.003f, -1.007f, 0.3f}, {4}));
    if (normalised) {
      weight_norm(norm);
    }
    set_precision(model, bfloat16);
    EXPECT_EQ(norm.weight.operand(Site::here()).dtype(), float32);
    const Tensor x = randn({3, 2, 5});
    Tape tape;
    const Tensor y = model(x);
    EXPECT_EQ(y.dtype(), bfloat16);
    tape.backward(y, Tensor::ones(y.shape(), bfloat16));
    EXPECT_EQ(norm.bias.grad().dtype(), float32);
    EXPECT_EQ(norm.running_mean.value().dtype(), float32);
    EXPECT_EQ(norm(randn({3, 4})).dtype(), float32);
  }
}

TEST(NormLayers, ErrorsNameTheLayerAndTheOption) {
  expect_throws<ValueError>([] { BatchNorm1d(0); }, {"[BatchNorm1d] num_features", "got 0"});
  expect_throws<ValueError>([] { BatchNorm2d({.num_features = 2, .eps = -1}); },
                            {"[BatchNorm2d] eps", "-1"});
  expect_throws<ValueError>([] { BatchNorm2d({.num_features = 2, .momentum = 2}); },
                            {"[BatchNorm2d] momentum", "got 2"});
  expect_throws<ValueError>([] { LayerNorm(Shape{}); }, {"[LayerNorm] normalized_shape", "()"});
  expect_throws<ValueError>([] { LayerNorm(Shape{3, 0}); }, {"[LayerNorm]", "(3, 0)"});
  expect_throws<ValueError>([] { GroupNorm(4, 6); }, {"[GroupNorm] num_groups", "got 4", "6"});
  expect_throws<ValueError>([] { GroupNorm(1, 0); }, {"[GroupNorm] num_channels", "got 0"});
  expect_throws<ShapeError>(
      [] {
        BatchNorm1d(3)(Tensor::zeros({2, 3, 4, 4}));
      },
      {"[BatchNorm1d] x", "(2, 3, 4, 4)", "(N, C) or (N, C, L)"});
  expect_throws<ShapeError>(
      [] {
        BatchNorm2d(3)(Tensor::zeros({2, 3, 4}));
      },
      {"[BatchNorm2d] x", "(2, 3, 4)", "(N, C, H, W)"});
  expect_throws<ShapeError>(
      [] {
        GroupNorm(3, 6)(Tensor::zeros({2, 3, 4}));
      },
      {"[GroupNorm] x", "(2, 3, 4)", "(N, 6, ...)"});
  expect_throws<ShapeError>(
      [] {
        BatchNorm1d(3)(Tensor::zeros({2, 4}));
      },
      {"[batch_norm]", "(3,)", "(4,)"});
}

}  // namespace
}  // namespace warptape
