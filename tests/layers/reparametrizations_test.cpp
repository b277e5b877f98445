// Weights that are computed from other parameters: spectral_norm and dora against PyTorch's values,
// what they are in checkpoints and copies, and folding.

#include <gtest/gtest.h>

#include "core/check.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/conv1d.h"
#include "layers/conv_transpose1d.h"
#include "layers/dora.h"
#include "layers/fold.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "layers/spectral_norm.h"
#include "layers/state_dict.h"
#include "layers/weight_norm.h"
#include "tests/core/expect_throws.h"
#include "tests/golden.h"
#include "tests/kernels/devices.h"
#include "tests/layers/near.h"

namespace warptape {
namespace {

using Json = nlohmann::json;
using Keys = std::vector<std::string>;

Keys keys_of(const Module& module) {
  Keys keys;
  for (const auto& [key, tensor] : state_dict(module)) {
    keys.push_back(key);
  }
  return keys;
}

// A layer whose weight has this shape, without a bias.
std::unique_ptr<Module> layer_for(const std::string& name, const Shape& weight) {
  if (name.find("conv_transpose1d") == 0) {
    return std::make_unique<ConvTranspose1d>(ConvTranspose1d({.in_channels = weight[0],
                                                              .out_channels = weight[1],
                                                              .kernel_size = weight[2],
                                                              .bias = false,
                                                              .dtype = float64}));
  }
  if (name.find("conv1d") == 0) {
    return std::make_unique<Conv1d>(Conv1d({.in_channels = weight[1],
                                            .out_channels = weight[0],
                                            .kernel_size = weight[2],
                                            .bias = false,
                                            .dtype = float64}));
  }
  return std::make_unique<Linear>(Linear(
      {.in_features = weight[1], .out_features = weight[0], .bias = false, .dtype = float64}));
}

Tensor vector_of(const Json& values) {
  const auto numbers = values.get<std::vector<double>>();
  return tensor(numbers, {static_cast<int64_t>(numbers.size())});
}

// The weight of a layer with these fields, and their gradients, as the case has them.
void check_weight(Module& layer, const Json& entry, Device device) {
  layer.to(device);
  Weight& weight = weight_of(layer, "weight", "test", {});
  Tape tape;
  const Tensor w = weight.value();
  expect_near(w.to(cpu).to(MemoryFormat::RowMajor).to_vector<double>(),
              golden_tensor(entry["output"]).to_vector<double>(), 1e-12, "weight");
  tape.backward(w, golden_tensor(entry["grad_output"]).to(w.memory_format()).to(device));
  const std::vector<NamedParameter> named = named_parameters(layer);
  for (size_t i = 0; i < named.size(); ++i) {
    const Parameter& parameter = *named[i].parameter;
    if (parameter.requires_grad()) {
      expect_near(parameter.grad().to(cpu).to(MemoryFormat::RowMajor).to_vector<double>(),
                  golden_tensor(entry["grads"][i]).to_vector<double>(), 1e-12, named[i].name);
    }
  }
}

TEST(Reparametrizations, HavePyTorchsWeightsAndGradients) {
  const Json golden = load_golden("reparametrizations.json");
  ASSERT_GE(golden["cases"].size(), 12U);
  for (const Json& entry : golden["cases"]) {
    for (const Device device : available_devices()) {
      const auto op = entry["op"].get<std::string>();
      const auto name = entry["name"].get<std::string>();
      SCOPED_TRACE(fmt::format("{} {} on {}", op, name, to_string(device)));
      const Json& options = entry["options"];
      const Tensor original = golden_tensor(entry["inputs"][0]);
      const std::unique_ptr<Module> layer = layer_for(name, original.shape());
      const std::string key = "parametrizations.weight.";
      if (op == "spectral_norm") {
        const bool in_training = name.find("_eval") == std::string::npos;
        spectral_norm(*layer,
                      {.n_power_iterations = options["n_power_iterations"], .eps = options["eps"]});
        load_state_dict(*layer, {{key + "original", original},
                                 {key + "0._u", vector_of(options["u"])},
                                 {key + "0._v", vector_of(options["v"])}});
        layer->train(in_training);
        check_weight(*layer, entry, device);
        const StateDict after = state_dict(*layer);
        expect_near(after[1].second.to(cpu).to_vector<double>(),
                    vector_of(options[in_training ? "u_after" : "u"]).to_vector<double>(), 1e-13,
                    "u");
        expect_near(after[2].second.to(cpu).to_vector<double>(),
                    vector_of(options[in_training ? "v_after" : "v"]).to_vector<double>(), 1e-13,
                    "v");
      } else {
        const int64_t rank = entry["inputs"][2]["shape"][0];
        dora(*layer, {.rank = static_cast<int>(rank),
                      .alpha = options["scale"].get<double>() * static_cast<double>(rank),
                      .detach_norm = options["detach_norm"]});
        load_state_dict(*layer, {{key + "original", original},
                                 {key + "0.magnitude", golden_tensor(entry["inputs"][1])},
                                 {key + "0.lora_A", golden_tensor(entry["inputs"][2])},
                                 {key + "0.lora_B", golden_tensor(entry["inputs"][3])}});
        check_weight(*layer, entry, device);
      }
    }
  }
}

Linear small_linear(int64_t in = 4, int64_t out = 3) {
  return Linear({.in_features = in, .out_features = out, .dtype = float64});
}

TEST(Reparametrizations, SpectralNormHasPyTorchsKeysOldAndNew) {
  Linear layer = small_linear();
  EXPECT_EQ(&spectral_norm(layer), &layer);
  EXPECT_EQ(keys_of(layer),
            (Keys{"parametrizations.weight.original", "parametrizations.weight.0._u",
                  "parametrizations.weight.0._v", "bias"}));
  EXPECT_EQ(to_string(layer),
            "Linear(in_features=4, out_features=3, bias=True, "
            "spectral_norm(n_power_iterations=1, eps=1e-12, dim=0))");
  EXPECT_EQ(named_parameters(layer).size(), 2U) << "its vectors are buffers";
  const Tensor original = randn({3, 4}, float64);
  const Tensor u = tensor<double>({1, 0, 0}, {3});
  const Tensor v = tensor<double>({0, 1, 0, 0}, {4});
  const Tensor bias = Tensor::zeros({3}, float64);
  load_state_dict(layer,
                  {{"weight_orig", original}, {"weight_u", u}, {"weight_v", v}, {"bias", bias}});
  layer.eval();
  expect_near(layer.weight.value(), div(original, original.to_vector<double>()[1]));
  load_state_dict(layer,
                  {{"weight_g", Tensor::ones({3, 1}, float64)},
                   {"weight_v", tensor<double>({2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 4, 0}, {3, 4})},
                   {"bias", bias}});
  EXPECT_EQ(state_dict(layer)[0].second.to_vector<double>(),
            (std::vector<double>{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}))
      << "a weight-normalised one is what it is computed from";
  expect_throws<ValueError>(
      [&] {
        load_state_dict(layer, {{"weight_orig", original}});
      },
      {"missing: weight_u (3,)", "missing: weight_v (4,)", "bias"});
}

TEST(Reparametrizations, SpectralNormImprovesItsVectorsInTrainingAlone) {
  Linear layer = small_linear();
  spectral_norm(layer);
  const Tensor x = randn({2, 4}, float64);
  const auto u = [&] { return state_dict(layer)[1].second.to_vector<double>(); };
  layer.weight.assign(randn({3, 4}, float64));
  const std::vector<double> before = u();
  layer.eval();
  layer(x);
  EXPECT_EQ(u(), before);
  layer.train();
  for (int i = 0; i < 200; ++i) {
    layer(x);
  }
  EXPECT_NE(u(), before);
  // The largest singular value is 1: no vector becomes longer, and v keeps its length.
  const Tensor v = state_dict(layer)[2].second;
  EXPECT_NEAR(sum(mul(matmul(layer.weight.value(), v.view({4, 1})),
                      matmul(layer.weight.value(), v.view({4, 1}))))
                  .item(),
              1, 1e-12);
  Linear in_eval = small_linear();
  in_eval.eval();
  spectral_norm(in_eval);
  const StateDict at_start = state_dict(in_eval);
  const std::vector<double> u_at_start = at_start[1].second.to_vector<double>();
  in_eval(x);
  EXPECT_EQ(state_dict(in_eval)[1].second.to_vector<double>(), u_at_start);
}

TEST(Reparametrizations, SpectralNormOfAVectorIsItsNorm) {
  struct OneVector : Module {
    Weight weight{tensor<double>({3, 0, 4}, {3})};
    void fields(Visitor& visit) override { visit("weight", weight); }
    Tensor forward(const Operand& x) override { return mul(x, weight.value()); }
  } layer;
  spectral_norm(layer);
  EXPECT_EQ(layer.weight.value().to_vector<double>(), (std::vector<double>{0.6, 0, 0.8}));
  EXPECT_EQ(keys_of(layer), Keys{"parametrizations.weight.original"});
}

TEST(Reparametrizations, BadOptionsAreRefused) {
  Linear layer = small_linear();
  expect_throws<ValueError>([&] { spectral_norm(layer, {.n_power_iterations = 0}); },
                            {"n_power_iterations: got 0", "reparametrizations_test.cpp"});
  expect_throws<ValueError>([&] { spectral_norm(layer, {.eps = 0}); }, {"eps: got 0"});
  expect_throws<ShapeError>([&] { spectral_norm(layer, {.dim = 2}); }, {"[spectral_norm]", "2"});
  expect_throws<ValueError>([&] { dora(layer, {.rank = 0}); }, {"[dora] rank: got 0"});
  expect_throws<ValueError>([&] { dora(layer, {.name = "bias"}); }, {"bias", "weight"});
  weight_norm(layer);
  expect_throws<ValueError>([&] { dora(layer); }, {"already: weight_norm(dim=0)"});
  expect_throws<ValueError>([&] { spectral_norm(layer); }, {"already: weight_norm(dim=0)"});
}

TEST(Reparametrizations, DoraStartsAsTheWeightAndTrainsWithoutIt) {
  Conv1d layer({.in_channels = 2, .out_channels = 3, .kernel_size = 4, .dtype = float64});
  const Tensor x = randn({2, 2, 9}, float64);
  const Tensor before = layer(x);
  dora(layer, {.rank = 2});
  expect_near(layer(x), before);
  const Tensor original = layer.weight.value().clone();
  const std::vector<NamedParameter> named = named_parameters(layer);
  ASSERT_EQ(named.size(), 5U);
  EXPECT_EQ(named[1].name, "parametrizations.weight.0.magnitude");
  EXPECT_FALSE(named[0].parameter->requires_grad());
  Tape tape;
  tape.backward(sum(layer(x)));
  EXPECT_FALSE(named[0].parameter->grad().defined());
  EXPECT_TRUE(named[1].parameter->grad().defined());
  EXPECT_TRUE(named[3].parameter->grad().defined());
  EXPECT_EQ(to_string(layer).find("dora(rank=2, alpha=8)") == std::string::npos, false);
  layer.weight.assign(randn({3, 2, 4}, float64));
  expect_near(layer.weight.value(), named[0].parameter->value());
}

TEST(Reparametrizations, CopiesAndAssignmentsHaveTheirFields) {
  Linear layer = small_linear();
  spectral_norm(layer);
  layer.eval();
  const Linear copy = layer;
  EXPECT_EQ(keys_of(copy), keys_of(layer));
  Linear other = small_linear();
  spectral_norm(other);
  other = layer;
  other.eval();
  expect_near(other.weight.value(), layer.weight.value());
  Linear plain = small_linear();
  plain = layer;
  EXPECT_EQ(keys_of(plain), (Keys{"weight", "bias"}));
  expect_near(plain.weight.value(), layer.weight.value());
}

// ---- folding ----------------------------------------------------------------------------------

Sequential several_kinds() {
  Linear first = small_linear(6, 5);
  Linear second = small_linear(5, 4);
  Linear third = small_linear(4, 3);
  Linear plain = small_linear(3, 2);
  weight_norm(first, {.dim = 1});
  spectral_norm(second);
  dora(third, {.rank = 1});
  return Sequential(first, second, third, plain);
}

TEST(Folding, MakesAllWeightsPlainAndBack) {
  for (const Device device : available_devices()) {
    Sequential model = several_kinds();
    model.eval();
    model.to(device);
    const Tensor x = randn({3, 6}, float64).to(device);
    const Keys keys = keys_of(model);
    std::vector<std::vector<double>> before;
    for (const auto& [key, value] : state_dict(model)) {
      before.push_back(value.to(cpu).to_vector<double>());
    }
    const std::vector<double> output = model(x).to(cpu).to_vector<double>();
    Folded folded = fold(model);
    ASSERT_EQ(folded.size(), 3U);
    EXPECT_EQ(folded[0].name, "0.weight");
    EXPECT_EQ(folded[0].settings, "weight_norm(dim=1)");
    EXPECT_EQ(folded[2].settings, "dora(rank=1, alpha=8)");
    EXPECT_EQ(keys_of(model), (Keys{"0.weight", "0.bias", "1.weight", "1.bias", "2.weight",
                                    "2.bias", "3.weight", "3.bias"}));
    EXPECT_EQ(model(x).to(cpu).to_vector<double>(), output) << "to the bit";
    EXPECT_TRUE(fold(model).empty()) << "twice is harmless";
    unfold(model, std::move(folded));
    EXPECT_EQ(keys_of(model), keys);
    std::vector<std::vector<double>> after;
    for (const auto& [key, value] : state_dict(model)) {
      after.push_back(value.to(cpu).to_vector<double>());
    }
    EXPECT_EQ(after, before);
    EXPECT_EQ(model(x).to(cpu).to_vector<double>(), output);
  }
}

TEST(Folding, AWeightThatIsWrittenToKeepsItsValue) {
  Linear layer = small_linear();
  weight_norm(layer);
  Folded folded = fold(layer);
  const Tensor other = randn({3, 4}, float64);
  layer.weight.assign(other);
  unfold(layer, std::move(folded));
  EXPECT_EQ(keys_of(layer), (Keys{"weight_g", "weight_v", "bias"}));
  expect_near(layer.weight.value(), other);
}

TEST(Folding, BackAreTheDeviceAndTheModeOfTheModel) {
  for (const Device device : available_devices()) {
    Sequential model = several_kinds();
    const Tensor x = randn({3, 6}, float64);
    model.eval();
    const Tensor before = model(x);
    Folded folded = fold(model);
    model.to(device);
    unfold(model, std::move(folded));
    for (const auto& [key, value] : state_dict(model)) {
      EXPECT_EQ(value.device(), device) << key;
    }
    expect_near(model(x.to(device)).to(cpu), before);
    const auto u = [&] { return state_dict(model)[4].second.to(cpu).to_vector<double>(); };
    ASSERT_EQ(state_dict(model)[4].first, "1.parametrizations.weight.0._u");
    const std::vector<double> in_eval = u();
    model(x.to(device));
    EXPECT_EQ(u(), in_eval);
    folded = fold(model);
    model.train();
    unfold(model, std::move(folded));
    model(x.to(device));
    EXPECT_NE(u(), in_eval) << "its layer is in training now";
  }
}

// A weight that cannot be computed, behind one that can.
struct Failing final : Reparametrization {
  explicit Failing(const Tensor& weight) : raw(weight.clone()) {}
  std::unique_ptr<Reparametrization> clone() const override {
    return std::make_unique<Failing>(*this);
  }
  Tensor materialize(const Site&) override { throw ValueError("no weight today"); }
  void split(const Tensor&) override {}
  void fields(const std::string& name, Visitor& visit) override { visit(name + "_raw", raw); }
  std::string settings() const override { return "failing"; }
  Parameter raw;
};

TEST(Folding, AWeightThatCannotBeComputedLeavesAllAsTheyWere) {
  struct Two : Module {
    Linear first = small_linear();
    Linear second = small_linear();
    void fields(Visitor& visit) override { visit("first", first)("second", second); }
    Tensor forward(const Operand& x) override { return first(x); }
  } model;
  weight_norm(model.first);
  reparametrize(model.second, "weight",
                [](const Tensor& weight) { return std::make_unique<Failing>(weight); }, "test", {});
  const Keys keys = keys_of(model);
  expect_throws<ValueError>([&] { fold(model); }, {"no weight today"});
  EXPECT_EQ(keys_of(model), keys);
}

TEST(Reparametrizations, BuffersThatAreNotKeptAreNotAskedFor) {
  struct WithScratch final : Reparametrization {
    explicit WithScratch(const Tensor& weight)
        : raw(weight.clone()), scratch(Tensor::zeros({2}, float64), {.persistent = false}) {}
    std::unique_ptr<Reparametrization> clone() const override {
      return std::make_unique<WithScratch>(*this);
    }
    Tensor materialize(const Site& site) override {
      return Operand(raw, site.file, site.line).tensor();
    }
    void split(const Tensor& weight) override { raw.assign(weight); }
    void fields(const std::string& name, Visitor& visit) override {
      visit(name + "_raw", raw)(name + "_scratch", scratch);
    }
    std::string settings() const override { return "with_scratch"; }
    Parameter raw;
    Buffer scratch;
  };
  Linear layer = small_linear();
  reparametrize(layer, "weight",
                [](const Tensor& weight) { return std::make_unique<WithScratch>(weight); }, "test",
                {});
  EXPECT_EQ(keys_of(layer), (Keys{"weight_raw", "bias"}));
  EXPECT_NO_THROW(load_state_dict(layer, state_dict(layer)));
}

TEST(Reparametrizations, ASpectralNormThatIsAssignedToLooksForItsNormAnew) {
  Linear layer = small_linear();
  layer.eval();
  spectral_norm(layer);
  const Tensor other = tensor<double>({0, 0, 0, 8, 0, 0, 0, 0, 1, 0, 0, 0}, {3, 4});
  layer.weight.assign(other);
  expect_near(layer.weight.value(), div(other, 8));
}

TEST(Reparametrizations, ARowOfZerosStaysOneInDora) {
  Linear layer = small_linear();
  layer.weight.assign(tensor<double>({1, 2, 3, 4, 0, 0, 0, 0, 5, 6, 7, 8}, {3, 4}));
  const Tensor before = layer.weight.value().clone();
  dora(layer, {.rank = 1});
  expect_near(layer.weight.value(), before);
}

TEST(Folding, WhatDoesNotFitIsRefusedAndChangesNothing) {
  Sequential model = several_kinds();
  Folded folded = fold(model);
  folded[2].name = "7.weight";
  Sequential other = several_kinds();
  expect_throws<ValueError>([&] { unfold(model, std::move(folded)); },
                            {"[unfold]", "7.weight", "Sequential"});
  EXPECT_EQ(keys_of(model)[0], "0.weight");
  Linear narrow = small_linear(4, 3);
  weight_norm(narrow);
  Linear wide = small_linear(5, 3);
  expect_throws<ShapeError>([&] { unfold(wide, fold(narrow)); },
                            {"[unfold]", "weight", "(3, 4)", "(3, 5)"});
  Folded again = fold(other);
  Sequential third = several_kinds();
  expect_throws<ValueError>([&] { unfold(third, std::move(again)); }, {"0.weight", "not plain"});
}

}  // namespace
}  // namespace warptape
