// Errors name the path of the layer in which they arose; fields may be ranges, pointers and
// optional; const modules can be read.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <sstream>

#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/state_dict.h"
#include "layers/weight_norm.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

struct Block : Module {
  Block(int64_t in, int64_t out) : fc1(in, out), fc2(out, out) {}
  void fields(Visitor& visit) override { visit("fc1", fc1)("fc2", fc2); }
  Tensor forward(const Operand& x) override {
    Tensor y = x;  // an operand is a tensor
    y = fc1(y);
    if (skips) {
      y = x;
    }
    return fc2(relu(y));
  }
  Linear fc1;
  Linear fc2;
  bool skips = false;
};

struct Net : Module {
  void fields(Visitor& visit) override {
    visit("layers", layers)("head", head)("tail", tail)("gains", gains)("extra", extra);
  }
  Tensor forward(const Operand& x) override {
    Tensor y = x;
    for (Block& block : layers) {
      y = block(y);
    }
    if (tail) {
      y = (*tail)(y);
    }
    if (extra) {
      y = (*extra)(y);
    }
    return mul(head(y), gains[0]);
  }
  std::vector<Block> layers{Block(4, 4), Block(4, 4), Block(4, 4)};
  Sequential head{Linear(4, 3), ReLU(), Linear(3, 2)};
  std::unique_ptr<Module> tail;
  std::vector<Parameter> gains = std::vector<Parameter>(2, Parameter(Tensor::ones({2})));
  std::optional<Linear> extra;
};

TEST(ModulePaths, ShapeErrorsNameTheLayer) {
  Net net;
  net.layers[2].fc1 = Linear(5, 4);
  expect_throws<ShapeError>(
      [&] {
        net(Tensor::ones({1, 4}));
      },
      {"[linear] layers.2.fc1: input features", "(1, 4)", "module_path_test.cpp"});
  net.layers[2].fc1 = Linear(4, 4);
  net.layers[0].skips = true;
  net.layers[0].fc2 = Linear(9, 4);
  expect_throws<ShapeError>([&] { net(Tensor::ones({1, 4})); }, {"[linear] layers.0.fc2: "});
}

TEST(ModulePaths, SequentialsNameTheirItems) {
  Net net;
  net.head = Sequential(Linear(4, 3), ReLU(), Sequential(ReLU(), Linear(7, 2)));
  expect_throws<ShapeError>([&] { net(Tensor::ones({1, 4})); }, {"[linear] head.2.1: "});
  expect_throws<ShapeError>([&] { net.head(Tensor::ones({1, 4})); }, {"[linear] 2.1: "});
  net.head = Sequential();
  expect_throws<Error>([&] { net(Tensor::ones({1, 4})); }, {"[Sequential] head: "});
}

TEST(ModulePaths, OtherTypesOfErrorsHaveThemToo) {
  Net net;
  expect_throws<DTypeError>(
      [&] {
        net(Tensor::ones({1, 4}, float64));
      },
      {"[linear] layers.0.fc1: dtypes"});
  net.tail = std::make_unique<Conv2d>(
      Conv2d::Options{.in_channels = 1, .out_channels = 1, .kernel_size = 1});
  expect_throws<ShapeError>([&] { net(Tensor::ones({1, 4})); }, {"[conv2d] tail: "});
}

TEST(ModulePaths, OfWhatNoParentCalledAreLeftOut) {
  Linear layer(3, 2);
  try {
    layer(Tensor::ones({1, 4}));
    FAIL() << "nothing was thrown";
  } catch (const ShapeError& error) {
    EXPECT_EQ(std::string(error.what()).rfind("[linear] input features", 0), 0U) << error.what();
  }
}

TEST(ModulePaths, OfAnErrorThatWasCaughtDoNotStick) {
  struct Tries : Module {
    void fields(Visitor& visit) override { visit("first", first)("second", second); }
    Tensor forward(const Operand& x) override {
      try {
        return first(x);
      } catch (const ShapeError&) {
      }
      return reshape(second(x), {77});
    }
    Linear first{9, 2};
    Linear second{4, 2};
  } tries;
  struct Outer : Module {
    explicit Outer(Tries& tries) : inner(tries) {}
    void fields(Visitor& visit) override { visit("inner", inner); }
    Tensor forward(const Operand& x) override { return inner(x); }
    Tries& inner;
  } outer(tries);
  try {
    outer(Tensor::ones({1, 4}));
    FAIL() << "nothing was thrown";
  } catch (const ShapeError& error) {
    EXPECT_EQ(std::string(error.what()).rfind("[reshape] inner: elements", 0), 0U) << error.what();
  }
}

TEST(ModulePaths, MessagesWithoutARuleHaveThemInFront) {
  Error error("plain");
  error.set_layer(nullptr, "a.b");
  EXPECT_STREQ(error.what(), "a.b: plain");
  EXPECT_EQ(error.layer(), "a.b");
  error.set_layer(nullptr, "c.a.b");
  EXPECT_STREQ(error.what(), "c.a.b: plain");
  error.set_layer(nullptr, "");
  EXPECT_STREQ(error.what(), "plain");
}

std::vector<std::string> names_of(Module& module) {
  std::vector<std::string> names;
  for (const NamedParameter& named : named_parameters(module)) {
    names.push_back(named.name);
  }
  return names;
}

TEST(FieldKinds, RangesAreListsAndPointersWhatTheyHold) {
  struct Small : Module {
    void fields(Visitor& visit) override {
      visit("layers", layers)("owned", owned)("gains", gains)("maybe", maybe)("weights", weights);
    }
    Tensor forward(const Operand& x) override { return x; }
    std::vector<Linear> layers;
    std::vector<std::unique_ptr<Module>> owned;
    std::array<Parameter, 2> gains{Parameter(Tensor::ones({1})), Parameter(Tensor::ones({2}))};
    std::optional<Linear> maybe;
    std::vector<Weight> weights;
  } net;
  EXPECT_EQ(names_of(net), (std::vector<std::string>{"gains.0", "gains.1"}));
  net.layers.emplace_back(1, 2);
  net.owned.push_back(std::make_unique<Linear>(1, 2));
  net.owned.push_back(nullptr);
  net.owned.push_back(std::make_unique<ReLU>());
  net.maybe.emplace(2, 1);
  net.weights.emplace_back(Tensor::ones({2, 2}));
  EXPECT_EQ(names_of(net), (std::vector<std::string>{
                               "layers.0.weight", "layers.0.bias", "owned.0.weight", "owned.0.bias",
                               "gains.0", "gains.1", "maybe.weight", "maybe.bias", "weights.0"}));
  net.eval();
  EXPECT_FALSE(net.layers[0].is_training());
  EXPECT_FALSE(net.owned[2]->is_training());
  EXPECT_EQ(freeze(net, "layers.*"), 2);
  EXPECT_NE(to_string(net).find("(layers): ModuleList(\n    (0): Linear(in_features=1"),
            std::string::npos)
      << to_string(net);
}

TEST(FieldKinds, OneNameForTwoListsIsAnError) {
  struct Twice : Module {
    void fields(Visitor& visit) override { visit("layers", first)("layers", second); }
    Tensor forward(const Operand& x) override { return x; }
    std::vector<Linear> first;
    std::vector<Linear> second;
  } net;
  expect_throws<ValueError>([&] { named_parameters(net); }, {"[fields] Twice", "\"layers\""});
}

TEST(FieldKinds, OfConstModulesCanBeRead) {
  const Linear layer(3, 2);
  EXPECT_EQ(state_dict(layer).size(), 2U);
  EXPECT_EQ(count_parameters(layer), 8);
  std::ostringstream out;
  out << layer;
  EXPECT_EQ(out.str(), to_string(layer));
  EXPECT_NE(out.str().find("Linear("), std::string::npos);
}

TEST(FieldKinds, StateDictsHoldConstants) {
  const Linear layer(3, 2);
  const Tape tape;
  for (const auto& [name, tensor] : state_dict(layer)) {
    EXPECT_EQ(mul(tensor, 2).tape_handle().tape, 0U) << name;
  }
}

TEST(FieldKinds, ParametersStream) {
  std::ostringstream out;
  out << Parameter(Tensor::ones({2}));
  EXPECT_EQ(out.str(), "tensor([1., 1.])");
}

}  // namespace
}  // namespace warptape
