// What a backward function may ask for and do.

#include <gtest/gtest.h>

#include "core/storage.h"
#include "kernels/ops.h"
#include "tests/core/expect_throws.h"
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
  Tensor used = a.value().detach().clone();
  Tensor unused = a.value().detach().clone();
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

TEST(TapeBackward, AskingForWhatIsNotThereIsAnError) {
  const Parameter a(of({1}));
  const Tensor constant = of({2});
  const auto backward_that = [&](const BackwardFunction& body) {
    const Operand x = a;
    const Operand c = constant;
    Tape tape;
    tape.backward(hand_made({&x, &c}, body));
  };
  const auto expect_refused = [&](const std::vector<std::string>& parts,
                                  const BackwardFunction& body) {
    expect_throws<TapeError>([&] { backward_that(body); }, parts);
  };
  for (const int input : {2, -1}) {
    const std::string got = "input: got " + std::to_string(input) + ", wanted 0 to 1";
    expect_refused({got, "hand_made"}, [&](Backward& context) { context.needs(input); });
    expect_refused({got}, [&](Backward& context) { context.into(input); });
    expect_refused({got}, [&](Backward& context) { context.overwrite(input); });
    expect_refused({got}, [&](Backward& context) { context.give(input, of({1})); });
  }
  for (const int output : {1, -1}) {
    const std::string got = "output: got " + std::to_string(output) + ", wanted 0 to 0";
    expect_refused({got}, [&](Backward& context) { context.has_grad(output); });
    expect_refused({got}, [&](Backward& context) { context.grad(output); });
    expect_refused({got}, [&](Backward& context) { context.take_grad(output); });
    expect_refused({got}, [&](Backward& context) { context.grad_is_one(output); });
  }
  expect_refused({"into(1)", "needs(1)"}, [](Backward& context) { context.into(1); });
  expect_refused({"overwrite(1)"}, [](Backward& context) { context.overwrite(1); });
  expect_refused({"give(1)"}, [](Backward& context) { context.give(1, of({1})); });
  expect_refused({"has_grad(0)"}, [](Backward& context) {
    (void)context.take_grad();
    (void)context.grad();
  });
}

TEST(TapeBackward, ATakenGradientOfALeafStaysThere) {
  Tape tape;
  Tensor x = of({1, 2});
  tape.watch(x);
  // Walked last: it adds to the gradient of x, in which nothing of the leaf's may lie.
  const Tensor later = mul(x, 10);
  const Tensor leaf = hand_made(x, [](Backward& context) { context.give(0, context.take_grad()); });
  const std::vector<Tensor> found = tape.gradients(sum(add(mul(leaf, 3), later)), {leaf, x});
  ASSERT_TRUE(found[0].defined());
  EXPECT_EQ(found[0].to_vector<float>(), (Values{3, 3}));
  EXPECT_EQ(found[1].to_vector<float>(), (Values{13, 13}));
}

// What a record saved is freed when the walk has passed it, so that the memory of a backward pass
// does not stand on top of all of the forward's.
TEST(TapeBackward, SavedTensorsAreFreedOnTheWay) {
  constexpr int64_t count = int64_t{1} << 16;
  constexpr size_t bytes = count * sizeof(float);
  constexpr size_t ops = 16;
  const Parameter a(Tensor::full({count}, 0.001));
  size_t live_at_the_end = 0;
  const size_t before = memory_stats(cpu).live_bytes;
  Tape tape;
  Tensor y = hand_made(a, [&](Backward& context) {
    live_at_the_end = memory_stats(cpu).live_bytes;
    const Tensor room = Tensor::empty({static_cast<int64_t>(ops) * count});
    pass_on(context, 0);
  });
  for (size_t i = 0; i < ops; ++i) {
    y = exp(mul(y, 0.5));  // saves what it returns
  }
  y = sum(y);
  const size_t forward = memory_stats(cpu).live_bytes - before;
  EXPECT_GE(forward, ops * bytes);
  reset_peak_memory_stats(cpu);
  tape.backward(y);
  EXPECT_LT(live_at_the_end - before, 4 * bytes);
  // The room that the first op wants lies where the others' tensors were.
  EXPECT_LT(memory_stats(cpu).peak_bytes - before, forward + 4 * bytes);
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
