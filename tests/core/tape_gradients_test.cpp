// Tape::gradients: returned instead of stored, and only what was asked for.

#include <gtest/gtest.h>

#include "kernels/ops.h"
#include "tests/core/hand_made_op.h"

namespace warptape {
namespace {

using Values = std::vector<float>;

Tensor of(const Values& values) {
  return tensor(values, {static_cast<int64_t>(values.size())});
}

Values grad_of(const Parameter& parameter) {
  return parameter.grad().defined() ? parameter.grad().to_vector<float>() : Values{};
}

TEST(TapeGradients, AreReturnedAndNotStored) {
  const Parameter a(of({1, 2}));
  const Parameter b(of({3, 4}));
  a.state()->grad = of({-1, -1});
  a.state()->grad_is_empty = false;
  Tape tape;
  const std::vector<Tensor> found = tape.gradients(sum(mul(a, b)), {a, b});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].to_vector<float>(), (Values{3, 4}));
  EXPECT_EQ(found[1].to_vector<float>(), (Values{1, 2}));
  EXPECT_EQ(grad_of(a), (Values{-1, -1}));
  EXPECT_FALSE(b.grad().defined());
  EXPECT_TRUE(tape.is_closed());
}

TEST(TapeGradients, OnlyThePathToXIsWalked) {
  const Parameter a(of({2}));
  const Parameter b(of({3}));
  int calls = 0;
  std::vector<bool> needs;
  Tape tape;
  const Operand left = mul(a, a);
  const Operand right = hand_made(b, [&](Backward&) { ++calls; });
  const Tensor y = hand_made({&left, &right}, [&](Backward& context) {
    needs = {context.needs(0), context.needs(1)};
    pass_on(context, 0);
  });
  EXPECT_EQ(tape.gradients(y, {a})[0].to_vector<float>(), (Values{4}));
  EXPECT_EQ(needs, (std::vector<bool>{true, false}));
  EXPECT_EQ(calls, 0);
  EXPECT_FALSE(b.grad().defined());
}

TEST(TapeGradients, MayBeByTensorsInTheMiddle) {
  const Parameter a(of({2}));
  Tape tape;
  const Tensor square = mul(a, a);
  const Tensor cube = mul(square, a);
  const std::vector<Tensor> found = tape.gradients(cube, {square, cube});
  EXPECT_EQ(found[0].to_vector<float>(), (Values{2}));
  EXPECT_EQ(found[1].to_vector<float>(), (Values{1}));
}

TEST(TapeGradients, WithoutInfluenceAreUndefined) {
  const Parameter a(of({2}));
  const Parameter unused(of({2}));
  Tape tape;
  const Tensor other = mul(unused, unused);
  const std::vector<Tensor> found = tape.gradients(mul(a, a), {unused, a, other, of({1})});
  EXPECT_FALSE(found[0].defined());
  EXPECT_TRUE(found[1].defined());
  EXPECT_FALSE(found[2].defined());
  EXPECT_FALSE(found[3].defined());
}

TEST(TapeGradients, RepeatedXsGetTheSame) {
  const Parameter a(of({2}));
  Tape tape;
  const Tensor square = mul(a, a);
  const std::vector<Tensor> found = tape.gradients(mul(square, a), {a, square, a, square});
  EXPECT_EQ(found[0].to_vector<float>(), (Values{12}));
  EXPECT_EQ(found[2].to_vector<float>(), (Values{12}));
  EXPECT_EQ(found[1].to_vector<float>(), (Values{2}));
  EXPECT_EQ(found[3].to_vector<float>(), (Values{2}));
}

TEST(TapeGradients, KeptTapesAreAsBefore) {
  const Parameter a(of({2}));
  Tape tape;
  const Tensor square = mul(a, a);
  const Tensor cube = mul(square, a);
  tape.gradients(cube, {a, square, a, square}, {.keep = true});
  EXPECT_FALSE(tape.is_closed());
  EXPECT_THROW(tape.gradient(square), TapeError) << "nobody watches it";
  EXPECT_EQ(tape.dot().find("leaf"), std::string::npos);
  tape.backward(cube);
  EXPECT_EQ(grad_of(a), (Values{12}));
}

TEST(TapeGradients, OfWatchedTensors) {
  Tape tape;
  Tensor x = of({3});
  tape.watch(x);
  EXPECT_EQ(tape.gradients(mul(x, x), {x})[0].to_vector<float>(), (Values{6}));
}

}  // namespace
}  // namespace warptape
