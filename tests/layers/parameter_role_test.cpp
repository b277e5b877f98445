// What parameters are to their layers.

#include "layers/parameter_role.h"

#include <gtest/gtest.h>

#include <map>

#include "layers/batch_norm.h"
#include "layers/dora.h"
#include "layers/embedding.h"
#include "layers/group_norm.h"
#include "layers/layer_norm.h"
#include "layers/linear.h"
#include "layers/spectral_norm.h"
#include "layers/weight_norm.h"

namespace warptape {
namespace {

// A norm of a user's own.
struct OwnNorm : Module {
  Parameter scale{Tensor::ones({2})};
  Parameter bias{Tensor::zeros({2})};
  void fields(Visitor& visit) override { visit("scale", scale)("bias", bias); }
  Tensor forward(const Operand& x) override { return x; }
  bool is_norm() const override { return true; }
};

// A parameter of every kind, and layers below layers.
struct Everything : Module {
  Embedding embedding{5, 4};
  Linear normed{4, 3};
  Linear tuned{4, 3};
  Linear spectral{4, 3};
  Linear head{{.in_features = 4, .out_features = 5, .bias = false}};
  BatchNorm1d batch{4};
  GroupNorm group{2, 4};
  LayerNorm layer{4};
  OwnNorm own;
  Parameter bias{Tensor::zeros({2})};
  Parameter temperature{Tensor::ones({2})};

  void fields(Visitor& visit) override {
    visit("embedding", embedding)("normed", normed)("tuned", tuned)("spectral", spectral);
    visit("head", head)("batch", batch)("group", group)("layer", layer)("own", own);
    visit("bias", bias)("temperature", temperature);
  }
  Tensor forward(const Operand& x) override { return x; }
};

std::map<std::string, std::string> role_names(Module& module) {
  std::map<std::string, std::string> names;
  for (const RoleOfParameter& each : parameter_roles(module)) {
    EXPECT_TRUE(names.emplace(each.parameter->name, to_string(each.role)).second);
  }
  return names;
}

TEST(ParameterRoles, FollowFromLayersAndTheirWeights) {
  Everything model;
  weight_norm(model.normed);
  dora(model.tuned, {.rank = 2});
  spectral_norm(model.spectral);
  const std::map<std::string, std::string> wanted = {
      {"embedding.weight", "other"},
      {"normed.weight_g", "g"},
      {"normed.weight_v", "v"},
      {"normed.bias", "bias"},
      {"tuned.parametrizations.weight.original", "other"},
      {"tuned.parametrizations.weight.0.magnitude", "g"},
      {"tuned.parametrizations.weight.0.lora_A", "other"},
      {"tuned.parametrizations.weight.0.lora_B", "other"},
      {"tuned.bias", "bias"},
      {"spectral.parametrizations.weight.original", "other"},
      {"spectral.bias", "bias"},
      {"head.weight", "other"},
      {"batch.weight", "norm"},
      {"batch.bias", "norm"},
      {"group.weight", "norm"},
      {"group.bias", "norm"},
      {"layer.weight", "norm"},
      {"layer.bias", "norm"},
      {"own.scale", "norm"},
      {"own.bias", "norm"},
      {"bias", "bias"},
      {"temperature", "other"}};
  EXPECT_EQ(role_names(model), wanted);
}

TEST(ParameterRoles, CountASharedParameterOnceUnderItsFirstName) {
  Everything model;
  model.temperature.tie(model.own.bias);
  const auto roles = role_names(model);
  EXPECT_EQ(roles.at("own.bias"), "norm");
  EXPECT_FALSE(roles.contains("temperature"));
  EXPECT_EQ(roles.size(), parameters(model).size());
}

TEST(ParameterRoles, OfALayerAloneAreItsOwn) {
  OwnNorm norm;
  EXPECT_EQ(role_names(norm),
            (std::map<std::string, std::string>{{"scale", "norm"}, {"bias", "norm"}}));
}

}  // namespace
}  // namespace warptape
