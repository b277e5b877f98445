// Mean-only batch normalisation against PyTorch's composition of it.

#include "layers/mean_only_batch_norm.h"

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

std::vector<double> numbers(const Json& json) {
  return json["data"].get<std::vector<double>>();
}

MeanOnlyBatchNorm make_norm(const Json& golden, Device device) {
  const Json& options = golden["options"];
  const auto mean = options["mean"].get<std::vector<double>>();
  const auto channels = static_cast<int64_t>(mean.size());
  MeanOnlyBatchNorm norm({.num_features = channels,
                          .momentum = options["momentum"].is_null()
                                          ? std::nullopt
                                          : std::optional(options["momentum"].get<double>()),
                          .bias = golden["inputs"].size() == 2,
                          .dtype = float64});
  norm.running_mean.assign(tensor(mean, {channels}));
  norm.num_batches_tracked.assign(Tensor::full({}, options["batches"].get<double>(), int64));
  if (norm.bias.defined()) {
    norm.bias.assign(golden_tensor(golden["inputs"][1]));
  }
  norm.to(device);
  norm.train(options["training"].get<bool>());
  return norm;
}

TEST(MeanOnlyBatchNorm, MatchesPyTorch) {
  const Json golden = load_golden("mean_only_norm.json");
  ASSERT_EQ(golden["cases"].size(), 7U);
  for (const Json& each : golden["cases"]) {
    for (const Device device : available_devices()) {
      const std::string name = each["name"].get<std::string>() + " on " + to_string(device);
      MeanOnlyBatchNorm norm = make_norm(each, device);
      Tape tape;
      Tensor x = golden_tensor(each["inputs"][0]).to(device);
      tape.watch(x);
      const Tensor y = norm(x);
      tape.backward(y, golden_tensor(each["grad_output"]).to(device));
      expect_near(y.to_vector<double>(), numbers(each["output"]), 1e-14, name);
      expect_near(tape.gradient(x).to_vector<double>(), numbers(each["grads"][0]), 1e-14, name);
      if (norm.bias.defined()) {
        expect_near(norm.bias.grad().to_vector<double>(), numbers(each["grads"][1]), 1e-14, name);
      }
      expect_near(norm.running_mean.value().to_vector<double>(),
                  each["options"]["mean_after"].get<std::vector<double>>(), 1e-14, name);
      EXPECT_EQ(norm.num_batches_tracked.value().item(), each["options"]["batches_after"]) << name;
    }
  }
}

TEST(MeanOnlyBatchNorm, KeepsItsMeanWhereItLies) {
  for (const Device device : available_devices()) {
    MeanOnlyBatchNorm norm(3);
    norm.to(device);
    const void* const mean = norm.running_mean.value().raw_data();
    const void* const batches = norm.num_batches_tracked.value().raw_data();
    norm(randn({4, 3}).to(device));
    EXPECT_EQ(norm.running_mean.value().raw_data(), mean);
    EXPECT_EQ(norm.num_batches_tracked.value().raw_data(), batches);
    const std::vector<float> before = norm.running_mean.value().to_vector<float>();
    EXPECT_EQ(norm(Tensor::zeros({0, 3}, float32, device)).shape(), (Shape{0, 3}));
    EXPECT_EQ(norm.running_mean.value().to_vector<float>(), before) << "an empty batch";
    EXPECT_EQ(norm.num_batches_tracked.value().item(), 1);
  }
}

// A mean that bfloat16 rounds by more than what is left of x.
TEST(MeanOnlyBatchNorm, TakesTheMeanOfBfloat16InFloat32) {
  for (const Device device : available_devices()) {
    MeanOnlyBatchNorm norm(1);
    norm.to(device);
    const Tensor x = tensor<float>({256, 258, 260, 258, 256, 256}, {6, 1}).to(bfloat16).to(device);
    const Tensor y = norm(x);
    EXPECT_EQ(y.dtype(), bfloat16);
    const std::vector<float> got = y.to(float32).to_vector<float>();
    const float mean = 1544.0F / 6;
    EXPECT_NEAR(got[0], 256 - mean, 0.01);
    EXPECT_NEAR(got[2], 260 - mean, 0.01);
    EXPECT_NEAR(norm.running_mean.value().item(), 0.1 * mean, 1e-5);
    EXPECT_EQ(norm(x.to(float32)).dtype(), float32);
  }
}

TEST(MeanOnlyBatchNorm, PrintsAndHasKeys) {
  MeanOnlyBatchNorm norm(4);
  EXPECT_EQ(to_string(norm), "MeanOnlyBatchNorm(4, momentum=0.1, bias=True)");
  EXPECT_EQ(to_string(MeanOnlyBatchNorm({.num_features = 2, .momentum = {}, .bias = false})),
            "MeanOnlyBatchNorm(2, momentum=None, bias=False)");
  const StateDict state = state_dict(norm);
  ASSERT_EQ(state.size(), 3U);
  EXPECT_EQ(state[0].first, "bias");
  EXPECT_EQ(state[1].first, "running_mean");
  EXPECT_EQ(state[2].first, "num_batches_tracked");
}

TEST(MeanOnlyBatchNorm, RefusesWhatDoesNotFit) {
  expect_throws<ValueError>([] { MeanOnlyBatchNorm norm(0); },
                            {"[MeanOnlyBatchNorm] num_features: got 0, wanted 1 or more"});
  expect_throws<ValueError>([] { MeanOnlyBatchNorm norm({.num_features = 2, .momentum = 1.5}); },
                            {"momentum: got 1.5, wanted 0 to 1, or none"});
  MeanOnlyBatchNorm norm(3);
  expect_throws<ShapeError>([&] { norm(randn({2, 4})); }, {"x: got shape (2, 4), wanted (N, 3)"});
  expect_throws<ShapeError>([&] { norm(randn({3})); }, {"x: got shape (3,)"});
  expect_throws<DTypeError>(
      [&] {
        norm(randn({2, 3}, float64));
      },
      {"x: got float64, wanted float32"});
  expect_throws<ValueError>([&] { norm(randn({1, 3})); }, {"more than one value per channel"});
  norm.eval();
  EXPECT_NO_THROW(norm(randn({1, 3})));
}

}  // namespace
}  // namespace warptape
