#include "layers/state_dict.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "layers/linear.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/weight_norm.h"
#include "tests/core/expect_throws.h"
#include "tests/layers/near.h"

namespace warptape {
namespace {

using Values = std::vector<double>;

struct Net : Module {
  Linear fc1{Linear::Options{.in_features = 3, .out_features = 4, .dtype = float64}};
  Linear fc2{Linear::Options{.in_features = 4, .out_features = 2, .dtype = float64}};
  void fields(Visitor& visit) override { visit("fc1", fc1)("fc2", fc2); }
  Tensor forward(const Operand& x) override { return fc2(relu(fc1(x))); }
};

Net normed_net() {
  Net net;
  weight_norm(net.fc1);
  weight_norm(net.fc2);
  return net;
}

Values output(Net& net) {
  return values(net(tensor<double>({0.5, -1, 2, 1, 1, 1}, {2, 3})));
}

// The dict with its keys' ends replaced.
StateDict renamed(const StateDict& state,
                  const std::vector<std::pair<std::string, std::string>>& by) {
  StateDict result;
  for (const auto& [key, tensor] : state) {
    std::string name = key;
    for (const auto& [from, to] : by) {
      if (name.ends_with(from)) {
        name = name.substr(0, name.size() - from.size()) + to;
        break;
      }
    }
    result.emplace_back(name, tensor);
  }
  return result;
}

StateDict in_newer_form(Net& net) {
  return renamed(state_dict(net), {{"weight_g", "parametrizations.weight.original0"},
                                   {"weight_v", "parametrizations.weight.original1"}});
}

std::vector<std::string> keys(const StateDict& state) {
  std::vector<std::string> result;
  for (const auto& [key, tensor] : state) {
    result.push_back(key);
  }
  return result;
}

TEST(StateDicts, HaveTheKeysOfPyTorchInTheOrderOfFields) {
  Net net;
  weight_norm(net.fc1);
  EXPECT_EQ(keys(state_dict(net)),
            (std::vector<std::string>{"fc1.weight_g", "fc1.weight_v", "fc1.bias", "fc2.weight",
                                      "fc2.bias"}));
  EXPECT_TRUE(state_dict(net)[2].second.shares_storage_with(net.fc1.bias.value()));
}

TEST(StateDicts, OfTiedParametersHoldEveryName) {
  Sequential net(Linear(2, 2), Linear(2, 2));
  named_parameters(net)[2].parameter->tie(*named_parameters(net)[0].parameter);
  const StateDict state = state_dict(net);
  ASSERT_EQ(state.size(), 4U);
  EXPECT_TRUE(state[0].second.shares_storage_with(state[2].second));
}

TEST(StateDicts, RoundTrip) {
  for (bool normed : {false, true}) {
    Net from = normed ? normed_net() : Net();
    Net to = normed ? normed_net() : Net();
    ASSERT_NE(output(to), output(from));
    load_state_dict(to, state_dict(from));
    EXPECT_EQ(output(to), output(from));
    for (size_t i = 0; i < state_dict(from).size(); ++i) {
      EXPECT_EQ(values(state_dict(to)[i].second), values(state_dict(from)[i].second));
      EXPECT_FALSE(state_dict(to)[i].second.shares_storage_with(state_dict(from)[i].second));
    }
  }
}

TEST(StateDicts, LoadingAModulesOwnStateChangesNothing) {
  Net net = normed_net();
  const Values before = output(net);
  load_state_dict(net, state_dict(net));
  EXPECT_EQ(output(net), before);
}

TEST(StateDicts, OrderDoesNotMatter) {
  Net from;
  Net to;
  StateDict state = state_dict(from);
  std::reverse(state.begin(), state.end());
  load_state_dict(to, state);
  EXPECT_EQ(output(to), output(from));
}

TEST(StateDicts, WeightNormOfTheOlderFormFoldsIntoPlainLayers) {
  Net from = normed_net();
  from.fc1.weight.assign(randn({4, 3}, float64));
  Net to;
  load_state_dict(to, state_dict(from));
  expect_near(output(to), output(from));
  EXPECT_EQ(keys(state_dict(to))[0], "fc1.weight");
}

TEST(StateDicts, WeightNormOfTheNewerFormFoldsIntoPlainLayers) {
  Net from = normed_net();
  named_parameters(from)[0].parameter->assign(randn({4, 1}, float64));
  Net to;
  load_state_dict(to, in_newer_form(from));
  expect_near(output(to), output(from));
}

TEST(StateDicts, WeightNormOfTheNewerFormLoadsGAndV) {
  Net from = normed_net();
  named_parameters(from)[0].parameter->assign(randn({4, 1}, float64));
  Net to = normed_net();
  load_state_dict(to, in_newer_form(from));
  EXPECT_EQ(output(to), output(from));
  EXPECT_EQ(values(state_dict(to)[0].second), values(state_dict(from)[0].second));
  EXPECT_EQ(values(state_dict(to)[1].second), values(state_dict(from)[1].second));
}

TEST(StateDicts, PlainWeightsSplitIntoWeightNormedLayers) {
  Net from;
  Net to = normed_net();
  load_state_dict(to, state_dict(from));
  expect_near(output(to), output(from));
  EXPECT_EQ(keys(state_dict(to))[0], "fc1.weight_g");
}

// float32 in the file, float64 in the layer: nothing is rounded to float32 on the way.
TEST(StateDicts, NarrowGAndVFoldInTheLayersPrecision) {
  Linear to({.in_features = 3, .out_features = 1, .bias = false, .dtype = float64});
  load_state_dict(to, {{"weight_g", tensor<float>({0.7F}, {1, 1})},
                       {"weight_v", tensor<float>({0.1F, 0.2F, 0.3F}, {1, 3})}});
  const Values v = {0.1F, 0.2F, 0.3F};
  const double norm = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(values(to.weight.value())[i], double{0.7F} * v[i] / norm, 1e-15);
  }
}

// v is rounded to 1, and g is the norm of that: otherwise w would not be what v says.
TEST(StateDicts, GIsTheNormOfVAsItIsStored) {
  Linear to({.in_features = 3, .out_features = 1, .bias = false});
  weight_norm(to);
  load_state_dict(to, {{"weight", Tensor::full({1, 3}, 1 + 0.99 * 0x1p-24, float64)}});
  EXPECT_EQ(values(state_dict(to)[1].second), Values(3, 1.0));
  EXPECT_EQ(values(state_dict(to)[0].second), Values{static_cast<float>(std::sqrt(3.0))});
}

TEST(StateDicts, NamingsMayBeMixed) {
  Net from;
  weight_norm(from.fc1);
  Net to;
  weight_norm(to.fc2);
  load_state_dict(to, in_newer_form(from));
  expect_near(output(to), output(from));
}

TEST(StateDicts, TensorsAreCastToTheParametersDtype) {
  Net from;
  StateDict narrow;
  for (const auto& [key, tensor] : state_dict(from)) {
    narrow.emplace_back(key, primitives::cast(tensor, float32));
  }
  Net to;
  load_state_dict(to, narrow);
  for (size_t i = 0; i < narrow.size(); ++i) {
    EXPECT_EQ(state_dict(to)[i].second.dtype(), float64);
    EXPECT_EQ(values(state_dict(to)[i].second), values(narrow[i].second));
  }
}

TEST(StateDicts, ParametersKeepTheirStates) {
  Net from;
  Net to;
  const auto states = parameters(to);
  const void* data = to.fc1.bias.value().raw_data();
  load_state_dict(to, state_dict(from));
  EXPECT_EQ(parameters(to), states);
  EXPECT_EQ(to.fc1.bias.value().raw_data(), data);
}

TEST(StateDicts, ProblemsAreListedTogetherAndNothingIsChanged) {
  Net net;
  const Values before = output(net);
  StateDict state;
  state.emplace_back("fc1.weight", Tensor::ones({4, 3}));
  state.emplace_back("fc1.bias", Tensor::ones({5}));
  state.emplace_back("fc2.weight", Tensor::ones({4, 2}));
  state.emplace_back("fc3.weight", Tensor::ones({7, 1}));
  const int line = __LINE__ + 1;
  const auto load = [&] { load_state_dict(net, state); };
  expect_throws<ValueError>(
      load, {"[load_state_dict]", "Net", "missing: fc2.bias (2,)", "unexpected: fc3.weight (7, 1)",
             "mis-shaped: fc1.bias: got (5,), wanted (4,)",
             "mis-shaped: fc2.weight: got (4, 2), wanted (2, 4)",
             "state_dict_test.cpp:" + std::to_string(line)});
  EXPECT_EQ(output(net), before);
}

// A weight and a bias fit, and stay as they were because of what comes after them.
TEST(StateDicts, NothingThatFitsIsTakenFromADictThatDoesNot) {
  Net net;
  const Values before = output(net);
  expect_throws<ValueError>(
      [&] {
        load_state_dict(net,
                        {{"fc1.weight", Tensor::ones({4, 3})}, {"fc1.bias", Tensor::ones({4})}});
      },
      {"missing: fc2.weight (2, 4)", "missing: fc2.bias (2,)"});
  EXPECT_EQ(output(net), before);
}

TEST(StateDicts, HalfAWeightNormIsMissingItsOtherHalf) {
  Net plain;
  Net normed = normed_net();
  const Values before = output(normed);
  StateDict state = state_dict(normed);
  state.erase(state.begin());
  for (Module* module : std::initializer_list<Module*>{&plain, &normed}) {
    expect_throws<ValueError>([&] { load_state_dict(*module, state); },
                              {"missing: fc1.weight_g (4, 1)"});
  }
  StateDict newer = in_newer_form(normed);
  newer.erase(newer.begin() + 1);
  expect_throws<ValueError>([&] { load_state_dict(plain, newer); },
                            {"missing: fc1.parametrizations.weight.original1 (4, 3)"});
  EXPECT_EQ(output(normed), before);
}

TEST(StateDicts, AWeightInTwoFormsIsUnexpectedInOne) {
  Net normed = normed_net();
  StateDict state = state_dict(normed);
  state.emplace_back("fc1.weight", Tensor::ones({4, 3}));
  expect_throws<ValueError>([&] { load_state_dict(normed, state); },
                            {"unexpected: fc1.weight (4, 3)"});
}

// The dict with something in front of every key.
StateDict prefixed(const StateDict& state, const std::string& prefix) {
  StateDict result;
  for (const auto& [key, tensor] : state) {
    result.emplace_back(prefix + key, tensor);
  }
  return result;
}

TEST(StateDicts, KeysMayHaveGoneThroughPyTorchsWrappers) {
  using Names = std::vector<std::string>;
  struct Case {
    std::string prefix;
    Names removed;
  };
  for (const Case& wrapped : {Case{"module.", {"module"}},
                              {"_orig_mod.", {"_orig_mod"}},
                              {"module.module.", {"module"}},
                              {"module._orig_mod.", {"module", "_orig_mod"}},
                              {"_orig_mod.module._orig_mod.", {"_orig_mod", "module"}},
                              {"_fsdp_wrapped_module.", {"_fsdp_wrapped_module"}},
                              {"_forward_module.module.", {"_forward_module", "module"}},
                              {"", {}}}) {
    SCOPED_TRACE(wrapped.prefix);
    Net from = normed_net();
    Net to = normed_net();
    Net plain;
    EXPECT_EQ(load_state_dict(to, prefixed(state_dict(from), wrapped.prefix)), wrapped.removed);
    EXPECT_EQ(output(to), output(from));
    EXPECT_EQ(load_state_dict(plain, prefixed(in_newer_form(from), wrapped.prefix)),
              wrapped.removed);
    expect_near(output(plain), output(from));
  }
}

TEST(StateDicts, WrappersMayBeInsideOfAModel) {
  Net from;
  StateDict state;
  for (const auto& [key, tensor] : state_dict(from)) {
    const std::string wrapper =
        key.starts_with("fc1") ? "_orig_mod." : "_checkpoint_wrapped_module.";
    state.emplace_back("module." + key.substr(0, 4) + wrapper + key.substr(4), tensor);
  }
  Net to;
  EXPECT_EQ(load_state_dict(to, state),
            (std::vector<std::string>{"module", "_orig_mod", "_checkpoint_wrapped_module"}));
  EXPECT_EQ(output(to), output(from));
}

TEST(StateDicts, NamesThatLookLikeWrappersAreTheModulesOwn) {
  struct Holder : Module {
    Linear module{Linear::Options{.in_features = 2, .out_features = 2, .dtype = float64}};
    void fields(Visitor& visit) override { visit("module", module); }
    Tensor forward(const Operand& x) override { return module(x); }
  };
  Holder from;
  Holder to;
  EXPECT_TRUE(load_state_dict(to, state_dict(from)).empty());
  EXPECT_EQ(values(to.module.bias.value()), values(from.module.bias.value()));
  Holder wrapped;
  EXPECT_EQ(load_state_dict(wrapped, prefixed(state_dict(from), "module.")),
            std::vector<std::string>{"module"});
  EXPECT_EQ(values(wrapped.module.bias.value()), values(from.module.bias.value()));
}

TEST(StateDicts, KeysThatWouldBecomeOneAreLeftAlone) {
  Net net;
  StateDict state = state_dict(net);
  state.emplace_back("module.fc1.bias", Tensor::ones({4}));
  EXPECT_EQ(keys(without_wrappers(state)), keys(state));
  expect_throws<ValueError>([&] { load_state_dict(net, state); },
                            {"unexpected: module.fc1.bias (4,)"});
}

TEST(StateDicts, KeysThatAreThereTwiceAreRefused) {
  Net net;
  const Values before = output(net);
  StateDict state = state_dict(net);
  state.emplace_back("fc1.bias", Tensor::ones({4}));
  expect_throws<ValueError>([&] { load_state_dict(net, state); }, {"twice: fc1.bias"});
  EXPECT_EQ(output(net), before);
}

TEST(StateDicts, KeysInMessagesAreEscaped) {
  Net net;
  StateDict state = prefixed(state_dict(net), "module.");
  state[0].first = std::string("a\0b\x1b[2J\n\xe2\x80\xae", 11);
  state[1].second = Tensor::ones({7});
  expect_throws<ValueError>(
      [&] { load_state_dict(net, state); },
      {"missing: fc1.weight (4, 3)\n  unexpected: a\\x00b\\x1b[2J\\x0a\\u202e "
       "(4, 3)\n  mis-shaped: module.fc1.bias: got (7,)"});
}

TEST(StateDicts, AnEmptyDictNamesEveryKeyOfTheModule) {
  Net net;
  weight_norm(net.fc1);
  expect_throws<ValueError>(
      [&] { load_state_dict(net, {}); },
      {"missing: fc1.weight_g (4, 1)", "missing: fc1.weight_v (4, 3)", "missing: fc1.bias",
       "missing: fc2.weight (2, 4)", "missing: fc2.bias"});
}

}  // namespace
}  // namespace warptape
