// The registry of image models, and the MLP.

#include "models/image_models.h"

#include <gtest/gtest.h>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/sequential.h"
#include "models/mlp.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

TEST(ImageModels, AreMadeByTheirNames) {
  manual_seed(1);
  for (const ImageModel& entry : image_models()) {
    SCOPED_TRACE(entry.name);
    EXPECT_EQ(find_image_model(entry.name).name, entry.name);
    EXPECT_FALSE(entry.description.empty());
    for (const bool weight_norm : {true, false}) {
      const ImageModelOptions options{.input_channels = 2,
                                      .num_classes = 5,
                                      .image_size = 8,
                                      .weight_norm = weight_norm,
                                      .dtype = float64};
      const std::unique_ptr<Module> model = entry.make(options);
      const Tensor logits = (*model)(randn({3, 2, 8, 8}, float64));
      EXPECT_EQ(logits.shape(), Shape({3, 5}));
      EXPECT_EQ(logits.dtype(), float64);
      const ImageModelTold told = entry.told_by(state_dict(*model));
      EXPECT_EQ(told.num_classes, 5);
      EXPECT_EQ(told.dtype, float64);
      EXPECT_EQ(told.weight_norm, weight_norm);
      EXPECT_EQ(told.input_channels.value_or(2), 2);
      EXPECT_EQ(told.image_size.value_or(8), 8);
      EXPECT_FALSE(entry.told_by({}).num_classes.has_value());
    }
  }
  expect_throws<ValueError>([] { find_image_model("res\x1bnet"); },
                            {"[model] got \"res\\x1bnet\", wanted one of mlp, simple_cnn"});
}

TEST(ImageModels, TakeInThoseOfAProgram) {
  const ImageModel own = {.name = "own of this test",
                          .description = "the MLP once more",
                          .make = mlp_model().make,
                          .told_by = mlp_model().told_by};
  add_image_model(own);
  EXPECT_EQ(find_image_model(own.name).description, own.description);
  EXPECT_EQ(image_model_names().back(), own.name);
  expect_throws<ValueError>([&] { add_image_model(own); }, {"which is taken"});
}

TEST(MLP, IsItsLayers) {
  manual_seed(1);
  MLP model({.input_channels = 2, .num_classes = 3, .image_size = 4});
  const Tensor x = randn({5, 2, 4, 4});
  const Tensor wanted = model.fc2(relu(model.fc1(flatten(x, 1))));
  EXPECT_EQ(model(x).to_vector<float>(), wanted.to_vector<float>());
  std::vector<std::string> keys;
  for (const auto& [key, tensor] : state_dict(model)) {
    keys.push_back(key);
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"fc1.weight_g", "fc1.weight_v", "fc1.bias",
                                            "fc2.weight_g", "fc2.weight_v", "fc2.bias"}));
  Tape tape;
  tape.backward(cross_entropy(model(x), tensor<int64_t>({0, 1, 2, 0, 1}, {5})));
  for (const NamedParameter& parameter : named_parameters(model)) {
    EXPECT_TRUE(parameter.parameter->grad().defined()) << parameter.name;
  }
}

TEST(MLP, RefusesWhatDoesNotFit) {
  MLP model({.input_channels = 2, .num_classes = 3, .image_size = 4});
  expect_throws<ShapeError>(
      [&] {
        model(Tensor::zeros({1, 2, 4, 5}));
      },
      {"[MLP] images: got shape (1, 2, 4, 5), wanted (N, 2, 4, 4)"});
  expect_throws<ShapeError>([&] { model(Tensor::zeros({1, 32})); }, {"(N, C, H, W)"});
  for (const auto& [options, part] : std::vector<std::pair<MLP::Options, std::string>>{
           {{.input_channels = 0}, "input_channels: got 0"},
           {{.num_classes = 0}, "num_classes: got 0"},
           {{.image_size = 5000}, "image_size: got 5000, wanted 1 to 4096"}}) {
    expect_throws<ValueError>([&] { MLP made(options); }, {"[MLP] " + part});
  }
}

}  // namespace
}  // namespace warptape
