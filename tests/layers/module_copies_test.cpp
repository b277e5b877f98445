// What copies of modules share, and what assigning to one leaves.

#include <gtest/gtest.h>

#include "kernels/ops.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/weight_norm.h"

namespace warptape {
namespace {

Sequential nested() {
  return Sequential(Conv2d({.in_channels = 3, .out_channels = 8, .kernel_size = 3}),
                    Sequential(ReLU(), Dropout(0.25)), Flatten(), Linear(8, 2));
}

TEST(ModuleCopies, AreIndependent) {
  Sequential original = nested();
  Sequential copy = original;
  const Tensor before = named_parameters(copy)[2].parameter->value().clone();
  EXPECT_EQ(before.to_vector<float>(),
            named_parameters(original)[2].parameter->value().to_vector<float>());
  named_parameters(original)[2].parameter->assign(Tensor::zeros({2, 8}));
  original.eval();
  freeze(original, "*");
  EXPECT_EQ(named_parameters(copy)[2].parameter->value().to_vector<float>(),
            before.to_vector<float>());
  EXPECT_TRUE(copy.is_training());
  EXPECT_TRUE(named_parameters(copy)[0].parameter->requires_grad());
  Sequential assigned;
  assigned = copy;
  EXPECT_NE(parameters(assigned)[0], parameters(copy)[0]);
  EXPECT_EQ(assigned.size(), 4U);
}

TEST(ModuleCopies, OfWeightNormedLayersAreIndependent) {
  Sequential original(Linear(3, 2));
  weight_norm(dynamic_cast<Linear&>(original[0]));
  const Tensor x = tensor<float>({1, 2, 3}, {1, 3});
  const std::vector<float> before = original(x).to_vector<float>();
  Sequential copy = original;
  EXPECT_EQ(copy(x).to_vector<float>(), before);
  dynamic_cast<Linear&>(original[0]).weight.assign(Tensor::ones({2, 3}));
  EXPECT_NE(original(x).to_vector<float>(), before);
  EXPECT_EQ(copy(x).to_vector<float>(), before);
  dynamic_cast<Linear&>(copy[0]).weight.assign(Tensor::full({2, 3}, 2));
  Sequential original_again = original;
  EXPECT_EQ(original(x).to_vector<float>(), original_again(x).to_vector<float>());
}

TEST(ModuleCopies, MovingKeepsTheParameterStates) {
  Sequential original = nested();
  weight_norm(dynamic_cast<Linear&>(original[3]));
  const auto states = parameters(original);
  Sequential moved = std::move(original);
  EXPECT_EQ(parameters(moved), states);
  Linear layer(3, 2);
  const auto layer_states = parameters(layer);
  Sequential holder(std::move(layer));
  EXPECT_EQ(parameters(holder), layer_states);
}

// Two layers with one weight, in a module and in a Sequential.
struct TiedNet : Module {
  Linear in{3, 3};
  Linear between{3, 3};
  Linear out{3, 3};
  TiedNet() {
    named_parameters(out)[0].parameter->tie(*named_parameters(in)[0].parameter);
    named_parameters(out)[1].parameter->tie(in.bias);
  }
  void fields(Visitor& visit) override { visit("in", in)("between", between)("out", out); }
  Tensor forward(const Operand& x) override { return out(between(in(x))); }
};

std::vector<float> output(Module& module) {
  return module(tensor<float>({1, 2, 3}, {1, 3})).to_vector<float>();
}

void expect_tied(Module& module) {
  EXPECT_EQ(parameters(module).size(), 4U);
  EXPECT_EQ(named_parameters(module).size(), 6U);
}

TEST(ModuleCopies, KeepTiesAmongThemselves) {
  TiedNet net;
  expect_tied(net);
  TiedNet copy = net;
  expect_tied(copy);
  TiedNet another(net);
  expect_tied(another);
  EXPECT_EQ(output(copy), output(net));
  EXPECT_NE(parameters(copy)[0], parameters(net)[0]);
  EXPECT_NE(parameters(copy)[0], parameters(another)[0]);
  Sequential twice(net, net);  // two copies, tied each in itself
  EXPECT_EQ(parameters(twice).size(), 8U);
  expect_tied(twice[0]);
  expect_tied(twice[1]);
  Sequential nested = Sequential(twice, ReLU());
  EXPECT_EQ(parameters(nested).size(), 8U);
  const std::vector<TiedNet> many(3, net);
  for (TiedNet each : many) {
    expect_tied(each);
  }
  // Layers that are copied one by one have nothing in common.
  Sequential layers(net.in, net.out);
  EXPECT_EQ(parameters(layers).size(), 4U);
}

TEST(ModuleCopies, KeepTiesOfWeightNormedLayersAndOfWholeSequentials) {
  Linear first(3, 3);
  Linear second(3, 3);
  weight_norm(first);
  weight_norm(second);
  Sequential net(std::move(first), std::move(second));
  const auto named = named_parameters(net);
  ASSERT_EQ(named.size(), 6U);
  named[4].parameter->tie(*named[1].parameter);  // weight_v
  ASSERT_EQ(parameters(net).size(), 5U);
  Sequential copy = net;
  EXPECT_EQ(parameters(copy).size(), 5U);
  EXPECT_EQ(output(copy), output(net));
  Sequential assigned;
  assigned = net;
  EXPECT_EQ(parameters(assigned).size(), 5U);
  EXPECT_EQ(output(assigned), output(net));
}

TEST(ModuleCopies, OfAPartOfATiedNetAreIndependent) {
  TiedNet net;
  const Linear in = net.in;
  TiedNet copy = net;
  Linear out = net.out;
  EXPECT_NE(parameters(out)[0], parameters(copy)[0]);
  expect_tied(copy);
}

TEST(ModuleAssignment, CopiesValuesIntoTheSameParameters) {
  Sequential net = nested();
  weight_norm(dynamic_cast<Linear&>(net[3]));
  Sequential best = net;
  const auto states = parameters(net);
  for (const auto& state : states) {
    state->value = Tensor::ones(state->value.shape());
  }
  freeze(net, "0.bias");
  net[1].eval();
  net = best;
  EXPECT_EQ(parameters(net), states);
  for (size_t i = 0; i < states.size(); ++i) {
    EXPECT_EQ(states[i]->value.to_vector<float>(), parameters(best)[i]->value.to_vector<float>());
    EXPECT_FALSE(states[i]->value.shares_storage_with(parameters(best)[i]->value));
  }
  EXPECT_FALSE(states[1]->requires_grad) << "what is frozen stays so";
  EXPECT_FALSE(net[1].is_training()) << "and the mode";
  const auto& alias = net;
  net = alias;
  EXPECT_EQ(parameters(net), states);
}

TEST(ModuleAssignment, KeepsTies) {
  TiedNet net;
  TiedNet other;
  const auto states = parameters(net);
  net = other;
  EXPECT_EQ(parameters(net), states);
  expect_tied(net);
  EXPECT_EQ(output(net), output(other));
  Sequential whole(ReLU(), net);
  const auto of_whole = parameters(whole);
  const Sequential source(ReLU(), other);
  whole = source;
  EXPECT_EQ(parameters(whole), of_whole);
  expect_tied(whole);
}

TEST(ModuleAssignment, ReachesThroughWeightNormOnEitherSide) {
  const Tensor x = tensor<float>({1, 2, 3}, {1, 3});
  for (const bool target_is_normed : {true, false}) {
    for (const bool source_is_normed : {true, false}) {
      Linear target(3, 2);
      Linear source(3, 2);
      if (target_is_normed) {
        weight_norm(target);
      }
      if (source_is_normed) {
        weight_norm(source);
      }
      (void)target(x);
      const auto states = parameters(target);
      target = source;
      EXPECT_EQ(parameters(target), states);
      const std::vector<float> got = target(x).to_vector<float>();
      const std::vector<float> wanted = source(x).to_vector<float>();
      EXPECT_NEAR(got[0], wanted[0], 1e-6);
      EXPECT_NEAR(got[1], wanted[1], 1e-6);
      if (target_is_normed && source_is_normed) {
        EXPECT_EQ(states[0]->value.to_vector<float>(),
                  parameters(source)[0]->value.to_vector<float>());
        EXPECT_EQ(got, wanted);
      }
    }
  }
}

TEST(ModuleAssignment, OfAnotherShapeOrStructureMakesACopy) {
  Linear layer(3, 2);
  const auto states = parameters(layer);
  const Linear wider(5, 2);
  layer = wider;
  EXPECT_EQ(layer.weight.shape(), Shape({2, 5}));
  EXPECT_NE(parameters(layer)[0], states[0]);
  EXPECT_EQ(parameters(layer)[1], states[1]) << "the bias fits";
  const Linear without({.in_features = 5, .out_features = 2, .bias = false});
  layer = without;
  EXPECT_EQ(parameters(layer).size(), 1U);
  Linear normed(4, 2);
  weight_norm(normed);
  layer = normed;
  EXPECT_EQ(named_parameters(layer).size(), 3U);

  Sequential net(Linear(3, 3), ReLU(), Linear(3, 3));
  const auto of_net = parameters(net);
  const Sequential other(Linear(3, 3), Linear(3, 3));
  net = other;
  ASSERT_EQ(net.size(), 2U);
  EXPECT_EQ(parameters(net)[0], of_net[0]);
  EXPECT_EQ(count_parameters(net), 2 * 12);
  Sequential outer(Sequential(ReLU(), Linear(3, 3)), ReLU());
  outer = dynamic_cast<Sequential&>(outer[0]);  // of a part of itself
  EXPECT_EQ(outer.size(), 2U);
  EXPECT_EQ(count_parameters(outer), 12);
}

}  // namespace
}  // namespace warptape
