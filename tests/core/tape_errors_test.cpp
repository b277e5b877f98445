#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "kernels/ops.h"
#include "tests/core/expect_throws.h"
#include "tests/core/hand_made_op.h"

namespace warptape {
namespace {

Parameter two(float a, float b) {
  return Parameter(tensor<float>({a, b}, {2}));
}

std::string here(int line) {
  return "tape_errors_test.cpp:" + std::to_string(line);
}

TEST(TapeErrors, BackwardOfSeveralElementsNeedsASeed) {
  const Parameter a = two(1, 2);
  Tape tape;
  const Tensor y = mul(a, a);
  const int line = __LINE__ + 1;
  expect_throws<ShapeError>([&] { tape.backward(y); }, {"[backward]", "(2,)", here(line)});
  EXPECT_FALSE(tape.is_closed());
  expect_throws<ShapeError>([&] { tape.gradients(y, {a}); }, {"[gradients]", "(2,)"});
  expect_throws<Error>([&] { tape.backward(Tensor()); }, {"[backward]", "undefined"});
}

TEST(TapeErrors, SeedsNeedTheShapeAndDtypeOfTheTensor) {
  const Parameter a = two(1, 2);
  const auto backward_with = [&](const Tensor& seed) {
    Tape tape;
    tape.backward(mul(a, a), seed);
  };
  expect_throws<ShapeError>([&] { backward_with(Tensor::ones({3})); },
                            {"[backward] seed", "(3,)", "(2,)", "tape_errors_test.cpp"});
  expect_throws<ShapeError>([&] { backward_with(Tensor::ones({2, 1})); }, {"(2, 1)"});
  expect_throws<DTypeError>([&] { backward_with(Tensor::ones({2}, float64)); },
                            {"[backward] seed", "float64", "float32"});
  EXPECT_FALSE(a.grad().defined());
}

TEST(TapeErrors, LossesThatDoNotDependOnTheTape) {
  const Parameter a = two(1, 2);
  const Tensor constant = Tensor::ones({});
  Tape tape;
  (void)mul(a, a);
  const int line = __LINE__ + 1;
  expect_throws<TapeError>([&] { tape.backward(constant); },
                           {"[backward]", "does not depend", here(line)});
  expect_throws<TapeError>([&] { tape.gradients(constant, {a}); }, {"[gradients]"});
  expect_throws<TapeError>([&] { tape.backward(sum(mul(a, a)).detach()); }, {"detach() cut off"});
}

TEST(TapeErrors, AClosedTapeCannotBeUsedAgain) {
  const Parameter a = two(1, 2);
  Tape tape;
  const Tensor loss = sum(mul(a, a));
  tape.backward(loss);
  const int line = __LINE__ + 1;
  expect_throws<TapeError>([&] { tape.backward(loss); }, {"[backward]", "closed", here(line)});
  expect_throws<TapeError>([&] { tape.gradients(loss, {a}); }, {"[gradients]", "closed"});
  Tensor x = Tensor::ones({2});
  expect_throws<TapeError>([&] { tape.watch(x); }, {"[watch]", "closed"});
}

TEST(TapeErrors, OnlyTheInnermostTapeCanBeWalked) {
  const Parameter a = two(1, 2);
  Tape outer;
  const Tensor loss = sum(mul(a, a));
  {
    const Tape inner;
    expect_throws<TapeError>([&] { outer.backward(loss); }, {"[backward]", "innermost"});
  }
  EXPECT_NO_THROW(outer.backward(loss));
}

TEST(TapeErrors, TensorsOfALiveOuterTapeNameTheCallersLine) {
  const Parameter a = two(1, 2);
  const Tape outer;
  const Tensor y = mul(a, a);
  const Tape inner;
  const int line = __LINE__ + 1;
  expect_throws<TapeError>([&] { mul(y, a); }, {"innermost", "detach()", here(line)});
  expect_throws<TapeError>([&] { relu(y); }, {here(line + 1)});
  EXPECT_NO_THROW(mul(y.detach(), a));
}

TEST(TapeErrors, TensorsOfAnotherThreadsTape) {
  const Parameter a = two(1, 2);
  const Tape tape;
  const Tensor y = mul(a, a);
  std::thread([&] {
    expect_throws<TapeError>([&] { relu(y); }, {"this thread", "tape_errors_test.cpp"});
    const Tape own;
    expect_throws<TapeError>([&] { relu(y); }, {"this thread"});
    EXPECT_NO_THROW(relu(y.detach()));
  }).join();
}

TEST(TapeErrors, ATapeBelongsToItsThread) {
  const Parameter a = two(1, 2);
  Tape tape;
  const Tensor loss = sum(mul(a, a));
  std::thread([&] {
    EXPECT_EQ(mul(a, a).tape_handle().tape, 0U);
    expect_throws<TapeError>([&] { tape.backward(loss); }, {"this thread"});
  }).join();
  EXPECT_NO_THROW(tape.backward(loss));
}

TEST(TapeErrors, ASavedTensorWrittenToSinceNamesOpAndPlace) {
  const Parameter a = two(1, 2);
  Tensor x = tensor<float>({3, 4}, {2});
  Tape tape;
  const int line = __LINE__ + 1;
  const Tensor y = mul(a, x);
  const Tensor loss = sum(y);
  x.mutable_data<float>()[0] = 9;
  expect_throws<TapeError>([&] { tape.backward(loss); },
                           {"written to since", "(2,)", "mul was recorded", here(line)});
}

TEST(TapeErrors, AParameterUpdatedBetweenForwardAndBackward) {
  Parameter a = two(1, 2);
  Parameter b = two(3, 4);
  Tape tape;
  const Tensor loss = sum(mul(a, b));
  b.assign(tensor<float>({5, 6}, {2}));
  expect_throws<TapeError>([&] { tape.backward(loss); }, {"mul was recorded"});
}

TEST(TapeErrors, WritesThroughViewsCount) {
  const Parameter a = two(1, 2);
  const Tensor x = tensor<float>({3, 4}, {2});
  Tape tape;
  const Tensor loss = sum(mul(a, x));
  Tensor part = x.slice(1, 2);
  primitives::fill(part, 0);
  expect_throws<TapeError>([&] { tape.backward(loss); }, {"mul was recorded"});
}

TEST(TapeErrors, WritesToWhatNoOpSavedAreFine) {
  Parameter a = two(1, 2);
  Tensor x = tensor<float>({3, 4}, {2});
  Tape tape;
  const Tensor loss = sum(add(a, x));
  primitives::fill(x, 0);
  a.assign(Tensor::zeros({2}));
  tape.backward(loss);
  EXPECT_EQ(a.grad().to_vector<float>(), (std::vector<float>{1, 1}));
}

TEST(TapeErrors, AnomalyModeNamesTheForwardLine) {
  const Parameter a = two(0, 1);
  Tape tape({.detect_anomaly = true});
  const int line = __LINE__ + 1;
  const Tensor y = log(a);
  const Tensor loss = sum(mul(y, 2));
  expect_throws<TapeError>([&] { tape.backward(loss); }, {"[anomaly]", "log", "(2,)", here(line)});
}

TEST(TapeErrors, AnomalyModeStopsAtTheFirstFaultOnly) {
  const Parameter a = two(0, 1);
  Tape tape({.detect_anomaly = true});
  const int line = __LINE__ + 1;
  const Tensor root = exp(mul(log(a), 0.5));
  expect_throws<TapeError>([&] { tape.backward(sum(mul(root, root))); }, {"log", here(line)});
}

TEST(TapeErrors, AnomalyModeLetsFiniteGradientsPass) {
  const Parameter a = two(2, 4);
  Tape tape({.detect_anomaly = true});
  tape.backward(sum(log(a)));
  EXPECT_EQ(a.grad().to_vector<float>(), (std::vector<float>{0.5F, 0.25F}));
}

TEST(TapeErrors, WithoutAnomalyModeInfinitiesFlow) {
  const Parameter a = two(0, 1);
  Tape tape;
  tape.backward(sum(log(a)));
  EXPECT_TRUE(std::isinf(a.grad().to_vector<float>()[0]));
}

TEST(TapeErrors, AThrowingBackwardLeavesNoOpenTape) {
  const Parameter a = two(1, 2);
  Tape tape;
  const Tensor y = hand_made(a, [](Backward&) { throw std::bad_alloc(); });
  EXPECT_THROW(tape.backward(sum(y)), std::bad_alloc);
  EXPECT_TRUE(tape.is_closed());
  EXPECT_EQ(mul(a, a).tape_handle().tape, 0U);
  Tape next;
  next.backward(sum(mul(a, a)));
  EXPECT_TRUE(a.grad().defined());
}

TEST(TapeErrors, AnExceptionBetweenForwardAndBackwardClosesTheTape) {
  const Parameter a = two(1, 2);
  try {
    const Tape tape;
    mul(a, Tensor::ones({3}));
    FAIL() << "nothing was thrown";
  } catch (const ShapeError&) {
  }
  EXPECT_EQ(mul(a, a).tape_handle().tape, 0U);
}

TEST(TapeErrors, WatchWantsFloatingTensors) {
  Tape tape;
  Tensor labels = Tensor::zeros({2}, int64);
  expect_throws<DTypeError>([&] { tape.watch(labels); }, {"[watch]", "int64"});
}

TEST(TapeErrors, GradientWantsAWatchedTensor) {
  const Parameter a = two(1, 2);
  Tape tape;
  const Tensor y = mul(a, a);
  tape.backward(sum(y), {.keep = true});
  expect_throws<TapeError>([&] { tape.gradient(y); }, {"[gradient]"});
  expect_throws<TapeError>([&] { tape.gradient(Tensor::ones({2})); }, {"[gradient]"});
}

TEST(TapeErrors, OperatorsNameTheCallersLineToo) {
  const Tensor x = Tensor::ones({2});
  const Tensor y = Tensor::ones({3});
  const int line = __LINE__ + 1;
  expect_throws<ShapeError>([&] { (void)(x + y); }, {"[add]", here(line)});
  expect_throws<ShapeError>([&] { (void)(x - y); }, {"[sub]", here(line + 1)});
  expect_throws<ShapeError>([&] { (void)(x * y); }, {"[mul]", here(line + 2)});
  expect_throws<ShapeError>([&] { (void)(x / y); }, {"[div]", here(line + 3)});
}

}  // namespace
}  // namespace warptape
