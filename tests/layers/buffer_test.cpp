// Tensors of a module that are not trained.

#include "core/buffer.h"

#include <gtest/gtest.h>

#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "layers/state_dict.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/devices.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

// Counts its calls, and adds what it has counted.
struct Counter : Module {
  Parameter scale{Tensor::ones({2})};
  Buffer calls{Tensor::zeros({1})};
  Buffer scratch{Tensor::zeros({2, 1, 1, 3}), {.persistent = false}};
  Buffer none;
  void fields(Visitor& visit) override {
    visit("scale", scale)("calls", calls)("scratch", scratch)("none", none);
  }
  Tensor forward(const Operand& x) override {
    if (is_training()) {
      calls.set_value(add(calls, 1));
    }
    return add(mul(x, scale), calls);
  }
};

std::vector<std::string> keys(const Module& module) {
  std::vector<std::string> result;
  for (const auto& [key, tensor] : state_dict(module)) {
    result.push_back(key);
  }
  return result;
}

TEST(Buffers, StandInStateDictsAndAreNoParameters) {
  Sequential net(Counter(), Linear(2, 2));
  EXPECT_EQ(keys(net), (std::vector<std::string>{"0.scale", "0.calls", "1.weight", "1.bias"}));
  EXPECT_EQ(parameters(net).size(), 3U);
  EXPECT_EQ(count_parameters(net), 2 + 4 + 2);
  std::vector<std::string> names;
  for (const NamedBuffer& named : named_buffers(net)) {
    names.push_back(named.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"0.calls", "0.scratch"}));
  EXPECT_EQ(to_string(net).find("calls"), std::string::npos) << "as PyTorch";
}

TEST(Buffers, AreLoadedByName) {
  Counter from;
  from(Tensor::ones({2}));
  from(Tensor::ones({2}));
  Counter into;
  const Tensor before = into.calls.value();
  load_state_dict(into, state_dict(from));
  EXPECT_EQ(into.calls.value().item(), 2);
  EXPECT_TRUE(into.calls.value().shares_storage_with(before));
  StateDict state = state_dict(from);
  state[1].second = tensor<double>({5}, {1});
  load_state_dict(into, state);
  EXPECT_EQ(into.calls.value().item(), 5) << "cast to the buffer's dtype";
  state[1].second = Tensor::zeros({2});
  expect_throws<ValueError>([&] { load_state_dict(into, state); },
                            {"mis-shaped: calls: got (2,), wanted (1,)"});
  state.erase(state.begin() + 1);
  expect_throws<ValueError>([&] { load_state_dict(into, state); }, {"missing: calls (1,)"});
  state = state_dict(from);
  state.emplace_back("scratch", Tensor::zeros({2, 1, 1, 3}));
  expect_throws<ValueError>([&] { load_state_dict(into, state); }, {"unexpected: scratch"});
}

TEST(Buffers, AreCopiedWithTheirModule) {
  Counter net;
  net(Tensor::ones({2}));
  Counter copy = net;
  EXPECT_FALSE(copy.calls.value().shares_storage_with(net.calls.value())) << "written in place";
  net(Tensor::ones({2}));
  EXPECT_EQ(copy.calls.value().item(), 1);
  EXPECT_FALSE(copy.calls.value().shares_storage_with(net.calls.value()));
  EXPECT_FALSE(copy.scratch.is_persistent());
  const Tensor own = copy.calls.value();
  copy = net;
  EXPECT_EQ(copy.calls.value().item(), 2);
  EXPECT_TRUE(copy.calls.value().shares_storage_with(own)) << "the elements alone";
  copy.none = Buffer(Tensor::ones({3}));
  copy = net;
  EXPECT_FALSE(copy.none.defined());
  const Counter moved = std::move(copy);
  EXPECT_EQ(moved.calls.value().item(), 2);
}

TEST(Buffers, HaveNoGradient) {
  for (Device device : available_devices()) {
    Counter net;
    net.to(device);
    SGD optimizer(parameters(net), {.lr = 0.5});
    for (int step = 1; step <= 3; ++step) {
      optimizer.zero_grad();
      Tape tape;
      tape.backward(sum(net(Tensor::ones({2}).to(device))));
      optimizer.step();
      EXPECT_EQ(net.calls.value().item(), step) << "is no parameter, and needs no detach()";
    }
    EXPECT_EQ(net.scale.value().to(cpu).to_vector<float>(), std::vector<float>(2, -0.5F));
  }
}

TEST(Buffers, GoToOtherDevicesInTheFormatThere) {
  for (Device device : available_devices()) {
    Counter net;
    net.to(device);
    EXPECT_EQ(net.calls.value().device(), device);
    EXPECT_EQ(net.scratch.value().device(), device);
    EXPECT_EQ(net.scratch.value().memory_format(),
              device == cpu ? MemoryFormat::RowMajor : MemoryFormat::ChannelsLast);
    Counter host;
    host.calls.assign(Tensor::full({1}, 7));
    net = host;
    EXPECT_EQ(net.calls.value().device(), device);
    EXPECT_EQ(net.calls.value().item(), 7);
  }
}

TEST(Buffers, AreAssignedByShape) {
  Buffer buffer(tensor<int64_t>({1, 2}, {2}));
  buffer.assign(tensor<float>({3.5F, -4}, {2}));
  EXPECT_EQ(buffer.value().to_vector<int64_t>(), (std::vector<int64_t>{3, -4}));
  expect_throws<ShapeError>([&] { buffer.assign(Tensor::ones({3})); },
                            {"[assign] shape: got (3,), wanted (2,)", "buffer_test.cpp"});
  expect_throws<ValueError>([] { Buffer().assign(Tensor::ones({1})); }, {"undefined"});
}

TEST(Buffers, WhatABackwardPassKeptMustStay) {
  Buffer buffer(Tensor::ones({2}));
  const Parameter weight(Tensor::ones({2}));
  Tape tape;
  const Tensor loss = sum(mul(weight, buffer));
  buffer.assign(Tensor::zeros({2}));
  EXPECT_THROW(tape.backward(loss), TapeError);
}

TEST(Buffers, ShareNoNameWithAnother) {
  struct Twice : Module {
    Parameter a{Tensor::ones({1})};
    Buffer b{Tensor::ones({1})};
    Counter inner;
    std::string name = "a";
    void fields(Visitor& visit) override { visit("a", a)(name, b)("inner", inner); }
    Tensor forward(const Operand& x) override { return x; }
  } net;
  expect_throws<ValueError>([&] { state_dict(net); }, {"two fields with the name \"a\""});
  net.name = "inner.calls";
  expect_throws<ValueError>([&] { state_dict(net); }, {"with the name \"inner.calls\""});
  expect_throws<ValueError>([&] { named_buffers(net); }, {"with the name \"inner.calls\""});
}

}  // namespace
}  // namespace warptape
