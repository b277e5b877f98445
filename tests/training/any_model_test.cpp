// The training loop with a loss, data and metrics of one's own.

#include <gtest/gtest.h>

#include <cmath>

#include "core/random.h"
#include "kernels/ops.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/devices.h"
#include "tests/training/bad_files.h"
#include "training/data_loader.h"
#include "training/optimizers.h"
#include "training/run_state.h"
#include "training/schedules.h"

namespace warptape {
namespace {

Loss squares() {
  return [](const Tensor& y, const Tensor& target) { return mse_loss(y, target); };
}

// y = 3 a - b + 1, for a and b on a grid of 6 x 4.
TensorDataset plane() {
  std::vector<float> input;
  std::vector<float> target;
  for (int i = 0; i < 24; ++i) {
    const float a = static_cast<float>(i % 6) / 6;
    const float b = static_cast<float>(i / 6) / 4;
    input.insert(input.end(), {a, b});
    target.push_back(3 * a - b + 1);
  }
  return {tensor(input, {24, 2}), tensor(target, {24, 1})};
}

Metric mean_error() {
  const auto sum = [](const Tensor& y, const Tensor& target) {
    const std::vector<float> a = y.to(cpu).to_vector<float>();
    const std::vector<float> b = target.to(cpu).to_vector<float>();
    double total = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      total += std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    }
    return total;
  };
  return {.name = "mae", .sum_over_rows = sum, .higher_is_better = false};
}

TEST(AnyModel, ARegressionLearnsOnEveryDevice) {
  for (const Device device : available_devices()) {
    manual_seed(1);
    Linear model(2, 1);
    model.to(device);
    DataLoader data(plane(), {.batch_size = 5, .shuffle = true, .device = device});
    DataLoader again(plane(), {.batch_size = 7, .device = device});
    Adam optimizer(parameters(model), {.lr = 0.5});
    std::vector<EpochMetrics> epochs;
    TrainingCallbacks callbacks;
    callbacks.on_epoch = [&](const EpochMetrics& epoch) { epochs.push_back(epoch); };
    const EpochMetrics best = train(model, optimizer, data,
                                    {.loss = squares(),
                                     .metric = mean_error(),
                                     .validation = &again,
                                     .epochs = 20,
                                     .schedule = cosine_annealing_lr()},
                                    callbacks);
    ASSERT_EQ(epochs.size(), 20U);
    EXPECT_LT(epochs.back().train_loss, 1e-3);
    EXPECT_GT(epochs.front().train_loss, 0.1);
    EXPECT_FALSE(epochs.back().test.has_value());
    EXPECT_LT(best.validation->metric.value(), 0.05) << to_string(device);
    EXPECT_NEAR(model.weight.value().to(cpu).to_vector<float>()[0], 3, 0.2);
    for (const EpochMetrics& epoch : epochs) {
      EXPECT_LE(*best.validation->metric, *epoch.validation->metric) << "lower is better";
    }
  }
}

TEST(AnyModel, EvaluationsWeighBatchesByTheirRows) {
  for (const Device device : available_devices()) {
    Linear model(2, 1);
    model.to(device);
    std::vector<Evaluation> got;
    for (const int64_t batch_size : {24, 7, 1}) {
      DataLoader data(plane(), {.batch_size = batch_size, .device = device});
      got.push_back(evaluate(model, data, squares(), mean_error()));
      EXPECT_NEAR(got.back().loss, got[0].loss, 1e-6 * got[0].loss);
      EXPECT_NEAR(*got.back().metric, *got[0].metric, 1e-6);
      EXPECT_FALSE(evaluate(model, data, squares()).metric.has_value());
    }
  }
}

// Ends an epoch with the rate that makes its loss better, or worse.
struct Steered {
  Linear model{2, 1};
  SGD optimizer{parameters(model), {.lr = 0.1}};
  DataLoader data{plane(), {.batch_size = 24}};
  std::vector<EpochMetrics> epochs;
  std::vector<std::vector<float>> weights;  // after each epoch
  TrainingCallbacks callbacks;

  // At this epoch and behind it the model is spoilt.
  explicit Steered(int64_t spoilt_from) {
    callbacks.on_step = [this, spoilt_from](const StepMetrics& step) {
      if (step.epoch >= spoilt_from) {
        model.bias.assign(Tensor::full({1}, static_cast<double>(10 * step.epoch)));
      }
    };
    callbacks.on_epoch = [this](const EpochMetrics& epoch) {
      epochs.push_back(epoch);
      weights.push_back(model.bias.value().to_vector<float>());
    };
  }
  EpochMetrics run(TrainingOptions options, const TrainingPosition& from = {}) {
    options.loss = squares();
    options.validation = &data;
    return train(model, optimizer, data, options, callbacks, from);
  }
};

// Layers in a range of C++, which a visitor meets as a list that is there for the visit alone.
class RangeOfLayers : public Module {
 public:
  void fields(Visitor& visit) override { visit("layers", layers); }
  Tensor forward(const Operand& x) override { return layers[1](layers[0](x)); }
  std::string type_name() const override { return "RangeOfLayers"; }
  std::vector<Dropout> layers{Dropout(0.5), Dropout(0.5)};
};

TEST(AnyModel, EvaluationsGiveLayersOfARangeTheirModesBack) {
  RangeOfLayers model;
  model.layers[1].eval();
  DataLoader data(plane(), {.batch_size = 5});
  const Loss sum = [](const Tensor& y, const Tensor&) { return mean(y); };
  const double loss = evaluate(model, data, sum).loss;
  EXPECT_NEAR(loss, (5. / 12 + 3. / 8) / 2, 1e-6) << "nothing is dropped";
  EXPECT_TRUE(model.is_training());
  EXPECT_TRUE(model.layers[0].is_training());
  EXPECT_FALSE(model.layers[1].is_training());
}

TEST(AnyModel, PatienceEndsARunAndTheBestWeightsComeBack) {
  manual_seed(2);
  Steered free(4);
  EXPECT_EQ(free.run({.epochs = 9}).epoch, 3);
  EXPECT_EQ(free.epochs.size(), 9U) << "without patience";
  EXPECT_EQ(free.model.bias.value().to_vector<float>(), free.weights.back());
  Steered patient(4);
  EXPECT_EQ(patient.run({.epochs = 9, .patience = 2, .restore_best = true}).epoch, 3);
  EXPECT_EQ(patient.epochs.size(), 5U);
  EXPECT_EQ(patient.model.bias.value().to_vector<float>(), patient.weights[2]);
  EXPECT_NE(patient.weights[2], patient.weights[4]);
}

TEST(AnyModel, StopAfterEndsARunForGood) {
  manual_seed(2);
  Steered steered(100);
  TrainingPosition end;
  steered.callbacks.on_checkpoint = [&](const TrainingPosition& at) { end = at; };
  steered.callbacks.stop_after = [](const EpochMetrics& epoch) { return epoch.epoch == 2; };
  steered.run({.epochs = 9});
  EXPECT_EQ(steered.epochs.size(), 2U);
  EXPECT_TRUE(end.has_ended);
  EXPECT_EQ(end.step, 2);
  EXPECT_TRUE(is_complete(end, {.epochs = 9}));
  EXPECT_EQ(steered.run({.epochs = 9}, end).epoch, 2) << "it does not go on";
  EXPECT_EQ(steered.epochs.size(), 2U);
}

TEST(AnyModel, BestWeightsComeBackInARunThatWentOn) {
  const TemporaryFolder folder;
  const std::string path = folder.path("state");
  manual_seed(2);
  Steered whole(4);
  std::vector<float> wanted;
  {
    int64_t step = 0;
    whole.callbacks.on_checkpoint = [&](const TrainingPosition& at) {
      if (++step == 5) {  // in the middle of what patience waits for
        save_run_state(path, {.position = at,
                              .model = state_dict(whole.model),
                              .optimizer = whole.optimizer.state_dict()});
      }
    };
    whole.run({.epochs = 9, .checkpoint_every = 1, .patience = 3, .restore_best = true});
    wanted = whole.model.bias.value().to_vector<float>();
    EXPECT_EQ(whole.epochs.size(), 6U);
    EXPECT_EQ(wanted, whole.weights[2]);
  }
  manual_seed(9);
  Steered resumed(4);
  const RunState state = load_run_state(path);
  EXPECT_EQ(state.position.best->epoch, 3);
  load_state_dict(resumed.model, state.model);
  resumed.optimizer.load_state_dict(state.optimizer);
  const TrainingOptions options{.epochs = 9, .patience = 3, .restore_best = true};
  EXPECT_EQ(resumed.run(options, state.position).epoch, 3);
  EXPECT_EQ(resumed.epochs.size(), 2U);
  EXPECT_EQ(resumed.model.bias.value().to_vector<float>(), wanted);
  TrainingPosition without = state.position;
  without.best_weights.clear();
  without.has_ended = true;
  expect_throws<ValueError>([&] { resumed.run(options, without); },
                            {"[train] restore_best", "without the weights"});
}

TEST(AnyModel, GoesOnWithTheSameBits) {
  for (const Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    struct Trained {
      std::vector<StepMetrics> steps;
      std::vector<float> weights;
    };
    RunState saved;
    const auto run = [&](bool resumed) {
      manual_seed(resumed ? 77 : 3);
      Sequential model(Linear(2, 8), ReLU(), Dropout(0.5), Linear(8, 1));
      model.to(device);
      RMSprop optimizer(parameters(model), {.momentum = 0.5});
      DataLoader data(plane(), {.batch_size = 10, .shuffle = true, .seed = 1, .device = device});
      TrainingPosition from;
      if (resumed) {
        load_state_dict(model, saved.model);
        optimizer.load_state_dict(saved.optimizer);
        default_generator().restore(saved.seed, saved.streams);
        from = saved.position;
      }
      Trained result;
      TrainingCallbacks callbacks;
      callbacks.on_step = [&](const StepMetrics& step) { result.steps.push_back(step); };
      callbacks.on_checkpoint = [&](const TrainingPosition& at) {
        if (!resumed && at.step == 5) {
          saved = {.position = at,
                   .seed = default_generator().seed(),
                   .streams = default_generator().streams()};
          for (const auto& [key, tensor] : state_dict(model)) {
            saved.model.emplace_back(key, tensor.clone());
          }
          for (const auto& [key, tensor] : optimizer.state_dict()) {
            saved.optimizer.emplace_back(key, tensor.clone());
          }
        }
      };
      train(model, optimizer, data,
            {.loss = squares(), .epochs = 3, .clip_norm = 1, .checkpoint_every = 1}, callbacks,
            from);
      for (const auto& state : parameters(model)) {
        const std::vector<float> part = state->value.to(cpu).to_vector<float>();
        result.weights.insert(result.weights.end(), part.begin(), part.end());
      }
      return result;
    };
    const Trained whole = run(false);
    const Trained resumed = run(true);
    ASSERT_EQ(whole.steps.size(), 9U);
    ASSERT_EQ(resumed.steps.size(), 4U);
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(resumed.steps[i].loss, whole.steps[i + 5].loss);
      EXPECT_EQ(resumed.steps[i].gradient_norm, whole.steps[i + 5].gradient_norm);
    }
    EXPECT_EQ(resumed.weights, whole.weights);
  }
}

TEST(AnyModel, RefusesRunsThatCannotBe) {
  Linear model(2, 1);
  SGD optimizer(parameters(model));
  DataLoader data(plane(), {.batch_size = 30, .drop_last = true});
  DataLoader good(plane(), {.batch_size = 24});
  const auto refuses = [&](Loader& loader, const TrainingOptions& options, const char* message) {
    expect_throws<ValueError>([&] { train(model, optimizer, loader, options); }, {message});
  };
  refuses(good, {}, "[train] loss: got none, wanted a function");
  refuses(data, {.loss = squares()}, "[train] got 24 training rows: not one full batch");
  refuses(good, {.loss = squares(), .checkpoint_every = 0}, "[train] checkpoint_every: got 0");
  refuses(good, {.loss = squares(), .patience = 0}, "[train] patience: got 0");
  DataLoader none(plane(), std::vector<int64_t>{}, {});
  expect_throws<ValueError>([&] { evaluate(model, none, squares()); }, {"[evaluate] got no rows"});
}

}  // namespace
}  // namespace warptape
