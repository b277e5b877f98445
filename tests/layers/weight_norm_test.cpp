#include "layers/weight_norm.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/profile.h"
#include "core/random.h"
#include "core/tape.h"
#include "layers/conv2d.h"
#include "layers/init.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "tests/core/expect_throws.h"
#include "tests/layers/near.h"

namespace warptape {
namespace {

using Values = std::vector<double>;

Linear normed_linear(int64_t in, int64_t out, DType dtype = float64) {
  Linear layer({.in_features = in, .out_features = out, .dtype = dtype});
  weight_norm(layer);
  return layer;
}

Parameter& g_of(Module& layer) {
  return *named_parameters(layer)[0].parameter;
}
Parameter& v_of(Module& layer) {
  return *named_parameters(layer)[1].parameter;
}

int64_t times_computed(const std::vector<profile::Event>& events) {
  return std::count_if(events.begin(), events.end(),
                       [](const profile::Event& event) { return event.name == "weight_norm"; });
}

TEST(WeightNorms, ApplyingChangesKeysButNotTheFunction) {
  Conv2d conv({.in_channels = 3, .out_channels = 4, .kernel_size = 3, .dtype = float64});
  const Tensor x = randn({2, 3, 5, 5}, float64);
  const Tensor before = conv(x);
  EXPECT_EQ(&weight_norm(conv), &conv);
  expect_near(conv(x), before);
  const std::vector<NamedParameter> named = named_parameters(conv);
  ASSERT_EQ(named.size(), 3U);
  EXPECT_EQ(named[0].name, "weight_g");
  EXPECT_EQ(named[0].parameter->value().shape(), Shape({4, 1, 1, 1}));
  EXPECT_EQ(named[1].name, "weight_v");
  EXPECT_EQ(named[1].parameter->value().shape(), Shape({4, 3, 3, 3}));
  EXPECT_EQ(named[2].name, "bias");
  EXPECT_EQ(conv.weight.shape(), Shape({4, 3, 3, 3}));
}

TEST(WeightNorms, WeightIsGTimesVOverItsNorm) {
  Linear layer = normed_linear(2, 2);
  v_of(layer).assign(tensor<double>({3, 4, 0, 2}, {2, 2}));
  g_of(layer).assign(tensor<double>({10, -1}, {2, 1}));
  EXPECT_EQ(values(layer.weight.value()), (Values{6, 8, 0, -1}));
}

TEST(WeightNorms, WeightIsComputedOncePerChange) {
  Linear layer = normed_linear(3, 2);
  const Tensor x = randn({1, 3}, float64);
  const Tensor first = layer.weight.value();
  const uint64_t version = first.version();
  profile::start();
  layer(x);
  layer(x);
  (void)layer.weight.value();
  EXPECT_EQ(times_computed(profile::stop()), 0);
  EXPECT_EQ(layer.weight.value().raw_data(), first.raw_data());
  EXPECT_EQ(layer.weight.value().version(), version);
}

TEST(WeightNorms, WeightIsComputedAnewAfterAWriteToGOrV) {
  Linear layer = normed_linear(3, 2);
  const void* address = layer.weight.value().raw_data();
  for (Parameter* parameter : {&g_of(layer), &v_of(layer)}) {
    parameter->assign(randn(parameter->value().shape(), float64));
    profile::start();
    const Tensor w = layer.weight.value();
    (void)layer.weight.value();
    EXPECT_EQ(times_computed(profile::stop()), 1);
    EXPECT_EQ(w.raw_data(), address);
    expect_near(w, composed_weight(v_of(layer), g_of(layer)));
  }
}

TEST(WeightNorms, WeightFollowsReplacedParameters) {
  Linear layer = normed_linear(3, 2);
  (void)layer.weight.value();
  Parameter other(randn({2, 3}, float64));
  while (other.value().version() < v_of(layer).value().version()) {
    other.value().bump_version();  // the version alone must not pass for the same elements
  }
  ASSERT_EQ(other.value().version(), v_of(layer).value().version());
  v_of(layer).tie(other);
  expect_near(layer.weight.value(), composed_weight(other, g_of(layer)));
}

TEST(WeightNorms, TwoUsesOnATapeShareOneRecord) {
  Linear layer = normed_linear(3, 3);
  const Tensor x = randn({2, 3}, float64);
  Tape tape;
  const Tensor y = layer(layer(x));
  const std::string dot = tape.dot();
  EXPECT_NE(dot.find("\"weight_norm\\n"), std::string::npos) << dot;
  EXPECT_EQ(dot.find("\"weight_norm\\n"), dot.rfind("\"weight_norm\\n")) << dot;
  tape.backward(sum(y));
  const Tensor dg = g_of(layer).grad().clone();
  const Tensor dv = v_of(layer).grad().clone();

  for (const NamedParameter& named : named_parameters(layer)) {
    named.parameter->zero_grad();
  }
  Tape plain;
  const Tensor w = composed_weight(v_of(layer), g_of(layer));
  plain.backward(sum(linear(linear(x, w, layer.bias), w, layer.bias)));
  expect_near(dg, g_of(layer).grad());
  expect_near(dv, v_of(layer).grad());
}

struct TwoLayers : Module {
  Linear first = normed_linear(3, 4);
  Linear second = normed_linear(4, 2);
  Linear plain{{.in_features = 2, .out_features = 2, .dtype = float64}};
  void fields(Visitor& visit) override { visit("first", first)("second", second)("plain", plain); }
  Tensor forward(const Operand& x) override { return plain(second(first(x))); }
};

TEST(WeightNorms, AllOfAModelTogetherAreWhatEachIsAlone) {
  TwoLayers model;
  const Tensor x = randn({5, 3}, float64);
  std::vector<Tensor> gradients[2];
  std::vector<double> values[2];
  for (const bool together : {false, true}) {
    TwoLayers copy = model;
    v_of(copy.second).set_requires_grad(false);
    Tape tape;
    // The call has them computed; without it each layer's own call does.
    const Tensor y = together ? copy(x) : copy.forward(x);
    const std::string dot = tape.dot();
    const bool one_record = dot.find("\"weight_norm\\n") == dot.rfind("\"weight_norm\\n");
    EXPECT_EQ(one_record, together) << dot;
    tape.backward(sum(mul(y, y)));
    values[together ? 1 : 0] = y.to_vector<double>();
    EXPECT_FALSE(v_of(copy.second).grad().defined());
    gradients[together ? 1 : 0] = {g_of(copy.first).grad(), v_of(copy.first).grad(),
                                   g_of(copy.second).grad()};
  }
  EXPECT_EQ(values[0], values[1]);
  for (size_t i = 0; i < gradients[0].size(); ++i) {
    EXPECT_EQ(gradients[0][i].to_vector<double>(), gradients[1][i].to_vector<double>()) << i;
  }
}

TEST(WeightNorms, AWeightOfManyThatNothingUsesGetsNoGradient) {
  TwoLayers model;
  Tape tape;
  refresh_weight_norm(model);
  tape.backward(sum(model.second(randn({2, 4}, float64))));
  EXPECT_TRUE(g_of(model.second).grad().defined());
  EXPECT_FALSE(g_of(model.first).grad().defined());
}

TEST(WeightNorms, GradientsAreThoseOfTheComposition) {
  Conv2d conv({.in_channels = 2, .out_channels = 3, .kernel_size = 2, .dtype = float64});
  weight_norm(conv);
  g_of(conv).assign(randn({3, 1, 1, 1}, float64));
  const Tensor x = randn({2, 2, 4, 4}, float64);
  const auto loss = [&](const Operand& w) {
    const Tensor y = conv2d(x, w, conv.bias);
    return sum(mul(y, y));
  };
  Tape tape;
  tape.backward(loss(conv.weight.operand({})));
  const Tensor dg = g_of(conv).grad().clone();
  const Tensor dv = v_of(conv).grad().clone();
  g_of(conv).zero_grad();
  v_of(conv).zero_grad();
  Tape plain;
  plain.backward(loss(composed_weight(v_of(conv), g_of(conv))));
  expect_near(dg, g_of(conv).grad());
  expect_near(dv, v_of(conv).grad());
}

TEST(WeightNorms, EveryTapeGetsItsOwnRecord) {
  Linear layer = normed_linear(3, 2);
  const Tensor x = randn({2, 3}, float64);
  std::vector<Tensor> gradients;
  for (int step = 0; step < 2; ++step) {  // nothing is written in between: the weight stays fresh
    v_of(layer).zero_grad();
    Tape tape;
    tape.backward(sum(exp(layer(x))));
    ASSERT_TRUE(v_of(layer).grad().defined());
    gradients.push_back(v_of(layer).grad().clone());
  }
  EXPECT_EQ(values(gradients[0]), values(gradients[1]));
  v_of(layer).assign(randn({2, 3}, float64));
  v_of(layer).zero_grad();
  Tape tape;
  tape.backward(sum(exp(layer(x))));
  EXPECT_NE(values(v_of(layer).grad()), values(gradients[0]));
}

// The record of the former w must not serve the new one.
TEST(WeightNorms, AWriteInMidTapeIsRecordedAnew) {
  Linear layer = normed_linear(3, 2);
  const Tensor x = randn({2, 3}, float64);
  const Tensor v = randn({2, 3}, float64);
  Tape tape;
  (void)layer(x);
  v_of(layer).assign(v);
  tape.backward(sum(exp(layer(x))));
  const Tensor dv = v_of(layer).grad().clone();
  const Tensor dg = g_of(layer).grad().clone();
  for (const NamedParameter& named : named_parameters(layer)) {
    named.parameter->zero_grad();
  }
  Tape fresh;
  fresh.backward(sum(exp(layer(x))));
  EXPECT_EQ(values(v_of(layer).grad()), values(dv));
  EXPECT_EQ(values(g_of(layer).grad()), values(dg));
}

TEST(WeightNorms, ATapeInsideATapeDoesNotDisturbIt) {
  Linear layer = normed_linear(3, 2);
  const Tensor x = randn({2, 3}, float64);
  Tape outer;
  const Tensor first = sum(layer(x));
  {
    Tape inner;
    inner.backward(sum(layer(x)));
  }
  const Tensor once = v_of(layer).grad().clone();
  outer.backward(add(first, sum(layer(x))));
  expect_near(v_of(layer).grad(), mul(once, 3));
}

TEST(WeightNorms, AWriteBetweenForwardAndBackwardIsAnError) {
  Linear layer = normed_linear(3, 2);
  Tape tape;
  const Tensor loss = sum(layer(randn({2, 3}, float64)));
  v_of(layer).assign(randn({2, 3}, float64));
  expect_throws<TapeError>([&] { tape.backward(loss); }, {"weight_norm", "weight_norm_test.cpp"});
}

TEST(WeightNorms, AssigningReachesGAndV) {
  Linear layer = normed_linear(2, 2);
  layer.weight.assign(tensor<double>({3, 4, 0, -2}, {2, 2}));
  EXPECT_EQ(values(g_of(layer).value()), (Values{5, 2}));
  EXPECT_EQ(values(v_of(layer).value()), (Values{3, 4, 0, -2}));
  expect_near(layer.weight.value(), tensor<double>({3, 4, 0, -2}, {2, 2}));
  expect_throws<ShapeError>([&] { layer.weight.assign(Tensor::zeros({4})); },
                            {"[assign]", "(4,)", "(2, 2)", "weight_norm_test.cpp"});
}

TEST(WeightNorms, InitialisersReachGAndV) {
  Linear plain({.in_features = 5, .out_features = 4, .dtype = float64});
  Linear normed = normed_linear(5, 4);
  Generator a(3);
  Generator b(3);
  init::kaiming_normal(plain.weight, {}, a);
  init::kaiming_normal(normed.weight, {}, b);
  expect_near(normed.weight.value(), plain.weight.value());
  EXPECT_EQ(values(v_of(normed).value()), values(plain.weight.value()));
  expect_near(g_of(normed).value(), norm_except_dim(plain.weight.value()));
  init::constant(normed.weight, 2);
  expect_near(normed.weight.value(), Tensor::full({4, 5}, 2, float64));
}

TEST(WeightNorms, RemovingKeepsTheFunction) {
  Linear layer = normed_linear(3, 2);
  g_of(layer).assign(randn({2, 1}, float64));
  const Tensor x = randn({2, 3}, float64);
  const Tensor before = layer(x);
  EXPECT_EQ(&remove_weight_norm(layer), &layer);
  EXPECT_EQ(values(layer(x)), values(before));
  EXPECT_EQ(named_parameters(layer)[0].name, "weight");
  EXPECT_EQ(layer.weight.reparametrization(), nullptr);
  Tape tape;
  tape.backward(sum(layer(x)));
  EXPECT_TRUE(named_parameters(layer)[0].parameter->grad().defined());
}

TEST(WeightNorms, ApplyingTwiceAndRemovingWhatIsAbsentAreErrors) {
  Linear layer = normed_linear(3, 2);
  const Tensor before = layer.weight.value().clone();
  const int line = __LINE__ + 1;
  const auto apply_again = [&] { weight_norm(layer); };
  expect_throws<ValueError>(
      apply_again, {"[weight_norm]", "already", "weight_norm_test.cpp:" + std::to_string(line)});
  EXPECT_EQ(values(layer.weight.value()), values(before));
  remove_weight_norm(layer);
  expect_throws<ValueError>([&] { remove_weight_norm(layer); },
                            {"[remove_weight_norm]", "weight_norm_test.cpp"});
}

TEST(WeightNorms, CopiesHaveTheirOwnParametersAndWeight) {
  Linear original = normed_linear(3, 2);
  const void* address = original.weight.value().raw_data();
  Linear copy = original;
  EXPECT_NE(g_of(copy).state(), g_of(original).state());
  EXPECT_NE(v_of(copy).state(), v_of(original).state());
  EXPECT_NE(copy.weight.value().raw_data(), address);
  const Values before = values(copy.weight.value());
  g_of(original).assign(Tensor::full({2, 1}, 100, float64));
  (void)original.weight.value();
  EXPECT_EQ(values(copy.weight.value()), before);
  copy = original;
  EXPECT_EQ(values(copy.weight.value()), values(original.weight.value()));
}

TEST(WeightNorms, RowsOfZerosGiveZerosAndZeroGradients) {
  Linear layer = normed_linear(2, 2);
  v_of(layer).assign(tensor<double>({0, 0, 3, 4}, {2, 2}));
  g_of(layer).assign(tensor<double>({7, 5}, {2, 1}));
  EXPECT_EQ(values(layer.weight.value()), (Values{0, 0, 3, 4}));
  Tape tape;
  tape.backward(sum(layer(tensor<double>({1, 2}, {1, 2}))));
  expect_near(g_of(layer).grad(), tensor<double>({0, (3 + 8) / 5.0}, {2, 1}));
  const Values dv = values(v_of(layer).grad());
  EXPECT_EQ(dv[0], 0);
  EXPECT_EQ(dv[1], 0);
  EXPECT_NE(dv[2], 0);
}

// As a module is that is reached by two paths.
TEST(WeightNorms, AWeightThatIsListedTwiceIsComputedAndRecordedOnce) {
  struct Twice : Module {
    Linear layer = normed_linear(3, 3);
    void fields(Visitor& visit) override { visit("a", layer)("b", layer); }
    Tensor forward(const Operand& x) override {
      refresh_weight_norm(*this);
      return layer(layer(x));
    }
  };
  Twice model;
  EXPECT_EQ(parameters(model).size(), 3U);
  EXPECT_EQ(named_parameters(model).size(), 6U);
  const Tensor x = randn({2, 3}, float64);
  Tape tape;
  const Tensor y = model(x);
  const std::string dot = tape.dot();
  EXPECT_EQ(dot.find("\"weight_norm\\n"), dot.rfind("\"weight_norm\\n")) << dot;
  EXPECT_EQ(dot.find("r0 -> t"), dot.rfind("r0 -> t")) << "one output\n" << dot;
  tape.backward(sum(y));
  const Tensor dg = g_of(model.layer).grad().clone();
  g_of(model.layer).zero_grad();
  Tape plain;
  const Tensor w = composed_weight(v_of(model.layer), g_of(model.layer));
  plain.backward(sum(linear(linear(x, w, model.layer.bias), w, model.layer.bias)));
  expect_near(dg, g_of(model.layer).grad());
}

TEST(WeightNorms, FrozenPartsGetNoGradient) {
  Linear layer = normed_linear(3, 2);
  const Tensor x = randn({2, 3}, float64);
  freeze(layer, "weight_g");
  {
    Tape tape;
    tape.backward(sum(layer(x)));
  }
  EXPECT_FALSE(g_of(layer).grad().defined());
  EXPECT_TRUE(v_of(layer).grad().defined());
  v_of(layer).zero_grad();
  freeze(layer, "weight_*");
  Tape tape;
  tape.backward(sum(layer(x)));
  EXPECT_FALSE(v_of(layer).grad().defined());
  EXPECT_TRUE(layer.bias.grad().defined());
}

TEST(WeightNorms, ApplyingAndRemovingKeepWhetherTheWeightIsFrozen) {
  Linear layer(3, 2);
  freeze(layer, "weight");
  weight_norm(layer);
  EXPECT_FALSE(g_of(layer).requires_grad());
  EXPECT_FALSE(v_of(layer).requires_grad());
  remove_weight_norm(layer);
  EXPECT_FALSE(named_parameters(layer)[0].parameter->requires_grad());
}

}  // namespace
}  // namespace warptape
