// What a backward function may ask for and do.

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

TEST(TapeBackward, NeedsIsFalseForConstantsAndFrozenParameters) {
  const Parameter live(of({1}));
  Parameter frozen(of({1}));
  frozen.set_requires_grad(false);
  const Operand inputs[] = {live, frozen, of({1}), Tensor()};
  std::vector<bool> needs;
  Tape tape;
  tape.backward(hand_made({&inputs[0], &inputs[1], &inputs[2], &inputs[3]}, [&](Backward& context) {
    for (int i = 0; i < 4; ++i) {
      needs.push_back(context.needs(i));
    }
    pass_on(context, 0);
  }));
  EXPECT_EQ(needs, (std::vector<bool>{true, false, false, false}));
}

TEST(TapeBackward, OpsWithoutInfluenceOnTheLossAreNotAsked) {
  const Parameter a(of({1}));
  int calls = 0;
  Tape tape;
  hand_made(a, [&](Backward&) { ++calls; });
  tape.backward(mul(a, a));
  EXPECT_EQ(calls, 0);
}

TEST(TapeBackward, OutputsWithoutInfluenceHaveNoGradient) {
  const Parameter a(of({1, 2}));
  Tape tape;
  const Operand x = a;
  Tensor used = a.value().clone();
  Tensor unused = a.value().clone();
  std::vector<bool> has_grad;
  tape.record("two_outputs", {&x}, {&unused, &used}, [&](Backward& context) {
    has_grad = {context.has_grad(0), context.has_grad(1)};
    context.give(0, context.take_grad(1));
  });
  tape.backward(sum(used));
  EXPECT_EQ(has_grad, (std::vector<bool>{false, true}));
  EXPECT_EQ(grad_of(a), (Values{1, 1}));
}

TEST(TapeBackward, FreesWhatRecordsHoldUnlessKept) {
  const Parameter a(of({1}));
  const auto held = std::make_shared<int>();
  Tape tape;
  const Tensor y = hand_made(a, [held](Backward& context) { pass_on(context, 0); });
  const int64_t recorded = held.use_count();
  EXPECT_GT(recorded, 1);
  tape.backward(y, {.keep = true});
  EXPECT_EQ(held.use_count(), recorded);
  tape.backward(y);
  EXPECT_EQ(held.use_count(), 1);
}

TEST(TapeBackward, GiveMovesWhatNobodyElseHolds) {
  const Parameter a(of({1, 2}));
  const void* given = nullptr;
  const void* received = nullptr;
  Tape tape;
  const Tensor x = hand_made(a, [&](Backward& context) {
    received = context.grad().raw_data();
    pass_on(context, 0);
  });
  const Tensor y = hand_made(x, [&](Backward& context) {
    Tensor gradient = of({5, 6});
    given = gradient.raw_data();
    context.give(0, std::move(gradient));
  });
  tape.backward(sum(y));
  EXPECT_NE(given, nullptr);
  EXPECT_EQ(received, given);
  EXPECT_EQ(grad_of(a), (Values{5, 6}));
}

TEST(TapeBackward, ATakenGradientCanBeMovedOn) {
  const Parameter a(of({1, 2}));
  const void* received = nullptr;
  const void* taken = nullptr;
  Tape tape;
  const Tensor x = hand_made(a, [&](Backward& context) { received = context.grad().raw_data(); });
  tape.backward(sum(hand_made(x, [&](Backward& context) {
    taken = context.grad().raw_data();
    context.give(0, context.take_grad());
  })));
  EXPECT_NE(taken, nullptr);
  EXPECT_EQ(received, taken);
}

TEST(TapeBackward, GiveCopiesWhatSomebodyHolds) {
  const Parameter a(of({1, 2}));
  const Tensor held = of({5, 6});
  const void* received = nullptr;
  Tape tape;
  const Tensor x = hand_made(a, [&](Backward& context) {
    received = context.grad().raw_data();
    pass_on(context, 0);
  });
  tape.backward(sum(hand_made(x, [&](Backward& context) { context.give(0, held); })));
  EXPECT_NE(received, held.raw_data());
  EXPECT_EQ(grad_of(a), (Values{5, 6}));
}

TEST(TapeBackward, GiveToAParameterWritesItsBuffer) {
  Parameter a(of({1, 2}));
  a.state()->grad = of({0, 0});
  const void* buffer = a.state()->grad.raw_data();
  Tape tape;
  tape.backward(sum(hand_made(a, [](Backward& context) { context.give(0, of({5, 6})); })));
  EXPECT_EQ(a.grad().raw_data(), buffer);
  EXPECT_EQ(grad_of(a), (Values{5, 6}));
}

TEST(TapeBackward, GiveBringsAGradientIntoTheInputsFormat) {
  Tape tape;
  Tensor x = primitives::relayout(tensor<float>({0, 1, 2, 3, 4, 5}, {1, 2, 3}),
                                  MemoryFormat::ChannelsLast);
  tape.watch(x);
  tape.backward(sum(hand_made(x, [](Backward& context) {
    context.give(0, tensor<float>({10, 11, 12, 13, 14, 15}, {1, 2, 3}));
  })));
  EXPECT_EQ(tape.gradient(x).memory_format(), MemoryFormat::ChannelsLast);
  EXPECT_EQ(tape.gradient(x).to_vector<float>(), (Values{10, 11, 12, 13, 14, 15}));
}

TEST(TapeBackward, GivenGradientsOfOneTensorAdd) {
  const Parameter a(of({1, 2}));
  Tape tape;
  const Tensor x = hand_made(a, [](Backward& context) { context.give(0, context.take_grad()); });
  const auto give = [](Backward& context) { context.give(0, of({3, 4})); };
  tape.backward(sum(add(hand_made(x, give), hand_made(x, give))));
  EXPECT_EQ(grad_of(a), (Values{6, 8}));
}

TEST(TapeBackward, GradIsOneForTheTapesOwnSeedAlone) {
  const Parameter a(of({2}));
  std::vector<bool> is_one;
  const auto ask = [&](Backward& context) {
    is_one.push_back(context.grad_is_one());
    pass_on(context, 0);
  };
  Tape tape;
  const Tensor inner = hand_made(a, ask);
  const Tensor loss = hand_made(inner, ask);
  const Tensor later = mul(loss, loss);
  tape.backward(loss, {.keep = true});
  EXPECT_EQ(is_one, (std::vector<bool>{true, false}));
  is_one.clear();
  tape.backward(loss, of({1}), {.keep = true});
  EXPECT_EQ(is_one, (std::vector<bool>{false, false})) << "the caller's seed";
  is_one.clear();
  tape.backward(later, {.keep = true});
  EXPECT_EQ(is_one, (std::vector<bool>{false, false})) << "not the loss";
  is_one.clear();
  tape.gradients(loss, {a});
  EXPECT_EQ(is_one, (std::vector<bool>{true, false}));
}

TEST(TapeBackward, KeepsSaysWhetherItMayRunAgain) {
  const Parameter a(of({1}));
  std::vector<bool> keeps;
  Tape tape;
  const Tensor y = hand_made(a, [&](Backward& context) {
    keeps.push_back(context.keeps());
    pass_on(context, 0);
  });
  tape.backward(y, {.keep = true});
  tape.backward(y);
  EXPECT_EQ(keeps, (std::vector<bool>{true, false}));
}

TEST(TapeBackward, OverwriteIsAddedAfterwardsWhereSomethingIsThere) {
  const Parameter a(of({1, 2}));
  const auto write = [](Backward& context) {
    Tensor buffer = context.overwrite(0);
    primitives::fill(buffer, 7);
  };
  for (float wanted : {7.0F, 14.0F}) {
    Tape tape;
    tape.backward(sum(hand_made(a, write)));
    EXPECT_EQ(grad_of(a), (Values{wanted, wanted}));
  }
  Tape tape;
  tape.backward(sum(add(hand_made(a, write), hand_made(a, write))));
  EXPECT_EQ(grad_of(a), (Values{28, 28}));
}

TEST(TapeBackward, IntoSaysWhetherToWriteOrToAdd) {
  const Parameter a(of({1}));
  std::vector<WriteMode> modes;
  const auto into = [&](Backward& context) {
    modes.push_back(context.into(0).mode);
    primitives::fill(a.state()->grad, 1);
  };
  Tape tape;
  tape.backward(sum(add(hand_made(a, into), hand_made(a, into))));
  EXPECT_EQ(modes, (std::vector<WriteMode>{WriteMode::Overwrite, WriteMode::Accumulate}));
}

// A fused backward takes all its buffers first and then writes them together.
TEST(TapeBackward, OneTensorAsBothInputsOfAFusedOpAdds) {
  const auto both_at_once = [](Backward& context) {
    GradientTarget first = context.into(0);
    GradientTarget second = context.into(1);
    const bool add_first = first.mode == WriteMode::Accumulate;
    const bool add_second = second.mode == WriteMode::Accumulate;
    float* to_first = first.buffer.mutable_data<float>();
    float* to_second = second.buffer.mutable_data<float>();
    for (int64_t i = 0; i < 2; ++i) {
      to_first[i] = add_first ? to_first[i] + 3 : 3;
      to_second[i] = add_second ? to_second[i] + 40 : 40;
    }
  };
  const Parameter a(of({1, 2}));
  const Operand x = a;
  for (float wanted : {43.0F, 86.0F}) {
    Tape tape;
    tape.backward(sum(hand_made({&x, &x}, both_at_once)));
    EXPECT_EQ(grad_of(a), (Values{wanted, wanted}));
  }
}

TEST(TapeBackward, OneTensorMayBeGivenWhileItsOtherBufferIsStillUnwritten) {
  const Parameter a(of({1, 2}));
  const Operand x = a;
  Tape tape;
  tape.backward(sum(hand_made({&x, &x}, [](Backward& context) {
    GradientTarget first = context.into(0);
    context.give(1, of({40, 40}));
    ASSERT_EQ(first.mode, WriteMode::Overwrite);
    primitives::fill(first.buffer, 3);
  })));
  EXPECT_EQ(grad_of(a), (Values{43, 43}));
}

}  // namespace
}  // namespace warptape
