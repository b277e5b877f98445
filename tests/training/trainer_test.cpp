// The training loop on the CPU: modes, rates, losses that are not finite.

#include "training/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/check.h"
#include "core/random.h"
#include "kernels/ops.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "tests/core/expect_throws.h"
#include "training/image_loader.h"
#include "training/optimizers.h"
#include "training/schedules.h"

namespace warptape {
namespace {

constexpr int64_t count = 8;
constexpr int64_t classes = 2;

ImageSet images() {
  ImageSet set{Tensor::empty({count, 1, 2, 2}, uint8), Tensor::empty({count}, int64)};
  for (int64_t i = 0; i < count; ++i) {
    set.labels.mutable_data<int64_t>()[i] = i % classes;
    for (int64_t j = 0; j < 4; ++j) {
      set.images.mutable_data<uint8_t>()[4 * i + j] = static_cast<uint8_t>(40 * (i % 2) + 9 * j);
    }
  }
  return set;
}

// Two steps per epoch.
struct Loaders {
  Loaders() {
    std::vector<int64_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), int64_t{0});
    const ImageTransform transform{.image_size = 2};
    train = std::make_unique<ImageLoader>(images(), numbers, transform,
                                          ImageLoaderOptions{.batch_size = count / 2});
    test = std::make_unique<ImageLoader>(images(), numbers, transform,
                                         ImageLoaderOptions{.batch_size = count});
  }
  TrainingData data() { return {*train, *test}; }

  std::unique_ptr<ImageLoader> train;
  std::unique_ptr<ImageLoader> test;
};

// A classifier that notes the modes in which it is called, and throws when it is told to.
struct Watched : Module {
  Linear fc{4, classes};
  Dropout dropout{0.5};
  Dropout always_off{0.5};
  std::vector<bool> modes;
  int calls_until_throw = -1;

  void fields(Visitor& visit) override {
    visit("fc", fc)("dropout", dropout)("always_off", always_off);
  }
  Tensor forward(const Operand& x) override {
    modes.push_back(is_training() || dropout.is_training());
    check<ValueError>(calls_until_throw-- != 0, "[Watched] told to throw");
    return fc(dropout(flatten(x, 1)));
  }
};

std::vector<double> rates_of(Optimizer& optimizer, Module& model, const TrainingOptions& options,
                             const TrainingCallbacks& more = {}) {
  Loaders loaders;
  std::vector<double> rates;
  TrainingCallbacks callbacks = more;
  callbacks.on_step = [&](const StepMetrics& step) { rates.push_back(step.learning_rate); };
  train_classifier(model, optimizer, loaders.data(), options, callbacks);
  return rates;
}

TEST(Trainer, EvaluatesInEvaluationModeAndGivesEveryModuleItsOwnBack) {
  Loaders loaders;
  Watched model;
  model.always_off.eval();
  evaluate_classifier(model, *loaders.test);
  EXPECT_EQ(model.modes, std::vector<bool>{false});
  EXPECT_TRUE(model.is_training());
  EXPECT_TRUE(model.dropout.is_training());
  EXPECT_FALSE(model.always_off.is_training());
  model.eval();
  model.dropout.train();
  evaluate_classifier(model, *loaders.test);
  EXPECT_FALSE(model.is_training());
  EXPECT_TRUE(model.dropout.is_training());
}

TEST(Trainer, AnEvaluationThatThrowsGivesTheModesBackToo) {
  Loaders loaders;
  Watched model;
  model.always_off.eval();
  model.calls_until_throw = 0;
  EXPECT_THROW(evaluate_classifier(model, *loaders.test), ValueError);
  EXPECT_TRUE(model.is_training());
  EXPECT_TRUE(model.dropout.is_training());
  EXPECT_FALSE(model.always_off.is_training());
}

TEST(Trainer, TrainsInTrainingModeInEveryEpoch) {
  Watched model;
  SGD optimizer(parameters(model), {.lr = 0.01});
  model.eval();
  rates_of(optimizer, model, {.epochs = 2});
  EXPECT_EQ(model.modes, (std::vector<bool>{true, true, false, true, true, false}));
}

TEST(Trainer, WithoutAScheduleTheRateIsTheOptimizers) {
  Watched model;
  Adam optimizer(parameters(model), {.lr = 0.05});
  EXPECT_EQ(rates_of(optimizer, model, {.epochs = 2}), std::vector<double>(4, 0.05));
  TrainingCallbacks callbacks;
  callbacks.on_epoch = [&](const EpochMetrics&) { optimizer.set_learning_rate(0.02); };
  EXPECT_EQ(rates_of(optimizer, model, {.epochs = 2}, callbacks),
            (std::vector<double>{0.05, 0.05, 0.02, 0.02}));
}

TEST(Trainer, AScheduleStartsFromTheOptimizersRateAndHasTheLengthOfTheRun) {
  Watched model;
  Adam optimizer(parameters(model), {.lr = 0.05});
  const TrainingOptions options{.epochs = 2, .schedule = cosine_annealing_lr()};
  for (int run = 0; run < 2; ++run) {  // the second one starts from the same rate
    const std::vector<double> rates = rates_of(optimizer, model, options);
    ASSERT_EQ(rates.size(), 4U);
    for (size_t step = 0; step < 4; ++step) {
      EXPECT_NEAR(rates[step], 0.05 * (1 + std::cos(M_PI * static_cast<double>(step) / 4)) / 2,
                  1e-15);
    }
    EXPECT_EQ(optimizer.learning_rate(), 0.05);
  }
  TrainingOptions shorter = options;
  shorter.max_steps = 2;
  shorter.schedule = cosine_annealing_lr({.min_lr = 0.01});
  const std::vector<double> rates = rates_of(optimizer, model, shorter);
  EXPECT_NEAR(rates.at(1), 0.03, 1e-15);
  TrainingOptions warm = options;
  warm.schedule = with_warmup(cosine_annealing_lr(), {.steps = 2});
  const std::vector<double> warmed = rates_of(optimizer, model, warm);
  EXPECT_NEAR(warmed.at(0), 0.005, 1e-15);
  EXPECT_NEAR(warmed.at(2), 0.05, 1e-15);
  EXPECT_NEAR(warmed.at(3), 0.025, 1e-15);
  TrainingOptions given = options;
  given.schedule = cosine_annealing_lr({.total_steps = 2});
  EXPECT_EQ(rates_of(optimizer, model, given).at(3), 0);
}

TEST(Trainer, AScheduleStartsFromEveryGroupsOwnRate) {
  Watched model;
  ParameterStates rest = parameters(model);
  ASSERT_GE(rest.size(), 2U);
  const ParameterStates first = {rest[0]};
  rest.erase(rest.begin());
  SGD optimizer({{.parameters = rest}, {.parameters = first, .lr = 0.02}}, {.lr = 0.05});
  const TrainingOptions options{
      .epochs = 2, .schedule = cosine_annealing_lr({.min_lr = 0.01}), .checkpoint_every = 1};
  std::vector<double> rates;
  std::vector<double> saved;
  TrainingCallbacks callbacks;
  callbacks.should_stop = [&] {
    rates.push_back(optimizer.learning_rate(1));
    return false;
  };
  callbacks.on_checkpoint = [&](const TrainingPosition&) {
    saved.push_back(optimizer.learning_rate(0));
    saved.push_back(optimizer.learning_rate(1));
  };
  EXPECT_NEAR(rates_of(optimizer, model, options, callbacks).at(2), 0.03, 1e-15);
  ASSERT_EQ(rates.size(), 4U);
  for (size_t step = 0; step < 4; ++step) {
    EXPECT_NEAR(rates[step], 0.01 + 0.01 * (1 + std::cos(M_PI * static_cast<double>(step) / 4)) / 2,
                1e-15);
  }
  ASSERT_EQ(saved.size(), 2 * 5U) << "after every step and at the end";
  for (size_t i = 0; i < saved.size(); ++i) {
    EXPECT_EQ(saved[i], i % 2 == 0 ? 0.05 : 0.02) << "a run goes on from where it began";
  }
  EXPECT_EQ(optimizer.learning_rate(1), 0.02);
}

TEST(Trainer, RefusesSchedulesThatCannotBe) {
  Watched model;
  SGD optimizer(parameters(model), {.lr = 0.05});
  const auto run = [&](const Schedule& schedule) {
    rates_of(optimizer, model, {.epochs = 2, .schedule = schedule});
  };
  expect_throws<ValueError>([&] { run(with_warmup(constant_lr(), {.steps = 5})); },
                            {"[schedule] warmup_steps: got 5", "4 steps of the run"});
  expect_throws<ValueError>([&] { run(cosine_annealing_lr({.min_lr = 0.1})); },
                            {"[schedule] min_lr: got 0.1", "0.05"});
  EXPECT_EQ(optimizer.learning_rate(), 0.05) << "whatever was thrown";
}

// One good epoch, whose end breaks the model: its losses are finite, those after it are not.
TEST(Trainer, AnEvaluationThatIsNotFiniteEndsTheRunAndIsNeverBest) {
  Loaders loaders;
  Watched model;
  SGD optimizer(parameters(model), {.lr = 1e-3});
  std::vector<EpochMetrics> epochs;
  TrainingCallbacks callbacks;
  callbacks.on_epoch = [&](const EpochMetrics& epoch) { epochs.push_back(epoch); };
  callbacks.on_step = [&](const StepMetrics& step) {
    EXPECT_TRUE(std::isfinite(step.loss));
    if (step.step == 4) {  // the last of the second epoch, reported behind it
      model.fc.bias.assign(tensor<float>({0, -NAN}, {2}));
    }
  };
  expect_throws<Diverged>(
      [&] { train_classifier(model, optimizer, loaders.data(), {.epochs = 3}, callbacks); },
      {"[train] step 4: the test loss after it is nan"});
  ASSERT_EQ(epochs.size(), 2U);
  EXPECT_TRUE(epochs[0].is_finite());
  EXPECT_FALSE(epochs[1].is_finite());
  EXPECT_TRUE(std::isfinite(epochs[1].train_loss));
  EXPECT_FALSE(epochs[1].is_better_than(epochs[0]));
  EXPECT_TRUE(epochs[0].is_better_than(epochs[1]));
  EXPECT_FALSE(std::signbit(epochs[1].test->loss)) << "it would print as -nan";
}

TEST(Trainer, AStepWhoseLossIsNotFiniteEndsTheRun) {
  Loaders loaders;
  Watched model;
  SGD optimizer(parameters(model), {.lr = 1e-3});
  std::vector<StepMetrics> steps;
  int epochs = 0;
  TrainingCallbacks callbacks;
  callbacks.on_epoch = [&](const EpochMetrics&) { ++epochs; };
  callbacks.on_step = [&](const StepMetrics& step) {
    steps.push_back(step);
    if (step.step == 2) {
      model.fc.bias.assign(tensor<float>({0, -NAN}, {2}));
    }
  };
  callbacks.should_stop = [&] { return false; };
  model.calls_until_throw = -1;
  TrainingOptions options{.epochs = 3};
  // The second step ends an epoch: its evaluation is not finite.
  expect_throws<Diverged>(
      [&] { train_classifier(model, optimizer, loaders.data(), options, callbacks); },
      {"step 2", "test loss"});
  // Broken before a step: the step is named, and no evaluation follows.
  steps.clear();
  epochs = 0;
  expect_throws<Diverged>(
      [&] { train_classifier(model, optimizer, loaders.data(), options, callbacks); },
      {"[train] step 1: the loss is nan"});
  EXPECT_EQ(steps.size(), 1U);
  EXPECT_FALSE(std::signbit(steps[0].loss));
  EXPECT_EQ(epochs, 0);
}

TEST(Trainer, NothingThatIsNotFiniteIsBetter) {
  const auto of = [](double loss, double accuracy) {
    EpochMetrics metrics;
    metrics.test = Evaluation{loss, accuracy};
    return metrics;
  };
  const EpochMetrics good = of(1, 0.5);
  for (const EpochMetrics& bad : {of(NAN, 1), of(0, NAN), of(-INFINITY, 1), of(NAN, NAN)}) {
    EXPECT_FALSE(bad.is_better_than(good));
    EXPECT_FALSE(bad.is_better_than(bad));
    EXPECT_TRUE(good.is_better_than(bad));
  }
  EXPECT_TRUE(of(2, 0.75).is_better_than(good));
  EXPECT_TRUE(of(0.5, 0.5).is_better_than(good));
  EXPECT_FALSE(good.is_better_than(good));
  EpochMetrics validated = of(NAN, 0.5);  // although the other part decides
  validated.validation = Evaluation{0.1, 1};
  EXPECT_FALSE(validated.is_better_than(good));
}

TEST(Trainer, RefusesRunsOfNothing) {
  Loaders loaders;
  Watched model;
  SGD optimizer(parameters(model), {.lr = 0.05});
  const auto run = [&](const TrainingOptions& options) {
    train_classifier(model, optimizer, loaders.data(), options);
  };
  expect_throws<ValueError>([&] { run({.epochs = 0}); }, {"[train] epochs: got 0"});
  expect_throws<ValueError>([&] { run({.max_steps = 0}); }, {"[train] max_steps: got 0"});
}

}  // namespace
}  // namespace warptape
