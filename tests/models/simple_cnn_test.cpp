#include "models/simple_cnn.h"

#include <gtest/gtest.h>

#include "core/random.h"
#include "core/tape.h"
#include "tests/core/expect_throws.h"
#include "tests/layers/near.h"
#include "tests/models/plain_models.h"

namespace warptape {
namespace {

std::string keys_and_shapes(SimpleCNN& model) {
  std::string text;
  for (const auto& [key, tensor] : state_dict(model)) {
    text += key + " " + tensor.shape().to_string() + "\n";
  }
  return text;
}

Tensor weight_of(Module& conv) {
  const std::vector<NamedParameter> named = named_parameters(conv);
  return composed_weight(*named[1].parameter, *named[0].parameter);
}

// What the header says, op by op.
Tensor unfused(SimpleCNN& model, const Tensor& x) {
  Tensor y = conv2d(x, weight_of(model.conv1), model.conv1.bias, {.padding = 1});
  y = max_pool2d(relu(y), {.kernel_size = 2});
  y = conv2d(y, weight_of(model.conv2), model.conv2.bias, {.padding = 1});
  y = max_pool2d(relu(y), {.kernel_size = 2});
  y = reshape(y, {x.size(0), -1});
  y = relu(linear(y, *named_parameters(model.fc1)[0].parameter, model.fc1.bias));
  return linear(y, *named_parameters(model.fc2)[0].parameter, model.fc2.bias);
}

TEST(SimpleCNNs, HaveTheKeysAndShapesOfTheHeader) {
  SimpleCNN model(3, 10);
  EXPECT_EQ(keys_and_shapes(model),
            "conv1.weight_g (64, 1, 1, 1)\n"
            "conv1.weight_v (64, 3, 3, 3)\n"
            "conv1.bias (64,)\n"
            "conv2.weight_g (128, 1, 1, 1)\n"
            "conv2.weight_v (128, 64, 3, 3)\n"
            "conv2.bias (128,)\n"
            "fc1.weight (256, 8192)\n"
            "fc1.bias (256,)\n"
            "fc2.weight (10, 256)\n"
            "fc2.bias (10,)\n");
}

TEST(SimpleCNNs, WithoutWeightNormHavePlainWeights) {
  SimpleCNN model({.input_channels = 1, .num_classes = 7, .image_size = 28, .weight_norm = false});
  EXPECT_EQ(keys_and_shapes(model),
            "conv1.weight (64, 1, 3, 3)\n"
            "conv1.bias (64,)\n"
            "conv2.weight (128, 64, 3, 3)\n"
            "conv2.bias (128,)\n"
            "fc1.weight (256, 6272)\n"
            "fc1.bias (256,)\n"
            "fc2.weight (7, 256)\n"
            "fc2.bias (7,)\n");
}

TEST(SimpleCNNs, ArePrintedAsPyTorchDoes) {
  SimpleCNN model(3, 10);
  EXPECT_EQ(to_string(model),
            "SimpleCNN(\n"
            "  (conv1): Conv2d(3, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), "
            "weight_norm(dim=0))\n"
            "  (conv2): Conv2d(64, 128, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), "
            "weight_norm(dim=0))\n"
            "  (fc1): Linear(in_features=8192, out_features=256, bias=True)\n"
            "  (fc2): Linear(in_features=256, out_features=10, bias=True)\n"
            "  (pool): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)\n"
            "  (activation): ReLU()\n"
            ")");
}

TEST(SimpleCNNs, ReturnLogitsForImagesOfTheirSize) {
  for (int64_t size : {4, 7, 9}) {
    SimpleCNN model({.input_channels = 1, .num_classes = 5, .image_size = size});
    EXPECT_EQ(model(Tensor::ones({3, 1, size, size})).shape(), Shape({3, 5})) << size;
  }
}

TEST(SimpleCNNs, TheSameSeedGivesTheSameModel) {
  const SimpleCNN::Options options{.image_size = 4};
  manual_seed(3);
  SimpleCNN first(options);
  manual_seed(3);
  SimpleCNN second(options);
  SimpleCNN third(options);
  const Tensor x = randn({1, 3, 4, 4});
  EXPECT_EQ(first(x).to_vector<float>(), second(x).to_vector<float>());
  EXPECT_NE(first(x).to_vector<float>(), third(x).to_vector<float>());
}

TEST(SimpleCNNs, OptionsOutsideTheirRangeNameTheCallersLine) {
  const int line = __LINE__ + 1;
  const auto no_channels = [] { SimpleCNN(0, 10); };
  expect_throws<ValueError>(no_channels, {"[SimpleCNN] input_channels: got 0",
                                          "simple_cnn_test.cpp:" + std::to_string(line)});
  expect_throws<ValueError>([] { SimpleCNN(3, 0); },
                            {"[SimpleCNN] num_classes: got 0", "simple_cnn_test.cpp"});
  expect_throws<ValueError>([] { SimpleCNN(SimpleCNN::Options{.image_size = 3}); },
                            {"[SimpleCNN] image_size: got 3", "4", "simple_cnn_test.cpp"});
  expect_throws<ValueError>([] { SimpleCNN(SimpleCNN::Options{.image_size = 1 << 20}); },
                            {"[SimpleCNN] image_size", "simple_cnn_test.cpp"});
}

TEST(SimpleCNNs, ImagesOfOtherSizesNameTheCallersLine) {
  SimpleCNN model({.image_size = 8});
  const Tensor oblong = Tensor::ones({1, 3, 8, 9});
  const int line = __LINE__ + 1;
  const auto run = [&] { model(oblong); };
  expect_throws<ShapeError>(run, {"[SimpleCNN]", "(1, 3, 8, 9)", "(N, 3, 8, 8)",
                                  "simple_cnn_test.cpp:" + std::to_string(line)});
  expect_throws<ShapeError>(
      [&] {
        model(Tensor::ones({3, 8, 8}));
      },
      {"[SimpleCNN]", "(3, 8, 8)", "simple_cnn_test.cpp"});
  expect_throws<ShapeError>(
      [&] {
        model(Tensor::ones({1, 1, 8, 8}));
      },
      {"(1, 1, 8, 8)", "simple_cnn_test.cpp"});
}

TEST(SimpleCNNs, OptionsFollowFromAStateDict) {
  const std::vector<SimpleCNN::Options> all{
      {},
      {.input_channels = 1, .num_classes = 3, .image_size = 28},
      {.num_classes = 1, .image_size = 4, .weight_norm = false},
      {.input_channels = 2, .num_classes = 100, .image_size = 8, .dtype = float64}};
  for (const SimpleCNN::Options& options : all) {
    SimpleCNN model(options);
    const SimpleCNN::Options found = SimpleCNN::options_for(state_dict(model));
    EXPECT_EQ(found.input_channels, options.input_channels);
    EXPECT_EQ(found.num_classes, options.num_classes);
    EXPECT_EQ(found.image_size, options.image_size);
    EXPECT_EQ(found.weight_norm, options.weight_norm);
    EXPECT_EQ(found.dtype, options.dtype);
    SimpleCNN loaded(found);
    EXPECT_NO_THROW(load_state_dict(loaded, state_dict(model)));
  }
}

TEST(SimpleCNNs, OptionsGiveTheSmallestImageSizeOfTheShapes) {
  SimpleCNN model({.image_size = 11});
  EXPECT_EQ(SimpleCNN::options_for(state_dict(model)).image_size, 8);
}

TEST(SimpleCNNs, OptionsUnderstandTheNewerNamesOfWeightNorm) {
  SimpleCNN model({.input_channels = 2, .num_classes = 4, .image_size = 8, .dtype = float64});
  StateDict state = state_dict(model);
  state[0].first = "conv1.parametrizations.weight.original0";
  state[1].first = "conv1.parametrizations.weight.original1";
  const SimpleCNN::Options found = SimpleCNN::options_for(state);
  EXPECT_EQ(found.input_channels, 2);
  EXPECT_EQ(found.dtype, float64);
  EXPECT_TRUE(found.weight_norm);
}

TEST(SimpleCNNs, OptionsSeeThroughPyTorchsWrappers) {
  SimpleCNN model({.input_channels = 2, .num_classes = 4, .image_size = 8, .weight_norm = false});
  StateDict state = state_dict(model);
  for (auto& [key, tensor] : state) {
    key = "module._orig_mod." + key;
  }
  const SimpleCNN::Told told = SimpleCNN::told_by(state);
  EXPECT_EQ(told.input_channels, 2);
  EXPECT_EQ(told.num_classes, 4);
  EXPECT_EQ(told.image_size, 8);
  EXPECT_EQ(told.dtype, float32);
  EXPECT_FALSE(told.weight_norm);
}

TEST(SimpleCNNs, NothingIsToldThatIsNotInTheStateDict) {
  const StateDict foreign{{"fc1.weight", Tensor::zeros({2, 100})},
                          {"fc2.weight", Tensor::zeros({})},
                          {"conv1.weight_v", Tensor::zeros({3})}};
  for (const StateDict& state : {StateDict{}, foreign}) {
    const SimpleCNN::Told told = SimpleCNN::told_by(state);
    EXPECT_FALSE(told.input_channels || told.num_classes || told.image_size || told.dtype);
  }
}

TEST(SimpleCNNs, OptionsOfAForeignStateDictKeepTheirDefaults) {
  const SimpleCNN::Options defaults;
  const StateDict foreign{{"fc1.weight", Tensor::zeros({2, 100})},
                          {"fc2.weight", Tensor::zeros({})},
                          {"conv1.weight_v", Tensor::zeros({3})}};
  for (const StateDict& state : {StateDict{}, foreign}) {
    const SimpleCNN::Options found = SimpleCNN::options_for(state);
    EXPECT_EQ(found.input_channels, defaults.input_channels);
    EXPECT_EQ(found.num_classes, defaults.num_classes);
    EXPECT_EQ(found.image_size, defaults.image_size);
    EXPECT_EQ(found.dtype, defaults.dtype);
  }
}

TEST(SimpleCNNs, FusedForwardAndBackwardEqualTheCompositionOfPublicOps) {
  manual_seed(2);
  SimpleCNN model({.num_classes = 4, .image_size = 9, .dtype = float64});
  const Tensor labels = tensor<int64_t>({1, 3}, {2});
  Tensor x = randn({2, 3, 9, 9}, float64);
  Tape fused;
  fused.watch(x);
  const Tensor logits = model(x);
  fused.backward(cross_entropy(logits, labels));
  const Tensor dx = fused.gradient(x);
  std::vector<Tensor> gradients;
  for (const NamedParameter& named : named_parameters(model)) {
    ASSERT_TRUE(named.parameter->grad().defined()) << named.name;
    gradients.push_back(named.parameter->grad().clone());
    named.parameter->zero_grad();
  }

  Tape plain;
  plain.watch(x);
  const Tensor wanted = unfused(model, x);
  expect_near(logits, wanted);
  plain.backward(cross_entropy(wanted, labels));
  expect_near(dx, plain.gradient(x));
  for (size_t i = 0; i < gradients.size(); ++i) {
    const NamedParameter named = named_parameters(model)[i];
    SCOPED_TRACE(named.name);
    expect_near(gradients[i], named.parameter->grad());
  }
}

TEST(SimpleCNNs, CopiesAreIndependent) {
  SimpleCNN model({.image_size = 4});
  SimpleCNN copy = model;
  const Tensor x = randn({1, 3, 4, 4});
  const std::vector<float> before = copy(x).to_vector<float>();
  EXPECT_EQ(model(x).to_vector<float>(), before);
  for (const NamedParameter& named : named_parameters(model)) {
    named.parameter->assign(Tensor::ones(named.parameter->value().shape()));
  }
  EXPECT_NE(model(x).to_vector<float>(), before);
  EXPECT_EQ(copy(x).to_vector<float>(), before);
}

TEST(SimpleCNNs, AreThePlainModelsBits) {
  manual_seed(3);
  expect_the_same_bits(cpu, 2);
}

}  // namespace
}  // namespace warptape
