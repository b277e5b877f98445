// What a call of a module does around its forward: the caller's line, several inputs, hooks.

#include <gtest/gtest.h>

#include <thread>

#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/linear.h"
#include "layers/module_list.h"
#include "layers/module_of.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

std::string line_of(const Site& site) {
  return at(site);
}

// Writes no operand on by hand.
struct Plain : Module {
  Linear fc{2, 2};
  void fields(Visitor& visit) override { visit("fc", fc); }
  Tensor forward(const Operand& x) override {
    Tensor y = fc(x);
    y = relu(y);
    seen = line_of(Site::here());
    return y.view({wanted});
  }
  int64_t wanted = 2;
  std::string seen;
};

struct Outer : Module {
  Plain inner;
  void fields(Visitor& visit) override { visit("inner", inner); }
  Tensor forward(const Operand& x) override {
    const Tensor doubled = add(x, x);
    return inner(doubled);
  }
};

TEST(CallersLine, IsThatOfTheOutermostCall) {
  Outer net;
  net.inner.wanted = 7;
  const Tensor x = Tensor::ones({1, 2});
  const std::string wanted = line_of({"module_call_test.cpp", __LINE__ + 2});
  try {
    net(x);
    FAIL() << "nothing was thrown";
  } catch (const ShapeError& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find(wanted), std::string::npos) << what << ", wanted " << wanted;
    EXPECT_EQ(what.rfind("[view] inner: ", 0), 0U) << what;
  }
  EXPECT_EQ(net.inner.seen, wanted);
  EXPECT_NE(line_of(Site::here()), wanted) << "an error ends the call";
}

TEST(CallersLine, IsWhatTheTapeRecords) {
  Outer net;
  Tape tape;
  const Tensor x = Tensor::ones({1, 2});
  const std::string line = "module_call_test.cpp:" + std::to_string(__LINE__ + 1);
  net(x);
  const std::string dot = tape.dot();
  size_t count = 0;
  for (size_t at = dot.find(line); at != std::string::npos; at = dot.find(line, at + 1)) {
    ++count;
  }
  EXPECT_EQ(count, tape.num_records()) << dot;
}

TEST(CallersLine, IsOfEachThreadItsOwn) {
  Outer net;
  net(Tensor::ones({1, 2}));
  net.inner.wanted = 7;
  const auto fails_at = [&](int line, const std::function<void()>& call) {
    for (int i = 0; i < 200; ++i) {
      expect_throws<ShapeError>(call, {"module_call_test.cpp:" + std::to_string(line)});
    }
  };
  const Tensor x = Tensor::ones({1, 2});
  struct Reshaped : Module {
    Tensor forward(const Operand& of) override { return reshape(of, {7}); }
  } model;
  std::thread other([&] {
    const int line = __LINE__ + 1;
    fails_at(line, [&] { model(x); });
  });
  const int line = __LINE__ + 1;
  fails_at(line, [&] { model(x); });
  other.join();
}

struct CrossAttention : ModuleOf<Tensor(const Operand&, const Operand&)> {
  Linear to_query{2, 3};
  Linear to_key{4, 3};
  void fields(Visitor& visit) override { visit("to_query", to_query)("to_key", to_key); }
  Tensor forward(const Operand& x, const Operand& context) override {
    return mul(to_query(x), to_key(context));
  }
};

struct Conditioned : Module {
  CrossAttention attention;
  Buffer context{Tensor::ones({1, 4})};
  void fields(Visitor& visit) override { visit("attention", attention)("context", context); }
  Tensor forward(const Operand& x) override { return attention(x, context); }
};

TEST(SeveralInputs, AreAModuleLikeAnyOther) {
  Conditioned net;
  EXPECT_EQ(parameters(net).size(), 4U);
  EXPECT_EQ(named_parameters(net)[0].name, "attention.to_query.weight");
  Tape tape;
  tape.backward(sum(net(Tensor::ones({1, 2}))));
  EXPECT_TRUE(net.attention.to_key.bias.grad().defined());
  const CrossAttention copy = net.attention;
  EXPECT_EQ(to_string(copy).rfind("CrossAttention(\n  (to_query): Linear", 0), 0U);
}

TEST(SeveralInputs, ErrorsHaveThePathAndTheLine) {
  Conditioned net;
  net.context = Buffer(Tensor::ones({1, 5}));
  expect_throws<ShapeError>(
      [&] {
        net(Tensor::ones({1, 2}));
      },
      {"[linear] attention.to_key: input features", "module_call_test.cpp"});
  const Tensor x = Tensor::ones({1, 2});
  const std::string line = "module_call_test.cpp:" + std::to_string(__LINE__ + 1);
  expect_throws<ShapeError>([&] { net.attention(x, x); }, {"[linear] to_key: ", line});
}

TEST(SeveralInputs, HaveNoPlaceWhereOneIsGiven) {
  Sequential net{ReLU(), CrossAttention()};
  expect_throws<ValueError>(
      [&] {
        net(Tensor::ones({1, 2}));
      },
      {"[CrossAttention] 1: inputs: got 1, wanted 2", "module_call_test.cpp"});
}

TEST(SeveralInputs, ForgottenMembersAreFoundThereToo) {
  struct Forgetful : CrossAttention {
    Linear more{2, 2};
  } net;
  expect_throws<ValueError>(
      [&] {
        net(Tensor::ones({1, 2}), Tensor::ones({1, 4}));
      },
      {"[Forgetful] fields() lists 2 of 3", "a Linear after to_key"});
}

// Inputs that are no operands, and several outputs.
struct Recurrent : ModuleOf<std::pair<Tensor, Tensor>(const Operand&, const Operand&, bool)> {
  Linear fc{2, 2};
  void fields(Visitor& visit) override { visit("fc", fc); }
  std::pair<Tensor, Tensor> forward(const Operand& x, const Operand& state, bool keeps) override {
    const Tensor next = keeps ? state.tensor() : fc(add(x, state));
    return {add(next, 1), next};
  }
};

TEST(SeveralInputs, MayBeOfAnyTypeAndGiveAnyResult) {
  Recurrent cell;
  const Tensor state = Tensor::full({1, 2}, 3);
  const auto [output, kept] = cell(Tensor::ones({1, 2}), state, true);
  EXPECT_TRUE(kept.shares_storage_with(state));
  EXPECT_EQ(output.to_vector<float>(), std::vector<float>(2, 4));
  HookHandle hook = cell.register_forward_hook([](auto&, const auto&, Tensor&) {});
  expect_throws<ValueError>(
      [&] {
        cell(Tensor::ones({1, 2}), state, true);
      },
      {"[Recurrent] a forward hook", "one Tensor"});
  hook.remove();
  cell.register_forward_pre_hook([](Module&, std::vector<Operand>& inputs) {
    ASSERT_EQ(inputs.size(), 2U) << "the operands";
    inputs[1] = Tensor::full({1, 2}, 8);
  });
  EXPECT_EQ(cell(Tensor::ones({1, 2}), state, true).second.to_vector<float>(),
            std::vector<float>(2, 8));
}

TEST(ForwardHooks, SeeAndMayReplaceInputsAndOutput) {
  Sequential net{Linear(2, 2), ReLU()};
  std::vector<std::string> calls;
  const Tensor x = tensor<float>({1, -2}, {1, 2});
  net[1].register_forward_pre_hook([&](Module& module, std::vector<Operand>& inputs) {
    calls.push_back("before " + module.type_name());
    inputs[0] = x;
  });
  net[1].register_forward_hook(
      [&](Module&, const std::vector<Operand>& inputs, const Tensor& output) {
        calls.emplace_back("after");
        EXPECT_TRUE(inputs[0].shares_storage_with(x)) << "as the pre-hook left it";
        EXPECT_EQ(output.to_vector<float>(), (std::vector<float>{1, 0}));
      });
  net[1].register_forward_hook(
      [&](Module&, const std::vector<Operand>&, Tensor& output) { output = mul(output, 5); });
  EXPECT_EQ(net(Tensor::ones({1, 2})).to_vector<float>(), (std::vector<float>{5, 0}));
  EXPECT_EQ(calls, (std::vector<std::string>{"before ReLU", "after"}));
}

TEST(ForwardHooks, AreRemovedByTheirHandleAlone) {
  ReLU module;
  int calls = 0;
  const auto count = [&](Module&, const std::vector<Operand>&, Tensor&) { ++calls; };
  HookHandle first = module.register_forward_hook(count);
  { const HookHandle forgotten = module.register_forward_hook(count); }
  HookHandle itself;
  itself = module.register_forward_hook(
      [&](Module&, const std::vector<Operand>&, Tensor&) { itself.remove(); });
  HookHandle before = module.register_forward_pre_hook([&](Module&, auto&) { calls += 10; });
  module(Tensor::ones({1}));
  EXPECT_EQ(calls, 12);
  first.remove();
  first.remove();
  before.remove();
  module(Tensor::ones({1}));
  EXPECT_EQ(calls, 13);
  HookHandle late;
  {
    ReLU gone;
    late = gone.register_forward_hook(count);
  }
  EXPECT_NO_THROW(late.remove()) << "its module is gone";
}

TEST(ForwardHooks, AreCopiedWithTheModuleAndNotAssigned) {
  ReLU module;
  int calls = 0;
  HookHandle hook =
      module.register_forward_hook([&](Module&, const std::vector<Operand>&, Tensor&) { ++calls; });
  ReLU copy = module;
  hook.remove();
  module(Tensor::ones({1}));
  EXPECT_EQ(calls, 0);
  copy(Tensor::ones({1}));
  EXPECT_EQ(calls, 1) << "the handle is of the original";
  ReLU moved = std::move(copy);
  moved(Tensor::ones({1}));
  EXPECT_EQ(calls, 2);
  ReLU plain;
  plain = moved;
  plain(Tensor::ones({1}));
  EXPECT_EQ(calls, 2);
  moved = plain;
  moved(Tensor::ones({1}));
  EXPECT_EQ(calls, 3) << "it keeps its own";
}

TEST(ForwardHooks, ErrorsOfTheirsHaveThePath) {
  Sequential net{ReLU(), ReLU()};
  net[1].register_forward_pre_hook([](Module&, std::vector<Operand>& inputs) { inputs.clear(); });
  expect_throws<ValueError>([&] { net(Tensor::ones({1})); },
                            {"[ReLU] 1: a pre-hook left 0 inputs, wanted 1"});
}

TEST(ForwardHooks, AreOnTheTape) {
  Linear layer(2, 2);
  layer.register_forward_hook(
      [](Module&, const std::vector<Operand>&, Tensor& output) { output = mul(output, 3); });
  Tape tape;
  tape.backward(sum(layer(Tensor::ones({1, 2}))));
  EXPECT_EQ(layer.bias.grad().to_vector<float>(), std::vector<float>(2, 3));
}

struct Blocks : Module {
  ModuleList blocks{Linear(2, 3), ReLU()};
  void fields(Visitor& visit) override { visit("blocks", blocks); }
  Tensor forward(const Operand& x) override {
    Tensor y = x;
    for (Module& block : blocks) {
      y = block(y);
    }
    return y;
  }
};

TEST(ModuleLists, OwnTheirModulesUnderTheirNumbers) {
  Blocks net;
  net.blocks.append(Linear(3, 1));
  ASSERT_EQ(net.blocks.size(), 3U);
  EXPECT_EQ(named_parameters(net)[2].name, "blocks.2.weight");
  EXPECT_EQ(net(Tensor::ones({5, 2})).shape(), (Shape{5, 1}));
  EXPECT_EQ(to_string(net),
            "Blocks(\n"
            "  (blocks): ModuleList(\n"
            "    (0): Linear(in_features=2, out_features=3, bias=True)\n"
            "    (1): ReLU()\n"
            "    (2): Linear(in_features=3, out_features=1, bias=True)\n"
            "  )\n"
            ")");
  expect_throws<ShapeError>([&] { net(Tensor::ones({5, 3})); }, {"[linear] blocks.0: "});
  net.eval();
  EXPECT_FALSE(net.blocks[1].is_training());
}

TEST(ModuleLists, AreCopiedDeeplyAndHaveNoForward) {
  Blocks net;
  Blocks copy = net;
  named_parameters(copy)[0].parameter->assign(Tensor::zeros({3, 2}));
  EXPECT_NE(named_parameters(net)[0].parameter->value().to_vector<float>(),
            std::vector<float>(6, 0));
  const Tensor own = named_parameters(net)[0].parameter->value();
  net = copy;
  EXPECT_EQ(own.to_vector<float>(), std::vector<float>(6, 0)) << "the elements alone";
  ModuleList none;
  EXPECT_TRUE(none.begin() == none.end());
  expect_throws<ValueError>(
      [&] {
        net.blocks(Tensor::ones({1, 2}));
      },
      {"[ModuleList] it has no forward", "module_call_test.cpp"});
}

}  // namespace
}  // namespace warptape
