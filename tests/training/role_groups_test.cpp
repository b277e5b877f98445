// Optimizer groups by the role of parameters.

#include "training/role_groups.h"

#include <gtest/gtest.h>

#include <map>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/batch_norm.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "layers/weight_norm.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/devices.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

// Parameters of every role.
Sequential every_role() {
  manual_seed(3);
  Linear normed(4, 6);
  weight_norm(normed);
  return Sequential(std::move(normed), BatchNorm1d(6), Linear(6, 2));
}

std::vector<std::string> names_of(const ParameterStates& states) {
  std::vector<std::string> names;
  for (const auto& state : states) {
    names.push_back(state->name);
  }
  return names;
}
using Names = std::vector<std::string>;

TEST(RoleGroups, DecayNeitherGNorBiasesNorNorms) {
  Sequential model = every_role();
  const auto groups = groups_by_role<SGD::Group>(model);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(names_of(groups[0].parameters),
            (Names{"0.weight_g", "0.bias", "1.weight", "1.bias", "2.bias"}));
  EXPECT_EQ(groups[0].weight_decay, 0.0);
  EXPECT_EQ(names_of(groups[1].parameters), (Names{"0.weight_v", "2.weight"}));
  EXPECT_FALSE(groups[1].weight_decay);
}

// With gradients of zero a step is the decay alone.
TEST(RoleGroups, StepsDecayWhatTheySay) {
  for (const Device device : available_devices()) {
    Sequential model = every_role();
    for (const auto& state : parameters(model)) {
      state->set_value(randn(state->value.shape()));
    }
    model.to(device);
    AdamW optimizer(groups_by_role<AdamW::Group>(model), {.lr = 0.5, .weight_decay = 0.25});
    std::map<std::string, std::vector<float>> before;
    for (const auto& state : parameters(model)) {
      before[state->name] = state->value.to_vector<float>();
      state->grad = Tensor::zeros(state->value.shape(), float32, device);
      state->grad_is_empty = false;
    }
    optimizer.step();
    for (const auto& state : parameters(model)) {
      const bool decays = state->name == "0.weight_v" || state->name == "2.weight";
      const std::vector<float> after = state->value.to_vector<float>();
      for (size_t i = 0; i < after.size(); ++i) {
        const float was = before.at(state->name)[i];
        ASSERT_FLOAT_EQ(after[i], decays ? was * 0.875F : was) << state->name;
      }
    }
  }
}

TEST(RoleGroups, TakeOptionsOfEveryRole) {
  Sequential model = every_role();
  const auto groups = groups_by_role<SGD::Group>(model, {.v = {.momentum = 0.5},
                                                         .g = {.lr = 0.1},
                                                         .norm = {.weight_decay = 0.3},
                                                         .other = {.momentum = 0.5}});
  ASSERT_EQ(groups.size(), 4U);
  EXPECT_EQ(names_of(groups[0].parameters), (Names{"0.weight_g"}));
  EXPECT_EQ(groups[0].lr, 0.1);
  EXPECT_EQ(groups[0].weight_decay, 0.0) << "a rate of its own asks for no decay";
  EXPECT_EQ(names_of(groups[1].parameters), (Names{"0.bias", "2.bias"}));
  EXPECT_EQ(groups[1].weight_decay, 0.0);
  EXPECT_EQ(names_of(groups[2].parameters), (Names{"1.weight", "1.bias"}));
  EXPECT_EQ(groups[2].weight_decay, 0.3);
  EXPECT_EQ(names_of(groups[3].parameters), (Names{"0.weight_v", "2.weight"}));
  EXPECT_EQ(groups[3].momentum, 0.5);
  EXPECT_FALSE(groups[3].weight_decay);
}

TEST(RoleGroups, AreOneWhereNothingDiffers) {
  Sequential model = every_role();
  const Adam::Group same{.weight_decay = 0.1};
  const auto groups = groups_by_role<Adam::Group>(model, {same, same, same, same, same});
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].parameters, parameters(model)) << "in the order of the model";
  Linear without_bias({.in_features = 3, .out_features = 2, .bias = false});
  EXPECT_EQ(groups_by_role<Adam::Group>(without_bias).size(), 1U) << "no group is empty";
}

TEST(RoleGroups, RefuseOptionsThatHaveParameters) {
  Sequential model = every_role();
  RoleOptions<SGD::Group> options;
  options.bias.parameters = parameters(model[2]);
  expect_throws<ValueError>([&] { groups_by_role<SGD::Group>(model, options); },
                            {"[groups_by_role] bias: got options with 2 parameters, wanted none"});
}

TEST(RoleGroups, OfRecipesAreOneWithoutDecay) {
  Sequential model = every_role();
  for (const std::string& name : optimizers().names()) {
    SCOPED_TRACE(name);
    const auto groups = [&](double decay) {
      return make_optimizer_by_role({name, {{"weight_decay", decay}}}, model)->num_groups();
    };
    EXPECT_EQ(groups(0), 1U);
    EXPECT_EQ(groups(0.1), 2U);
  }
  EXPECT_EQ(make_optimizer_by_role({"adam"}, model)->num_groups(), 1U);
  EXPECT_EQ(make_optimizer_by_role({"adamw"}, model)->num_groups(), 2U) << "it decays by default";
}

void take_step(Sequential& model, Optimizer& optimizer, Device device) {
  optimizer.zero_grad();
  Tape tape;
  const Tensor y = model(randn({5, 4}).to(device));
  tape.backward(sum(mul(y, y)));
  optimizer.step();
}

TEST(RoleGroups, GoOnFromAStateWithTheSameBits) {
  const Choice choice{"sgd", {{"momentum", 0.9}, {"lr", 0.01}, {"weight_decay", 0.1}}};
  for (const Device device : available_devices()) {
    Sequential model = every_role();
    model.to(device);
    const auto optimizer = make_optimizer_by_role(choice, model);
    take_step(model, *optimizer, device);
    Sequential other = model;
    const auto resumed = make_optimizer_by_role(choice, other);
    resumed->load_state_dict(optimizer->state_dict());
    for (const auto& [trained, by] :
         {std::pair(&model, optimizer.get()), std::pair(&other, resumed.get())}) {
      manual_seed(8);
      take_step(*trained, *by, device);
      take_step(*trained, *by, device);
    }
    const StateDict wanted = state_dict(model);
    const StateDict got = state_dict(other);
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i].second.dtype() == float32) {
        EXPECT_EQ(got[i].second.to_vector<float>(), wanted[i].second.to_vector<float>())
            << wanted[i].first;
      }
    }
  }
}

}  // namespace
}  // namespace warptape
