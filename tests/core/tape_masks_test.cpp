// Gradients that go through the mask of the op which made a tensor, in the record that makes their
// last part.

#include <gtest/gtest.h>

#include "kernels/ops.h"
#include "tests/core/expect_throws.h"
#include "tests/core/hand_made_op.h"

namespace warptape {
namespace {

using Values = std::vector<float>;

// What the records of a test saw, in the order of the walk.
struct Seen {
  std::vector<bool> offered;  // whether a reader was offered the mask
  bool was_masked = false;
  Values gradient;  // of the masked op's output
};

// A copy of x that asks for its gradient masked.
Tensor asking(const Operand& x, Seen& seen) {
  auto mask = std::make_shared<GradientMask>();
  mask->marks = Tensor::full(x.shape(), gradient_marks::inner, uint8);
  mask->scale = 10;
  Tensor y = x.detach().clone();
  Tape* const tape = Tape::recording({&x});
  tape->record("asking", {&x}, {&y}, [&seen](Backward& context) {
    seen.was_masked = context.grad_is_masked();
    const Tensor gradient = context.take_grad();
    seen.gradient = gradient.to_vector<float>();
    context.give(0, gradient);
  });
  tape->take_gradient_masked(y, mask);
  return y;
}

// A copy of its first input whose backward masks where it may.
Tensor reader(std::initializer_list<const Operand*> inputs, Seen& seen) {
  const int count = static_cast<int>(inputs.size());
  return hand_made(inputs, [&seen, count](Backward& context) {
    for (int i = 0; i < count; ++i) {
      const GradientMask* const mask = context.mask_of(i);
      seen.offered.push_back(mask != nullptr);
      if (mask == nullptr) {
        pass_on(context, i);
        continue;
      }
      Tensor sum = context.grad().clone();
      if (const Tensor part = context.take_part(i); part.defined()) {
        primitives::add(part, sum);
      }
      context.give_masked(i, {mul(sum, mask->scale), Tensor()});
    }
  });
}
Tensor reader(const Operand& x, Seen& seen) {
  return reader({&x}, seen);
}

TEST(TapeMasks, AreAppliedByTheOnlyReader) {
  const Parameter a(tensor(Values{1, 2}, {2}));
  Seen seen;
  Tape tape;
  tape.backward(sum(reader(asking(a, seen), seen)));
  EXPECT_EQ(seen.offered, std::vector<bool>{true});
  EXPECT_TRUE(seen.was_masked);
  EXPECT_EQ(seen.gradient, (Values{10, 10}));
}

TEST(TapeMasks, AreAppliedByTheLastOfSeveral) {
  const Parameter a(tensor(Values{1, 2}, {2}));
  Seen seen;
  Tape tape;
  const Tensor h = asking(a, seen);
  const Tensor first = reader(h, seen);
  tape.backward(sum(add(reader(h, seen), first)));
  EXPECT_EQ(seen.offered, (std::vector<bool>{false, true}));
  EXPECT_EQ(seen.gradient, (Values{20, 20}));
}

TEST(TapeMasks, PassReadersWithoutInfluence) {
  const Parameter a(tensor(Values{1, 2}, {2}));
  Seen seen;
  Tape tape;
  const Tensor h = asking(a, seen);
  reader(h, seen);
  tape.backward(sum(reader(h, seen)));
  EXPECT_EQ(seen.offered, std::vector<bool>{true});
}

TEST(TapeMasks, AreLeftToTheOpWhereTheLastReaderKnowsNone) {
  const Parameter a(tensor(Values{1, 2}, {2}));
  Seen seen;
  Tape tape;
  const Tensor h = asking(a, seen);
  const Tensor first = tanh(h);
  tape.backward(sum(add(reader(h, seen), first)));
  EXPECT_EQ(seen.offered, std::vector<bool>{false});
  EXPECT_FALSE(seen.was_masked);
}

TEST(TapeMasks, AreNotOfferedForTwoInputsOfOneOp) {
  const Parameter a(tensor(Values{1, 2}, {2}));
  Seen seen;
  Tape tape;
  const Operand h = asking(a, seen);
  tape.backward(sum(reader({&h, &h}, seen)));
  EXPECT_EQ(seen.offered, (std::vector<bool>{false, false}));
  EXPECT_EQ(seen.gradient, (Values{2, 2}));
}

TEST(TapeMasks, AreNotOfferedWhereTheGradientIsAskedFor) {
  const Parameter a(tensor(Values{1, 2}, {2}));
  Seen seen;
  Tape tape;
  const Tensor h = asking(a, seen);
  const std::vector<Tensor> gradients = tape.gradients(sum(reader(h, seen)), {h, a});
  EXPECT_EQ(seen.offered, std::vector<bool>{false});
  EXPECT_EQ(gradients[0].to_vector<float>(), (Values{1, 1}));
}

TEST(TapeMasks, AreAppliedAnewInEveryWalk) {
  const Parameter a(tensor(Values{1, 2}, {2}));
  Seen seen;
  Tape tape;
  const Tensor h = asking(a, seen);
  const Tensor masks = sum(reader(h, seen));
  const Tensor masks_not = sum(tanh(h));
  tape.backward(masks, {.keep = true});
  EXPECT_TRUE(seen.was_masked);
  tape.backward(masks_not, {.keep = true});
  EXPECT_FALSE(seen.was_masked);
  tape.backward(masks, {.keep = true});
  EXPECT_EQ(seen.gradient, (Values{10, 10}));
}

TEST(TapeMasks, WhoWasNotAskedCannotGiveOne) {
  const Parameter a(tensor(Values{1, 2}, {2}));
  Tape tape;
  const Tensor y = hand_made(a, [](Backward& context) {
    context.give_masked(0, {context.grad().clone(), Tensor()});
  });
  expect_throws<TapeError>([&] { tape.backward(sum(y)); }, {"nobody asked this record for it"});
}

}  // namespace
}  // namespace warptape
