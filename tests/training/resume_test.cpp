// Runs that stop at any step and go on: the same bits as those that never stopped.

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/batch_norm.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/precision.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/weight_norm.h"
#include "tests/kernels/case_run.h"
#include "tests/kernels/devices.h"
#include "tests/training/bad_files.h"
#include "training/image_loader.h"
#include "training/optimizers.h"
#include "training/run_state.h"
#include "training/schedules.h"

namespace warptape {
namespace {

constexpr int64_t count = 10;
constexpr int64_t steps_per_epoch = 3;  // of 4, 4 and 2 images
constexpr int64_t steps_of_run = 9;

ImageSet images() {
  ImageSet set{Tensor::empty({count, 1, 2, 2}, uint8), Tensor::empty({count}, int64)};
  for (int64_t i = 0; i < count; ++i) {
    set.labels.mutable_data<int64_t>()[i] = i % 3;
    for (int64_t j = 0; j < 4; ++j) {
      set.images.mutable_data<uint8_t>()[4 * i + j] =
          static_cast<uint8_t>(70 * (i % 3) + 9 * j + i);
    }
  }
  return set;
}

// Keeps how often it was trained, and lets it count.
struct Warming : Module {
  Buffer calls{Tensor::zeros({1})};
  void fields(Visitor& visit) override { visit("calls", calls); }
  Tensor forward(const Operand& x) override {
    if (is_training()) {
      calls.set_value(add(calls, 1));
    }
    return mul(x, add(mul(calls, 0.125), 1).to(x.dtype()));
  }
};

// A run of three epochs: its model, optimizer and data, and what it reported.
class SmallRun {
 public:
  SmallRun(const Choice& optimizer, Device device, const std::string& precision = "float32",
           std::optional<double> ema_decay = {})
      : model_(Flatten(), Linear(4, 8), Warming(), ReLU(), BatchNorm1d(8), Dropout(0.5),
               Linear(8, 3)) {
    weight_norm(dynamic_cast<Linear&>(model_[1]));
    model_.to(device);
    set_precision(model_, precision);
    optimizer_ = make_optimizer(optimizer, parameters(model_));
    if (ema_decay) {
      average_ = std::make_unique<ParameterAverage>(parameters(model_),
                                                    ParameterAverage::Options{.decay = *ema_decay});
    }
    std::vector<int64_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), int64_t{0});
    const ImageTransform transform{.image_size = 2};
    train_ = std::make_unique<ImageLoader>(
        images(), numbers, transform,
        ImageLoaderOptions{.batch_size = 4, .shuffle = true, .seed = 5, .device = device});
    test_ = std::make_unique<ImageLoader>(images(), numbers, transform,
                                          ImageLoaderOptions{.device = device});
  }

  // Trains from there on; writes every checkpoint to PATH/STEP if there is a path.
  void train(const TrainingPosition& from = {}, const std::string& path = {}) {
    TrainingOptions options{.epochs = 3,
                            .clip_norm = 0.5,
                            .average = average_.get(),
                            .schedule = cosine_annealing_lr(),
                            .checkpoint_every = 1};
    TrainingCallbacks callbacks;
    callbacks.on_step = [&](const StepMetrics& step) { steps.push_back(step); };
    callbacks.on_epoch = [&](const EpochMetrics& epoch) { epochs.push_back(epoch); };
    callbacks.on_checkpoint = [&](const TrainingPosition& position) {
      EXPECT_EQ(static_cast<int64_t>(steps.size()), position.step - from.step);
      if (!path.empty()) {
        save_run_state(checkpoint(path, position.step), state(position));
      }
    };
    best = train_classifier(model_, *optimizer_, {*train_, *test_}, options, callbacks, from);
  }

  static std::string checkpoint(const std::string& path, int64_t step) {
    return path + "/" + std::to_string(step);
  }

  RunState state(const TrainingPosition& position) {
    return {.position = position,
            .seed = default_generator().seed(),
            .streams = default_generator().streams(),
            .model = state_dict(model_),
            .optimizer = optimizer_->state_dict(),
            .average = average_ != nullptr ? average_->state_dict() : StateDict()};
  }

  void restore(const RunState& state) {
    load_state_dict(model_, state.model);
    optimizer_->load_state_dict(state.optimizer);
    if (average_ != nullptr) {
      average_->load_state_dict(state.average);
    }
    default_generator().restore(state.seed, state.streams);
  }

  std::vector<StepMetrics> steps;
  std::vector<EpochMetrics> epochs;
  EpochMetrics best;

 private:
  Sequential model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<ParameterAverage> average_;
  std::unique_ptr<ImageLoader> train_;
  std::unique_ptr<ImageLoader> test_;
};

std::vector<double> in_doubles(const Tensor& tensor) {
  return primitives::cast(tensor.to(cpu), float64).to_vector<double>();
}

void expect_same_bits(const StateDict& a, const StateDict& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    EXPECT_EQ(in_doubles(a[i].second), in_doubles(b[i].second)) << a[i].first;
  }
}

// What `resumed` did after so many steps is what `whole` did then.
void expect_same_end(SmallRun& resumed, SmallRun& whole, const TrainingPosition& from) {
  ASSERT_EQ(resumed.steps.size(), whole.steps.size() - static_cast<size_t>(from.step));
  for (size_t i = 0; i < resumed.steps.size(); ++i) {
    const StepMetrics& a = resumed.steps[i];
    const StepMetrics& b = whole.steps[i + static_cast<size_t>(from.step)];
    EXPECT_EQ(a.step, b.step);
    EXPECT_EQ(a.epoch, b.epoch);
    EXPECT_EQ(a.loss, b.loss) << "step " << a.step;
    EXPECT_EQ(a.learning_rate, b.learning_rate);
    EXPECT_EQ(a.gradient_norm, b.gradient_norm) << "step " << a.step;
  }
  ASSERT_EQ(resumed.epochs.size(), whole.epochs.size() - static_cast<size_t>(from.epoch - 1));
  for (size_t i = 0; i < resumed.epochs.size(); ++i) {
    const EpochMetrics& a = resumed.epochs[i];
    const EpochMetrics& b = whole.epochs[i + static_cast<size_t>(from.epoch - 1)];
    EXPECT_EQ(a.train_loss, b.train_loss) << "epoch " << a.epoch;
    EXPECT_EQ(a.test->loss, b.test->loss);
    EXPECT_EQ(a.is_best, b.is_best);
  }
  EXPECT_EQ(resumed.best.epoch, whole.best.epoch);
  const RunState a = resumed.state({});
  const RunState b = whole.state({});
  EXPECT_EQ(a.seed, b.seed);
  expect_same_bits(a.model, b.model);
  expect_same_bits(a.optimizer, b.optimizer);
  expect_same_bits(a.average, b.average);
}

TEST(Resume, AtEveryStepTheRunEndsWithTheSameBits) {
  for (const Device device : available_devices()) {
    for (const Choice& optimizer :
         {Choice{"sgd", {{"lr", 0.05}}},
          {"sgd", {{"lr", 0.05}, {"momentum", 0.9}, {"nesterov", true}, {"weight_decay", 0.01}}},
          {"adam", {{"lr", 0.01}}},
          {"adamw", {{"lr", 0.01}, {"weight_decay", 0.1}}},
          {"rmsprop", {{"momentum", 0.9}, {"centered", true}}}}) {
      const std::string precision = optimizer.name == "adamw" ? "bf16" : "float32";
      std::optional<double> ema_decay;
      if (optimizer.name.starts_with("adam")) {
        ema_decay = 0.8;
      }
      SCOPED_TRACE(to_string(device) + " " + optimizer.name + " " + precision);
      const TemporaryFolder folder;
      manual_seed(7);
      SmallRun whole(optimizer, device, precision, ema_decay);
      whole.train({}, folder.path());
      const uint64_t streams = default_generator().streams();
      // In the middle and at the end of an epoch; values are the same in all builds.
      for (int64_t step = 1; step <= steps_of_run; step += is_sanitized() ? 2 : 1) {
        SCOPED_TRACE(step);
        manual_seed(100 + static_cast<uint64_t>(step));
        SmallRun resumed(optimizer, device, precision, ema_decay);
        const RunState state = load_run_state(SmallRun::checkpoint(folder.path(), step));
        ASSERT_EQ(state.position.step, step);
        resumed.restore(state);
        resumed.train(state.position);
        expect_same_end(resumed, whole, state.position);
        EXPECT_EQ(default_generator().streams(), streams) << "draws of dropout";
      }
    }
  }
}

TEST(Resume, WithoutTheStateOfOptimizerOrGeneratorItDoesNot) {
  const Choice adam{"adam", {{"lr", 0.01}}};
  const TemporaryFolder folder;
  manual_seed(7);
  SmallRun whole(adam, cpu);
  whole.train({}, folder.path());
  const RunState state = load_run_state(SmallRun::checkpoint(folder.path(), 4));
  const auto next_loss_and_norm = [&](const RunState& from) {
    SmallRun resumed(adam, cpu);
    resumed.restore(from);
    resumed.train(from.position);
    return std::pair(resumed.steps[0].loss, resumed.steps[1].loss);
  };
  const auto wanted = std::pair(whole.steps[4].loss, whole.steps[5].loss);
  EXPECT_EQ(next_loss_and_norm(state), wanted);
  RunState other = state;
  other.streams += 1;
  EXPECT_NE(next_loss_and_norm(other).first, wanted.first);
  other = state;
  other.optimizer.clear();
  EXPECT_NE(next_loss_and_norm(other).second, wanted.second);
  other = state;
  for (auto& [key, tensor] : other.model) {
    tensor = key == "2.calls" ? Tensor::zeros({1}) : tensor;
  }
  EXPECT_NE(next_loss_and_norm(other).first, wanted.first) << "the buffer";
  other = state;
  other.position.batches -= 1;
  EXPECT_NE(next_loss_and_norm(other).first, wanted.first);
}

TEST(Resume, AnEpochThatWasCutShortIsNeverBest) {
  manual_seed(7);
  EpochMetrics cut;
  cut.test = Evaluation{.loss = 0.1, .metric = 1};
  cut.is_cut_short = true;
  EpochMetrics full;
  full.test = Evaluation{.loss = 2, .metric = 0.25};
  EXPECT_FALSE(cut.is_better_than(full));
  EXPECT_TRUE(full.is_better_than(cut));
  EXPECT_FALSE(cut.is_better_than(cut));
}

TEST(Resume, TheStateOfAnOptimizerHasPyTorchsNames) {
  Sequential model(Linear(2, 3), Linear(3, 2));
  Adam adam(parameters(model));
  EXPECT_EQ(adam.state_dict()[0].first, "param_groups.0.lr") << "before the first step";
  Tape tape;
  tape.backward(model(Tensor::ones({1, 2})), Tensor::ones({1, 2}));
  adam.step();
  std::vector<std::string> keys;
  for (const auto& [key, tensor] : adam.state_dict()) {
    keys.push_back(key);
  }
  EXPECT_EQ(
      keys,
      (std::vector<std::string>{
          "steps", "0.weight.exp_avg", "0.weight.exp_avg_sq", "0.bias.exp_avg", "0.bias.exp_avg_sq",
          "1.weight.exp_avg", "1.weight.exp_avg_sq", "1.bias.exp_avg", "1.bias.exp_avg_sq",
          "param_groups.0.lr", "param_groups.0.beta1", "param_groups.0.beta2", "param_groups.0.eps",
          "param_groups.0.weight_decay", "param_groups.0.constraint", "param_groups.0.params"}));
}

TEST(Resume, OptimizersRefuseAStateThatIsNotTheirs) {
  Linear model(2, 3);
  SGD sgd(parameters(model), {.momentum = 0.9});
  const auto one_step = [&] {
    Tape tape;
    tape.backward(model(Tensor::ones({1, 2})), Tensor::ones({1, 3}));
    sgd.step();
  };
  one_step();
  StateDict good;
  for (const auto& [key, tensor] : sgd.state_dict()) {
    good.emplace_back(key, tensor.clone());
  }
  ASSERT_EQ(good.size(), 3U + 7U);
  const auto one = [](double value) { return Tensor::full({1}, value, float64); };
  struct Case {
    size_t at;
    std::pair<std::string, Tensor> entry;  // in its place; without a name it is left out
    std::string message;
  };
  const std::vector<Case> cases = {
      {0, {"steps", Tensor::zeros({3}, int64)}, "steps: got int64 of shape (3,), wanted int64"},
      {0, {"steps", Tensor::ones({2})}, "steps: got float32 of shape (2,)"},
      {0, {"steps", tensor<int64_t>({-1, 1}, {2})}, "steps: got -1 of weight"},
      {1, {"weight.momentum_buffer", Tensor::zeros({2, 3})}, "got float32 of shape (2, 3)"},
      {1, {"weight.momentum_buffer", Tensor::zeros({3, 2}, float64)}, "got float64"},
      {1, {"weight.exp_avg", Tensor::zeros({3, 2})}, "weight.momentum_buffer: got none"},
      {1, {"", {}}, "weight.momentum_buffer: got none"},
      {1, {"steps", good[0].second}, "got steps twice"},
      {3, {"param_groups.0.lr", one(-1)}, "learning rate: got -1"},
      {3, {"param_groups.0.lr", Tensor::ones({1})}, "param_groups.0.lr: got float32"},
      {3, {"", {}}, "param_groups.0.lr: got none, wanted one float64"},
      {4, {"param_groups.0.momentum", one(-0.5)}, "momentum: got -0.5"},
      {4, {"param_groups.0.momentum", one(0)}, "got bias.momentum_buffer, which this"},
      {8, {"param_groups.0.constraint", one(3)}, "constraint: got 3, wanted 0 <= value < 3"},
      {8, {"param_groups.0.constraint", one(1)}, "constraint unit_rows: got bias of shape (3,)"},
      {9, {"param_groups.0.params", tensor<int64_t>({1, 0}, {2})}, "numbers of 2 parameters"},
      {9, {"param_groups.1.lr", one(1)}, "param_groups.0.params: got none"},
  };
  for (const Case& bad : cases) {
    StateDict state = good;
    state[bad.at] = bad.entry;
    if (bad.entry.first.empty()) {
      state.erase(state.begin() + static_cast<int64_t>(bad.at));
    }
    expect_error<ValueError>([&] { sgd.load_state_dict(state); }, {"[SGD] ", bad.message});
    expect_same_bits(sgd.state_dict(), good);
  }
  StateDict more = good;
  more.emplace_back("n\x1b", Tensor::ones({1}));
  expect_error<ValueError>([&] { sgd.load_state_dict(more); }, {"got n\\x1b, which this"});
  one_step();
  sgd.load_state_dict(good);
  expect_same_bits(sgd.state_dict(), good);
  sgd.load_state_dict({});
  EXPECT_EQ(sgd.state_dict().size(), 7U) << "as before the first step, with its options";
}

TEST(Resume, LoadersLeaveOutTheFirstBatches) {
  std::vector<int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  for (const bool drop_last : {false, true}) {
    ImageLoader loader(images(), numbers, {.image_size = 2},
                       {.batch_size = 4, .drop_last = drop_last, .shuffle = true, .seed = 3});
    const auto pixels_of = [&](int64_t left_out) {
      std::vector<std::vector<double>> batches;
      loader.start(2, left_out);
      while (const auto batch = loader.next()) {
        batches.push_back(in_doubles(batch->images));
      }
      return batches;
    };
    const auto all = pixels_of(0);
    ASSERT_EQ(static_cast<int64_t>(all.size()), loader.batches_per_epoch());
    for (int64_t k = 1; k <= loader.batches_per_epoch(); ++k) {
      EXPECT_EQ(pixels_of(k), std::vector(all.begin() + k, all.end()));
    }
    expect_error<ValueError>([&] { loader.start(1, loader.batches_per_epoch() + 1); },
                             {"batches to leave out"});
    expect_error<ValueError>([&] { loader.start(1, -1); }, {"got -1 batches to leave out"});
  }
}

TEST(Resume, WhatIsNoStateOfARunIsRefused) {
  const TemporaryFolder folder;
  SmallRun run({"adam"}, cpu);
  const std::string path = folder.path("state");
  save_run_state(path, run.state({.step = 2, .batches = 2, .rows = 8, .loss_sum = 0.1}));
  EXPECT_EQ(load_run_state(path).position.loss_sum, 0.1);
  const std::string good = folder.read("state");
  const auto refused = [&](const std::string& from, const std::string& to, const Parts& parts) {
    ASSERT_EQ(from.size(), to.size());
    std::string bytes = good;
    const size_t at = bytes.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    folder.write("bad", bytes.replace(at, from.size(), to));
    expect_file_error([&] { load_run_state(folder.path("bad")); }, parts);
  };
  refused("warptape_run", "warptape_ran", {"metadata warptape_run: not there"});
  refused("\\\"format\\\":2", "\\\"format\\\":1", {"format: got 1, wanted 2"});
  refused("\\\"step\\\":2", "\\\"step\\\":1", {"wanted the position of a run"});
  refused("\\\"epoch\\\":1", "\\\"epoch\\\":2", {"wanted the position of a run"});
  refused("\\\"batches\\\":2", "\\\"batchez\\\":2", {"batches"});
  refused("\\\"streams\\\":", "\\\"strealms\\\"", {"metadata warptape_run"});
  refused("\\\"epochs\\\":15", "\\\"epochs\\\":-5", {"epochs: got -5, wanted a whole number of 1"});
  refused("\"model.1", "\"modex.1", {"got the tensor modex.1"});
  const auto load = [&](const std::string& bytes) { load_run_state(folder.write("bad", bytes)); };
  for (size_t i = 0; i < good.size(); i += 7) {
    expect_survives(good.substr(0, i), load);
    std::string changed = good;
    changed[i] = static_cast<char>(changed[i] ^ 0x11);
    expect_survives(changed, load);
  }
}

}  // namespace
}  // namespace warptape
