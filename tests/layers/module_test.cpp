#include "layers/module.h"

#include <sstream>

#include "kernels/ops.h"
#include "layers/avg_pool1d.h"
#include "layers/avg_pool2d.h"
#include "layers/conv1d.h"
#include "layers/conv2d.h"
#include "layers/conv_transpose1d.h"
#include "layers/conv_transpose2d.h"
#include "layers/dropout.h"
#include "layers/embedding.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/max_pool1d.h"
#include "layers/max_pool2d.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/state_dict.h"
#include "layers/weight_norm.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

// A layer with a parameter and a child of its own.
struct Scaled : Module {
  Parameter scale{Tensor::ones({3})};
  Parameter unused;
  Linear inner{4, 3};
  void fields(Visitor& visit) override { visit("scale", scale)("unused", unused)("inner", inner); }
  Tensor forward(const Operand& x) override { return mul(inner(x), scale); }
  std::string settings() const override { return "times=3"; }
};

Sequential nested() {
  return Sequential(Conv2d({.in_channels = 3, .out_channels = 8, .kernel_size = 3}),
                    Sequential(ReLU(), Dropout(0.25)), Flatten(), Linear(8, 2));
}

std::vector<std::string> names(Module& module) {
  std::vector<std::string> result;
  for (const NamedParameter& named : named_parameters(module)) {
    result.push_back(named.name);
  }
  return result;
}

TEST(Modules, ParametersAreNamedInTheOrderOfFields) {
  Scaled module;
  EXPECT_EQ(names(module), (std::vector<std::string>{"scale", "inner.weight", "inner.bias"}));
  Sequential net = nested();
  EXPECT_EQ(names(net), (std::vector<std::string>{"0.weight", "0.bias", "3.weight", "3.bias"}));
  EXPECT_EQ(named_parameters(module)[0].parameter, &module.scale);
}

TEST(Modules, WeightNormedLayersHaveTheirParametersNamed) {
  Sequential net(Linear(4, 2));
  weight_norm(dynamic_cast<Linear&>(net[0]));
  EXPECT_EQ(names(net), (std::vector<std::string>{"0.weight_g", "0.weight_v", "0.bias"}));
}

TEST(Modules, ParametersAreCountedByElements) {
  Sequential net = nested();
  EXPECT_EQ(count_parameters(net), 8 * 3 * 9 + 8 + 2 * 8 + 2);
  ReLU none;
  EXPECT_EQ(count_parameters(none), 0);
}

TEST(Modules, TiedParametersAppearOnceAmongStatesAndUnderEveryName) {
  Sequential net(Linear(3, 3), Linear(3, 3));
  const std::vector<NamedParameter> named = named_parameters(net);
  named[2].parameter->tie(*named[0].parameter);
  EXPECT_EQ(names(net).size(), 4U);
  EXPECT_EQ(parameters(net).size(), 3U);
  EXPECT_EQ(count_parameters(net), 9 + 3 + 3);
}

TEST(Modules, TrainingModeReachesAllBelow) {
  Sequential net = nested();
  auto& inner = dynamic_cast<Sequential&>(net[1]);
  EXPECT_TRUE(inner[1].is_training());
  net.eval();
  EXPECT_FALSE(net.is_training());
  EXPECT_FALSE(inner[1].is_training());
  inner.train();
  EXPECT_TRUE(inner[1].is_training());
  EXPECT_FALSE(net[0].is_training());
  net.train();
  EXPECT_TRUE(net[0].is_training());
}

TEST(Modules, FreezeMatchesShellPatterns) {
  Sequential net = nested();
  EXPECT_EQ(freeze(net, "0.*"), 2);
  std::vector<bool> live;
  for (const NamedParameter& named : named_parameters(net)) {
    live.push_back(named.parameter->requires_grad());
  }
  EXPECT_EQ(live, (std::vector<bool>{false, false, true, true}));
  EXPECT_EQ(freeze(net, "*.bias"), 2);
  EXPECT_FALSE(named_parameters(net)[3].parameter->requires_grad());
  EXPECT_EQ(unfreeze(net, "*"), 4);
  EXPECT_TRUE(named_parameters(net)[0].parameter->requires_grad());
  EXPECT_EQ(freeze(net, "3.weight"), 1);
}

TEST(Modules, PatternsWithoutMatchAreErrors) {
  Sequential net = nested();
  expect_throws<ValueError>([&] { freeze(net, "fc1.*"); },
                            {"[freeze]", "\"fc1.*\"", "Sequential", "module_test.cpp"});
  expect_throws<ValueError>([&] { unfreeze(net, "0"); }, {"[unfreeze]", "\"0\""});
  EXPECT_TRUE(named_parameters(net)[0].parameter->requires_grad());
}

TEST(Modules, NamesOfTypesComeFromTheClass) {
  EXPECT_EQ(Scaled().type_name(), "Scaled");
  EXPECT_EQ(Linear(1, 1).type_name(), "Linear");
}

TEST(ModulePrint, NestedTreesAsPyTorch) {
  Sequential net = nested();
  EXPECT_EQ(to_string(net),
            "Sequential(\n"
            "  (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))\n"
            "  (1): Sequential(\n"
            "    (0): ReLU()\n"
            "    (1): Dropout(p=0.25, inplace=False)\n"
            "  )\n"
            "  (2): Flatten(start_dim=1, end_dim=-1)\n"
            "  (3): Linear(in_features=8, out_features=2, bias=True)\n"
            ")");
  std::ostringstream out;
  out << net;
  EXPECT_EQ(out.str(), to_string(net));
}

TEST(ModulePrint, NamesAreEscaped) {
  struct Named : Module {
    Linear inner{1, 1};
    void fields(Visitor& visit) override { visit("in\x1b[2J\n", inner); }
    Tensor forward(const Operand& x) override { return inner(x); }
    std::string type_name() const override { return "Na\x7fmed"; }
    std::string settings() const override { return "s=\xc2\x9b"; }
  };
  Named module;
  EXPECT_EQ(to_string(module),
            "Na\\x7fmed(\n"
            "  s=\\u009b\n"
            "  (in\\x1b[2J\\x0a): Linear(in_features=1, out_features=1, bias=True)\n"
            ")");
  expect_throws<ValueError>([&] { freeze(module, "no\n"); },
                            {"\"no\\x0a\" matches no parameter of Na\\x7fmed"});
}

TEST(ModulePrint, SettingsOfAModuleWithChildrenStandOnTheirOwnLine) {
  Scaled module;
  EXPECT_EQ(to_string(module),
            "Scaled(\n"
            "  times=3\n"
            "  (inner): Linear(in_features=4, out_features=3, bias=True)\n"
            ")");
}

TEST(ModulePrint, WeightNormStandsAmongTheSettings) {
  Sequential net(Linear(4, 2),
                 Conv2d({.in_channels = 1, .out_channels = 2, .kernel_size = {1, 3}}));
  weight_norm(dynamic_cast<Linear&>(net[0]));
  weight_norm(dynamic_cast<Conv2d&>(net[1]));
  EXPECT_EQ(to_string(net),
            "Sequential(\n"
            "  (0): Linear(in_features=4, out_features=2, bias=True, weight_norm(dim=0))\n"
            "  (1): Conv2d(1, 2, kernel_size=(1, 3), stride=(1, 1), weight_norm(dim=0))\n"
            ")");
}

TEST(ModulePrint, SettingsOfEveryLayerAsPyTorch) {
  const auto printed = [](auto&& layer) { return to_string(layer); };
  EXPECT_EQ(printed(Conv1d({.in_channels = 2, .out_channels = 5, .kernel_size = 7})),
            "Conv1d(2, 5, kernel_size=(7,), stride=(1,))");
  EXPECT_EQ(printed(Conv1d({.in_channels = 4,
                            .out_channels = 6,
                            .kernel_size = 3,
                            .stride = 2,
                            .padding = 1,
                            .dilation = 3,
                            .groups = 2,
                            .bias = false})),
            "Conv1d(4, 6, kernel_size=(3,), stride=(2,), padding=(1,), dilation=(3,), groups=2, "
            "bias=False)");
  EXPECT_EQ(
      printed(Conv1d(
          {.in_channels = 1, .out_channels = 1, .kernel_size = 2, .padding = Padding1d::causal()})),
      "Conv1d(1, 1, kernel_size=(2,), stride=(1,), padding=causal)");
  EXPECT_EQ(printed(ConvTranspose1d({.in_channels = 2, .out_channels = 5, .kernel_size = 7})),
            "ConvTranspose1d(2, 5, kernel_size=(7,), stride=(1,))");
  EXPECT_EQ(printed(ConvTranspose2d({.in_channels = 4,
                                     .out_channels = 6,
                                     .kernel_size = {3, 5},
                                     .stride = 2,
                                     .padding = {1, 2},
                                     .output_padding = {0, 1},
                                     .dilation = 3,
                                     .groups = 2,
                                     .bias = false})),
            "ConvTranspose2d(4, 6, kernel_size=(3, 5), stride=(2, 2), padding=(1, 2), "
            "dilation=(3, 3), output_padding=(0, 1), groups=2, bias=False)");
  EXPECT_EQ(printed(MaxPool1d({.kernel_size = 2, .stride = 3, .padding = 1})),
            "MaxPool1d(kernel_size=2, stride=3, padding=1, dilation=1, ceil_mode=False)");
  EXPECT_EQ(printed(AvgPool1d({.kernel_size = 3})),
            "AvgPool1d(kernel_size=(3,), stride=(3,), padding=(0,))");
  EXPECT_EQ(printed(AdaptiveAvgPool1d(4)), "AdaptiveAvgPool1d(output_size=4)");
  EXPECT_EQ(printed(AdaptiveMaxPool1d(4)), "AdaptiveMaxPool1d(output_size=4)");
  EXPECT_EQ(printed(Embedding(10, 3)), "Embedding(10, 3)");
  EXPECT_EQ(printed(Embedding({.num_embeddings = 10, .embedding_dim = 3, .padding_idx = -1})),
            "Embedding(10, 3, padding_idx=9)");
  EXPECT_EQ(printed(Conv2d({.in_channels = 4,
                            .out_channels = 6,
                            .kernel_size = {3, 5},
                            .stride = 2,
                            .padding = {1, 2},
                            .dilation = 3,
                            .groups = 2,
                            .bias = false})),
            "Conv2d(4, 6, kernel_size=(3, 5), stride=(2, 2), padding=(1, 2), dilation=(3, 3), "
            "groups=2, bias=False)");
  const auto padded = [&](const Padding2d& padding) {
    return printed(
        Conv2d({.in_channels = 1, .out_channels = 2, .kernel_size = 3, .padding = padding}));
  };
  EXPECT_EQ(padded(Padding2d::same()),
            "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=same)");
  EXPECT_EQ(padded(Sides2d{.top = 2, .right = 1}),
            "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=((2, 0), (0, 1)))");
  EXPECT_EQ(padded(Sides2d{.top = 1, .bottom = 1}),
            "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1), padding=(1, 0))");
  EXPECT_EQ(printed(Linear({.in_features = 3, .out_features = 1, .bias = false})),
            "Linear(in_features=3, out_features=1, bias=False)");
  EXPECT_EQ(
      printed(MaxPool2d({.kernel_size = 3, .stride = {2, 1}, .padding = 1, .ceil_mode = true})),
      "MaxPool2d(kernel_size=3, stride=(2, 1), padding=1, dilation=1, ceil_mode=True)");
  EXPECT_EQ(printed(MaxPool2d()),
            "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)");
  EXPECT_EQ(printed(AvgPool2d({.kernel_size = {2, 3}})),
            "AvgPool2d(kernel_size=(2, 3), stride=(2, 3), padding=0)");
  EXPECT_EQ(printed(Flatten(0, 2)), "Flatten(start_dim=0, end_dim=2)");
  EXPECT_EQ(printed(Sequential()), "Sequential()");
}

struct TwoNames : Module {
  Linear a{2, 2};
  Linear b{2, 2};
  Parameter c{Tensor::ones({2})};
  std::string names[3] = {"a", "b", "c"};
  void fields(Visitor& visit) override { visit(names[0], a)(names[1], b)(names[2], c); }
  Tensor forward(const Operand& x) override { return a(b(x)); }
};

TEST(ModuleFields, TwoOfOneNameAreRefusedWhenListed) {
  TwoNames module;
  module.names[1] = "a";
  const std::vector<std::string> wanted = {
      "[fields] TwoNames lists two fields with the name \"a\""};
  expect_throws<ValueError>([&] { parameters(module); }, wanted);
  expect_throws<ValueError>([&] { named_parameters(module); }, wanted);
  expect_throws<ValueError>([&] { count_parameters(module); }, wanted);
  expect_throws<ValueError>([&] { state_dict(module); }, wanted);
  expect_throws<ValueError>([&] { load_state_dict(module, {}); }, wanted);
  expect_throws<ValueError>([&] { to_string(module); }, wanted);
  Sequential outer(module);
  expect_throws<ValueError>([&] { parameters(outer); }, wanted);
  module.names[1] = "c";  // a module and a parameter
  expect_throws<ValueError>([&] { parameters(module); }, {"\"c\""});
  module.names[1] = "b";
  EXPECT_NO_THROW(parameters(module));
  EXPECT_NO_THROW(to_string(module));
}

TEST(ModuleFields, NamesThatMeetOnlyInPathsAreRefusedToo) {
  TwoNames module;
  module.names[2] = "a.bias";
  expect_throws<ValueError>([&] { parameters(module); },
                            {"[fields] TwoNames lists two parameters with the name \"a.bias\""});
  struct Normed : Module {
    Linear layer{2, 2};
    Parameter g{Tensor::ones({2})};
    void fields(Visitor& visit) override { visit("w", layer.weight)("w_g", g); }
    Tensor forward(const Operand& x) override { return layer(x); }
  } normed;
  EXPECT_NO_THROW(parameters(normed));
  weight_norm(normed.layer);
  expect_throws<ValueError>([&] { parameters(normed); }, {"two parameters", "\"w_g\""});
}

TEST(ModuleOptions, ErrorsNameOptionAndCallersLine) {
  const int line = __LINE__ + 1;
  const auto no_inputs = [] { Conv2d({.in_channels = 0, .out_channels = 4, .kernel_size = 3}); };
  expect_throws<ValueError>(
      no_inputs, {"[Conv2d] in_channels: got 0", "module_test.cpp:" + std::to_string(line)});
  expect_throws<ValueError>([] { Conv2d({.in_channels = 3, .kernel_size = 3}); },
                            {"[Conv2d] out_channels: got 0", "module_test.cpp"});
  expect_throws<ValueError>([] { Conv2d({.in_channels = 3, .out_channels = 4}); },
                            {"[Conv2d] kernel_size: got 0", "module_test.cpp"});
  expect_throws<ValueError>(
      [] { Conv2d({.in_channels = 3, .out_channels = 4, .kernel_size = 1, .groups = 2}); },
      {"[Conv2d] groups: got 2", "3 input", "4 output", "module_test.cpp"});
  expect_throws<ValueError>(
      [] { Conv2d({.in_channels = 3, .out_channels = 4, .kernel_size = 1, .groups = 0}); },
      {"[Conv2d] groups: got 0", "module_test.cpp"});
  expect_throws<ValueError>([] { Linear(0, 3); },
                            {"[Linear] in_features: got 0", "module_test.cpp"});
  expect_throws<ValueError>([] { Linear(3, -1); },
                            {"[Linear] out_features: got -1", "module_test.cpp"});
  expect_throws<ValueError>([] { Dropout(1.5); }, {"[Dropout] p: got 1.5", "module_test.cpp"});
}

TEST(ModuleOptions, ForwardErrorsNameTheCallersLine) {
  Sequential net(Linear(3, 2), ReLU());
  Conv2d conv({.in_channels = 3, .out_channels = 4, .kernel_size = 3});
  weight_norm(conv);
  const Tensor x = Tensor::ones({1, 4});
  const int line = __LINE__ + 1;
  expect_throws<ShapeError>([&] { net(x); },
                            {"[linear]", "module_test.cpp:" + std::to_string(line)});
  expect_throws<ShapeError>([&] { conv(x); }, {"[conv2d]", "module_test.cpp"});
  Sequential empty;
  expect_throws<Error>([&] { empty(x); }, {"[Sequential]", "module_test.cpp"});
}

TEST(ModuleOptions, AnOpInTheMiddleOfASequentialNamesTheCallersLine) {
  Sequential net(ReLU(), Linear(3, 2));
  const Tensor x = Tensor::ones({1, 4});
  const int line = __LINE__ + 1;
  expect_throws<ShapeError>([&] { net(x); },
                            {"[linear]", "module_test.cpp:" + std::to_string(line)});
}

}  // namespace
}  // namespace warptape
