// A result that waits is computed before anything can tell the difference, and only its last holder
// takes it over.

#include "core/deferred.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/check.h"
#include "core/primitives.h"
#include "core/tape.h"
#include "kernels/max_pool2d/max_pool2d.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/reshape/reshape.h"
#include "kernels/sum/sum.h"

namespace warptape {
namespace {

struct Log {
  int computed = 0;
  bool fails = false;
};

// Twice x.
struct Twice final : Deferred {
  Twice(const Operand& x, Log& log) : x(x), log(log) {}
  Tensor compute() override {
    check<OutOfMemory>(!log.fails, "[twice] no memory");
    ++log.computed;
    Tensor y = x.tensor().detach().clone();
    primitives::add(x.tensor(), y);
    return y;
  }
  Operand x;
  Log& log;
};

Tensor twice(const Operand& x, Log& log) {
  const auto work = std::make_shared<Twice>(x, log);
  return Deferred::result(work, {x.shape(), x.dtype(), x.device(), x.memory_format()},
                          [&](Tensor& y) {
                            if (Tape* tape = Tape::recording({&x})) {
                              tape->record("twice", {&x}, {&y}, [](Backward& context) {
                                const GradientTarget dx = context.into(0);
                                ASSERT_EQ(dx.mode, WriteMode::Overwrite);
                                Tensor to = dx.buffer;
                                primitives::copy(context.grad(), to);
                                primitives::add(context.grad(), to);
                              });
                            }
                          });
}

bool takes(const Operand& x) {
  return Deferred::take<Twice>(x, [](const Twice&) { return true; }) != nullptr;
}

const std::vector<float> twos{2, 2, 2};

TEST(Deferred, RunsAtOnceOutsideOfAScope) {
  Log log;
  Tensor y = twice(Tensor::ones({3}), log);
  EXPECT_EQ(log.computed, 1);
  EXPECT_FALSE(takes(std::move(y)));
}

TEST(Deferred, WaitsForWhoAsks) {
  Log log;
  const DeferralScope scope;
  const Tensor y = twice(Tensor::ones({3}), log);
  EXPECT_EQ(y.shape(), (Shape{3}));
  EXPECT_EQ(log.computed, 0);
  EXPECT_EQ(y.to_vector<float>(), twos);
  EXPECT_EQ(y.to_vector<float>(), twos);
  EXPECT_EQ(log.computed, 1);
  EXPECT_EQ(y.version(), 0U) << "who saved it before finds it changed";
}

TEST(Deferred, RunsBeforeAnythingIsAllocatedOrWritten) {
  Log log;
  Tensor x = Tensor::ones({3});
  const DeferralScope scope;
  const Tensor y = twice(x, log);
  const Tensor other = Tensor::empty({1});
  EXPECT_EQ(log.computed, 1);
  const Tensor z = twice(x, log);
  x.mutable_data<float>()[1] = 5;
  EXPECT_EQ(log.computed, 2);
  EXPECT_EQ(z.to_vector<float>(), twos);
  const Tensor first = twice(x, log);
  const Tensor second = twice(first, log);  // one at a time
  EXPECT_EQ(log.computed, 3);
}

TEST(Deferred, RunsWhenTheOutermostScopeEnds) {
  Log log;
  Tensor y;
  Tensor z;
  {
    DeferralScope outer;
    EXPECT_TRUE(outer.is_outermost());
    {
      DeferralScope inner;
      EXPECT_FALSE(inner.is_outermost());
      y = twice(Tensor::ones({3}), log);
      inner.finish();
    }
    EXPECT_EQ(log.computed, 0);
    outer.finish();
    EXPECT_EQ(log.computed, 1);
    z = twice(y, log);
  }
  EXPECT_EQ(log.computed, 2);
  { const DeferralScope unused; }
  EXPECT_EQ(log.computed, 2);
}

TEST(Deferred, WhatNobodyHoldsNeverRuns) {
  Log log;
  {
    const DeferralScope scope;
    twice(Tensor::ones({3}), log);
  }
  EXPECT_EQ(log.computed, 0);
}

TEST(Deferred, OnlyTheLastHolderTakes) {
  Log log;
  const Tensor x = Tensor::ones({3});
  const DeferralScope scope;
  EXPECT_TRUE(takes(twice(x, log)));
  Tensor named = twice(x, log);
  EXPECT_FALSE(takes(named));
  EXPECT_TRUE(takes(std::move(named)));
  Tensor given = twice(x, log);
  const Tensor kept = given;
  EXPECT_FALSE(takes(std::move(given)));
  Tensor computed = twice(x, log);
  computed.to_vector<float>();
  EXPECT_FALSE(takes(std::move(computed)));
  Tensor row = twice(x, log);
  Tensor view = row.view({1, 3});
  row = Tensor();
  EXPECT_FALSE(takes(std::move(view))) << "another shape";
  EXPECT_EQ(log.computed, 2) << "those that were kept or read; no other";
  EXPECT_EQ(kept.to_vector<float>(), twos);
}

TEST(Deferred, WhatCutsAGradientIsAnotherTensor) {
  Log log;
  Tensor x = Tensor::ones({3});
  Tape tape;
  tape.watch(x);
  const DeferralScope scope;
  EXPECT_TRUE(takes(twice(x, log)));
  Tensor result = twice(x, log);
  Tensor constant = result.detach();
  result = Tensor();
  EXPECT_FALSE(takes(std::move(constant)));
  Tensor watched = twice(x, log);
  tape.watch(watched);
  EXPECT_FALSE(takes(std::move(watched)));
}

TEST(Deferred, AnErrorComesAgain) {
  Log log{.fails = true};
  Tensor y;
  {
    DeferralScope scope;
    y = twice(Tensor::ones({3}), log);
    EXPECT_THROW(scope.finish(), OutOfMemory);
  }
  EXPECT_THROW(y.to_vector<float>(), OutOfMemory);
  log.fails = false;
  EXPECT_EQ(y.to_vector<float>(), twos);
}

TEST(Deferred, AnyThreadMayAsk) {
  Log log;
  const DeferralScope scope;
  const Tensor y = twice(Tensor::ones({3}), log);
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> seen(4);
  for (std::vector<float>& of_one : seen) {
    threads.emplace_back([&y, &of_one] { of_one = y.to_vector<float>(); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (const std::vector<float>& of_one : seen) {
    EXPECT_EQ(of_one, twos);
  }
  EXPECT_EQ(log.computed, 1);
}

// relu and max_pool2d in a model whose forward keeps the activation.
TEST(Deferred, AKeptActivationHasItsGradient) {
  const Tensor image = tensor<float>({-1, 2, 3, -4}, {1, 1, 2, 2});
  for (const bool keep : {false, true}) {
    Tensor x = image.clone();
    Tape tape;
    tape.watch(x);
    Tensor activation;
    Tensor y;
    {
      const DeferralScope scope;
      Tensor h = relu(x);
      if (keep) {
        activation = h;
      }
      y = sum(reshape(max_pool2d(std::move(h), {}), {1}));
    }
    if (keep) {
      EXPECT_EQ(tape.gradients(y, {activation}, {.keep = true})[0].to_vector<float>(),
                (std::vector<float>{0, 0, 1, 0}));
    }
    EXPECT_EQ(tape.gradients(y, {x})[0].to_vector<float>(), (std::vector<float>{0, 0, 1, 0}));
  }
}

// What was taken over is still there for who asks after all.
TEST(Deferred, BackwardOfWhatStillWaits) {
  Tensor x = tensor<float>({-1, 2, 3}, {3});
  Tape tape;
  tape.watch(x);
  const DeferralScope scope;
  const Tensor y = relu(x);
  tape.backward(y, tensor<float>({1, 2, 3}, {3}));
  EXPECT_EQ(tape.gradient(x).to_vector<float>(), (std::vector<float>{0, 2, 3}));
}

TEST(Deferred, TheResultOfReluChangedSinceIsAnError) {
  Tensor x = tensor<float>({-1, 2, 3}, {3});
  Tape tape;
  tape.watch(x);
  Tensor y;
  Tensor loss;
  {
    const DeferralScope scope;
    y = relu(x);
    loss = sum(y);
  }
  y.mutable_data<float>()[0] = 1;
  EXPECT_THROW(tape.backward(loss), TapeError);
}

}  // namespace
}  // namespace warptape
