// Gradients that are recorded themselves. Those of every op are checked by its cases
// (tests/kernels/second_gradient_check.h), those of whole models by
// tests/layers/double_backward_test.cpp.

#include <gtest/gtest.h>

#include "core/linear_map.h"
#include "kernels/ops.h"
#include "tests/core/expect_throws.h"
#include "tests/core/hand_made_op.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

using Doubles = std::vector<double>;
const GradientsOptions graph = {.create_graph = true};

Tensor doubles(const Doubles& values) {
  return tensor(values, {static_cast<int64_t>(values.size())});
}

TEST(CreateGraph, AnyOrderOfAPolynomial) {
  Tensor x = doubles({2, -1});
  Tape tape;
  tape.watch(x);
  const Tensor y = sum(x * x * x * x);
  const Tensor first = tape.gradients(y, {x}, graph)[0];
  const Tensor second = tape.gradients(sum(first), {x}, graph)[0];
  const Tensor third = tape.gradients(sum(second), {x}, graph)[0];
  const Tensor fourth = tape.gradients(sum(third), {x}, graph)[0];
  EXPECT_EQ(first.to_vector<double>(), (Doubles{32, -4}));
  EXPECT_EQ(second.to_vector<double>(), (Doubles{48, 12}));
  EXPECT_EQ(third.to_vector<double>(), (Doubles{48, -24}));
  EXPECT_EQ(fourth.to_vector<double>(), (Doubles{24, 24}));
}

TEST(CreateGraph, BackwardThroughGradientsFillsParameters) {
  const Parameter a(doubles({3}));
  const Parameter b(doubles({2}));
  Tape tape;
  const std::vector<Tensor> g = tape.gradients(sum(a * a * b), {a, b}, graph);  // 2ab, a^2
  EXPECT_FALSE(a.grad().defined());
  tape.backward(sum(g[0] * g[1]));  // 2 a^3 b
  EXPECT_EQ(a.grad().to_vector<double>(), (Doubles{108}));
  EXPECT_EQ(b.grad().to_vector<double>(), (Doubles{54}));
  EXPECT_TRUE(tape.is_closed());
}

TEST(CreateGraph, WithoutItGradientsAreConstants) {
  Tensor x = doubles({2});
  Tape tape;
  tape.watch(x);
  EXPECT_EQ(tape.gradients(x * x, {x})[0].tape_handle().tape, 0U);
}

TEST(CreateGraph, TheSeedIsPartOfTheGraph) {
  Tensor x = doubles({2, 3});
  Tensor seed = doubles({5, 7});
  Tape tape;
  tape.watch(x);
  tape.watch(seed);
  const Tensor y = x * x;
  const Tensor g = tape.gradients(y, {x}, {.seed = seed, .create_graph = true})[0];
  EXPECT_EQ(g.to_vector<double>(), (Doubles{20, 42}));
  const std::vector<Tensor> second = tape.gradients(sum(g), {x, seed}, {.keep = true});
  EXPECT_EQ(second[0].to_vector<double>(), (Doubles{10, 14}));
  EXPECT_EQ(second[1].to_vector<double>(), (Doubles{4, 6}));
  // With the tape's own seed there is one element.
  expect_throws<ShapeError>([&] { tape.gradients(y, {x}, graph); }, {"(2,)", "seed"});
  expect_throws<ShapeError>([&] { tape.gradients(y, {x}, {.seed = doubles({1})}); },
                            {"seed", "(1,)", "(2,)"});
}

TEST(CreateGraph, OneTensorInTwoPlacesGetsASumThatIsRecorded) {
  Tensor x = doubles({3});
  Tape tape;
  tape.watch(x);
  const Tensor square = x * x;
  const Tensor g = tape.gradients(sum(square * square + square), {x}, graph)[0];  // 4x^3 + 2x
  EXPECT_EQ(g.to_vector<double>(), (Doubles{114}));
  EXPECT_EQ(tape.gradients(sum(g), {x})[0].to_vector<double>(), (Doubles{110}));
}

TEST(CreateGraph, AnOpThatCannotIsNamedAndNothingIsDone) {
  const Parameter a(doubles({3}));
  Tape tape;
  const Tensor cut = hand_made(a, [](Backward& context) { pass_on(context, 0); });
  const Tensor y = sum(cut * a);
  expect_throws<NotDifferentiable>([&] { tape.gradients(y, {a}, graph); },
                                   {"create_graph", "hand_made", "create_graph_test.cpp"});
  EXPECT_FALSE(tape.is_closed());
  EXPECT_EQ(tape.gradients(y, {a})[0].to_vector<double>(), (Doubles{6}));
}

TEST(CreateGraph, AnOpThatCannotDoesNoHarmBesideTheWay) {
  const Parameter a(doubles({3}));
  const Parameter b(doubles({2}));
  Tape tape;
  const Tensor beside = hand_made(b, [](Backward& context) { pass_on(context, 0); });
  const Tensor g = tape.gradients(sum(beside * a * a), {a}, graph)[0];  // 2 b a
  EXPECT_EQ(g.to_vector<double>(), (Doubles{12}));
  EXPECT_EQ(tape.gradients(sum(g), {a})[0].to_vector<double>(), (Doubles{4}));
}

TEST(CreateGraph, ABackwardThatWritesPastTheGraphIsAnError) {
  const Parameter a(doubles({3}));
  Tape tape;
  const Operand x(a);
  Tensor y = a.value().detach().clone();
  tape.record(
      "careless", {&x}, {&y}, [](Backward& context) { pass_on(context, 0); },
      Differentiable::Twice);
  expect_throws<TapeError>([&] { tape.gradients(sum(y), {a}, graph); },
                           {"into", "give()", "careless"});
}

TEST(CreateGraph, WhatWasWrittenToSinceIsAnError) {
  Tensor x = doubles({3});
  Tape tape;
  tape.watch(x);
  const Tensor y = x * x;
  x.mutable_data<double>()[0] = 4;
  expect_throws<TapeError>([&] { tape.gradients(sum(y), {x}, graph); }, {"written to", "mul"});
}

TEST(CreateGraph, LinearMapsGoBothWaysForEver) {
  Tensor x = doubles({1, 2});
  Tensor seed = doubles({1, 1});
  Tape tape;
  tape.watch(x);
  tape.watch(seed);
  const Operand operand(x);
  const LinearMap tripled{"tripled", [](const Tensor& t) { return t * 3; },
                          [](const Tensor& t) { return t * 3; }};
  Tensor y = x.detach() * 3;
  tape.record(
      "tripled", {&operand}, {&y}, [&](Backward& context) { give_transposed(context, tripled); },
      Differentiable::Twice);
  const Tensor g = tape.gradients(y, {x}, {.seed = seed, .create_graph = true})[0];
  const Tensor by_seed = tape.gradients(sum(g * g), {seed}, graph)[0];  // 18 seed
  EXPECT_EQ(by_seed.to_vector<double>(), (Doubles{18, 18}));
  EXPECT_EQ(tape.gradients(sum(by_seed), {seed})[0].to_vector<double>(), (Doubles{18, 18}));
}

TEST(CreateGraph, GradientsKeepDtypesAndFormats) {
  for (const Device device : available_devices()) {
    for (const DType dtype : {float32, float64, bfloat16}) {
      Tensor x = Tensor::ones({2, 3, 4, 4}).to(dtype).to(MemoryFormat::ChannelsLast).to(device);
      const Tensor w = Tensor::ones({2, 3, 3, 3}).to(dtype).to(device);
      Tape tape;
      tape.watch(x);
      const Tensor y = conv2d(x, w, Tensor(), {.padding = 1});
      const Tensor g = tape.gradients(sum(y * y), {x}, graph)[0];
      EXPECT_EQ(g.dtype(), dtype);
      EXPECT_EQ(g.memory_format(), MemoryFormat::ChannelsLast);
      EXPECT_EQ(g.device(), device);
      const Tensor second = tape.gradients(sum(g), {x})[0];
      EXPECT_EQ(second.dtype(), dtype);
    }
  }
}

}  // namespace
}  // namespace warptape
