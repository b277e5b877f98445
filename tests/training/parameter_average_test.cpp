// Exponential moving averages of parameters: against PyTorch, in the model, and in the training
// loop.

#include "training/parameter_average.h"

#include <gtest/gtest.h>

#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/batch_norm.h"
#include "layers/linear.h"
#include "layers/precision.h"
#include "layers/sequential.h"
#include "layers/weight_norm.h"
#include "tests/core/expect_throws.h"
#include "tests/golden.h"
#include "tests/kernels/devices.h"
#include "training/data_loader.h"
#include "training/optimizers.h"
#include "training/trainer.h"

namespace warptape {
namespace {

using Json = nlohmann::json;
using Values = std::vector<double>;

Values values_of(const Tensor& tensor) {
  return primitives::cast(tensor.to(cpu), float64).to_vector<double>();
}

Values values_of(const ParameterStates& states) {
  Values all;
  for (const auto& state : states) {
    const Values own = values_of(state->value);
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

// Values that differ from parameter to parameter and from step to step.
void set_values(const ParameterStates& states, double step) {
  for (size_t i = 0; i < states.size(); ++i) {
    Tensor& value = states[i]->value;
    const Tensor wide = add(randn(value.shape(), float64), step + static_cast<double>(i));
    primitives::copy(primitives::cast(wide, value.dtype()).to(value.device()), value);
  }
}

void check_average(const Json& golden, DType dtype, double tolerance, Device device) {
  SCOPED_TRACE(to_string(device) + ", decay " + golden["decay"].dump());
  Parameter weight(Tensor::zeros({1, 2}, dtype, device));
  Parameter bias(Tensor::zeros({1}, dtype, device));
  const ParameterStates states{weight.state(), bias.state()};
  ParameterAverage average(states, {.decay = golden["decay"]});
  for (size_t update = 0; update < golden["parameters"].size(); ++update) {
    const Values given = golden["parameters"][update];
    weight.assign(tensor<double>({given[0], given[1]}, {1, 2}));
    bias.assign(tensor<double>({given[2]}, {1}));
    average.update();
    const AverageScope scope(average);
    expect_near(values_of(states), golden["values"][update], tolerance,
                "update " + std::to_string(update));
  }
  EXPECT_EQ(values_of(average.state_dict()[0].second), Values{golden["n_averaged"]});
}

TEST(ParameterAverage, MatchesPyTorch) {
  const Json golden = load_golden("training.json")["averages"];
  ASSERT_EQ(golden.size(), 5U);
  for (const Json& entry : golden) {
    for (const Device device : available_devices()) {
      check_average(entry, float64, 1e-15, device);
      check_average(entry, float32, 4e-7, device);
    }
  }
}

TEST(ParameterAverage, OfBFloat16IsComputedInFloat) {
  for (const Device device : available_devices()) {
    Parameter parameter(Tensor::full({9}, 1, bfloat16, device));
    ParameterAverage average({parameter.state()}, {.decay = 0.75});
    average.update();
    parameter.assign(Tensor::full({9}, 1.0625, float32));
    average.update();
    const AverageScope scope(average);
    // 1 + 0.25 * 0.0625 = 1.015625, a bfloat16 number.
    EXPECT_EQ(values_of(parameter.value()), Values(9, 1.015625)) << to_string(device);
  }
}

TEST(ParameterAverage, StaysWhereTheParametersStay) {
  for (const Device device : available_devices()) {
    for (const double decay : {0.0, 0.3, 0.9}) {
      Parameter parameter(randn({1000}, float32).to(device));
      ParameterAverage average({parameter.state()}, {.decay = decay});
      const Values before = values_of(parameter.value());
      for (int update = 0; update < 5; ++update) {
        average.update();
      }
      const AverageScope scope(average);
      EXPECT_EQ(values_of(parameter.value()), before) << to_string(device) << ", decay " << decay;
    }
  }
}

// A model with a weight that is computed, a buffer, and tied parameters.
struct Tied : Module {
  Linear in{3, 4};
  BatchNorm1d norm{4};
  Linear out{4, 4};
  Linear again{4, 4};
  Tied() {
    weight_norm(in);
    again.bias.tie(out.bias);
  }
  void fields(Visitor& visit) override {
    visit("in", in)("norm", norm)("out", out)("again", again);
  }
  Tensor forward(const Operand& x) override { return again(out(norm(in(x)))); }
};

TEST(ParameterAverage, IsInTheModelUntilItGoesAgain) {
  for (const Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    manual_seed(4);
    Tied model;
    model.to(device);
    const Tensor x = randn({2, 3}).to(device);
    const ParameterStates states = parameters(model);
    ParameterAverage average(states, {.decay = 0.5});
    set_values(states, 1);
    const Values first = values_of(states);
    average.update();
    set_values(states, 2);
    const Values second = values_of(states);
    average.update();
    model.eval();
    const Values of_second = values_of(model(x));
    const void* const place = states[0]->value.data<float>();
    Tied twin(model);  // with parameters of its own, which get the averages
    {
      const AverageScope scope(average);
      EXPECT_NE(states[0]->value.data<float>(), place) << "nothing is copied";
      const Values averages = values_of(states);
      for (size_t i = 0; i < averages.size(); ++i) {
        EXPECT_NEAR(averages[i], (first[i] + second[i]) / 2, 1e-6);
      }
      load_state_dict(twin, state_dict(model));
      EXPECT_EQ(values_of(model(x)), values_of(twin(x))) << "w is computed anew";
      EXPECT_NE(values_of(model(x)), of_second);
    }
    EXPECT_EQ(states[0]->value.data<float>(), place);
    EXPECT_EQ(values_of(states), second);
    EXPECT_EQ(values_of(model(x)), of_second);
    average.apply();
    EXPECT_EQ(states[0]->value.data<float>(), place);
    EXPECT_EQ(values_of(states), values_of(parameters(twin)));
    EXPECT_EQ(values_of(model(x)), values_of(twin(x)));
  }
}

TEST(ParameterAverage, GoesWhateverIsThrown) {
  Linear model(2, 1);
  const ParameterStates states = parameters(model);
  ParameterAverage average(states);
  average.update();
  set_values(states, 3);
  const Values own = values_of(states);
  EXPECT_THROW(
      {
        const AverageScope scope(average);
        throw ValueError("told to");
      },
      ValueError);
  EXPECT_EQ(values_of(states), own);
  average.update();  // which it would refuse with the averages in the model
}

TEST(ParameterAverage, TrainingGoesOnBehindAScope) {
  for (const bool looks : {false, true}) {
    static Values without;
    manual_seed(5);
    Linear model(3, 2);
    Adam adam(parameters(model), {.lr = 0.1});
    ParameterAverage average(parameters(model), {.decay = 0.9});
    const Tensor x = randn({4, 3});
    for (int step = 0; step < 4; ++step) {
      adam.zero_grad();
      Tape tape;
      tape.backward(sum(model(x)));
      adam.step();
      average.update();
      if (looks) {
        const AverageScope scope(average);
        model(x);
      }
    }
    if (looks) {
      EXPECT_EQ(values_of(parameters(model)), without);
    } else {
      without = values_of(parameters(model));
    }
  }
}

TEST(ParameterAverage, RefusesWhatCannotBe) {
  Linear model(2, 1);
  const ParameterStates states = parameters(model);
  for (const double decay : {-0.1, 1.0, std::nan("")}) {
    expect_throws<ValueError>([&] { ParameterAverage(states, {.decay = decay}); },
                              {"[ParameterAverage] decay: got ", "wanted 0 <= decay < 1"});
  }
  expect_throws<ValueError>([] { ParameterAverage({}); }, {"[ParameterAverage] got no parameters"});
  expect_throws<ValueError>(
      [&] {
        ParameterAverage({states[0], states[0]});
      },
      {"[ParameterAverage] got weight of shape (1, 2) twice"});
  Parameter whole(Tensor::zeros({1}, int64));
  expect_throws<DTypeError>([&] { ParameterAverage({whole.state()}); }, {"got int64"});
  ParameterAverage average(states);
  EXPECT_FALSE(average.has_begun());
  expect_throws<ValueError>([&] { average.swap(); }, {"swap: got no averages"});
  expect_throws<ValueError>([&] { average.apply(); }, {"apply: got no averages"});
  average.update();
  EXPECT_TRUE(average.has_begun());
  {
    const AverageScope scope(average);
    expect_throws<ValueError>([&] { average.update(); }, {"update: the model has the averages"});
    expect_throws<ValueError>([&] { average.apply(); }, {"apply: the model has"});
    expect_throws<ValueError>([&] { average.state_dict(); }, {"state_dict: the model has"});
    expect_throws<ValueError>([&] { average.load_state_dict({}); }, {"load_state_dict: the model"});
  }
  states[1]->set_value(Tensor::zeros({2}));
  expect_throws<ValueError>([&] { average.update(); },
                            {"update: bias is float32 of shape (2,) on cpu, wanted float32 of "
                             "shape (1,) on cpu as at the first update"});
}

TEST(ParameterAverage, RefusesAModelThatMoves) {
  if (available_devices().size() < 2) {
    GTEST_SKIP() << "there is one device";
  }
  Linear model(2, 1);
  ParameterAverage average(parameters(model));
  average.update();
  model.to(available_devices()[1]);
  expect_throws<ValueError>([&] { average.update(); }, {"weight is float32", "on cuda"});
  Parameter here(Tensor::zeros({1}));
  ParameterAverage both({model.bias.state(), here.state()});
  expect_throws<DeviceError>([&] { both.update(); }, {"update: 1 is on cpu, wanted all on cuda"});
  EXPECT_FALSE(both.has_begun());
}

std::vector<std::string> keys_of(const StateDict& state) {
  std::vector<std::string> keys;
  for (const auto& [key, tensor] : state) {
    keys.push_back(key);
  }
  return keys;
}

TEST(ParameterAverage, ItsStateGoesOnWithTheSameBits) {
  for (const Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    Tied model;
    model.to(device);
    const ParameterStates states = parameters(model);
    ParameterAverage whole(states, {.decay = 0.7});
    EXPECT_TRUE(whole.state_dict().empty()) << "before the first update";
    for (int update = 0; update < 3; ++update) {
      set_values(states, update);
      whole.update();
    }
    StateDict saved;
    for (const auto& [key, tensor] : whole.state_dict()) {
      saved.emplace_back(key, tensor.to(cpu).clone());
    }
    EXPECT_EQ(keys_of(saved), (std::vector<std::string>{
                                  "n_averaged", "module.in.weight_g", "module.in.weight_v",
                                  "module.in.bias", "module.norm.weight", "module.norm.bias",
                                  "module.out.weight", "module.out.bias", "module.again.weight"}));
    ParameterAverage resumed(states, {.decay = 0.7});
    resumed.load_state_dict(saved);
    set_values(states, 3);
    whole.update();
    resumed.update();
    const StateDict a = whole.state_dict();
    const StateDict b = resumed.state_dict();
    ASSERT_EQ(keys_of(a), keys_of(b));
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(values_of(a[i].second), values_of(b[i].second)) << a[i].first;
    }
    EXPECT_EQ(values_of(b[0].second), Values{4});
    resumed.load_state_dict({});
    EXPECT_FALSE(resumed.has_begun());
    resumed.update();
    EXPECT_EQ(values_of(resumed.state_dict()[0].second), Values{1}) << "as at the beginning";
  }
}

TEST(ParameterAverage, RefusesAStateThatIsNotIts) {
  Linear model(2, 1);
  ParameterAverage average(parameters(model));
  average.update();
  StateDict good;
  for (const auto& [key, tensor] : average.state_dict()) {
    good.emplace_back(key, tensor.clone());
  }
  ASSERT_EQ(good.size(), 3U);
  struct Case {
    size_t at;
    std::pair<std::string, Tensor> entry;
    std::string message;
  };
  for (const Case& bad : std::vector<Case>{
           {0, {"n_averaged", Tensor::ones({1})}, "n_averaged: got float32 of shape (1,)"},
           {0, {"n_averaged", Tensor::zeros({1}, int64)}, "wanted one int64 of 1 or more"},
           {0, {"x", Tensor::ones({1}, int64)}, "n_averaged: got none"},
           {1, {"module.weight", Tensor::zeros({2})}, "module.weight: got float32 of shape (2,)"},
           {1, {"module.weight", Tensor::zeros({1, 2}, float64)}, "module.weight: got float64"},
           {1, {"weight", Tensor::zeros({1, 2})}, "module.weight: got none"},
           {1, {"module.bias", Tensor::zeros({1})}, "got module.bias twice"}}) {
    StateDict state = good;
    state[bad.at] = bad.entry;
    expect_throws<ValueError>([&] { average.load_state_dict(state); },
                              {"[ParameterAverage] state: ", bad.message});
  }
  StateDict more = good;
  more.emplace_back("n\x1b", Tensor::ones({1}));
  expect_throws<ValueError>([&] { average.load_state_dict(more); }, {"got n\\x1b, which these"});
  EXPECT_EQ(values_of(average.state_dict()[1].second), values_of(good[1].second));
}

// ---- the training loop --------------------------------------------------------------------------

Loss squares() {
  return [](const Tensor& y, const Tensor& target) { return mse_loss(y, target); };
}

// A run of three epochs, of three steps each, over rows of y = sum of x.
struct SmallRun {
  explicit SmallRun(Device device)
      : rows(make_rows()),
        data(rows, {.batch_size = 4, .shuffle = true, .device = device}),
        test(rows, {.batch_size = 12, .device = device}) {
    manual_seed(8);
    model = Linear(3, 1);
    model.to(device);
    optimizer = std::make_unique<SGD>(parameters(model), SGD::Options{.lr = 0.1});
  }

  static TensorDataset make_rows() {
    manual_seed(6);
    const Tensor x = randn({12, 3});
    return {x, sum(x, {1}, true)};
  }

  // on_epoch sees the averages, if there is a decay; steps are noted as they are.
  EpochMetrics run(std::optional<double> decay, TrainingOptions options = {}) {
    std::unique_ptr<ParameterAverage> average;
    if (decay) {
      average = std::make_unique<ParameterAverage>(parameters(model),
                                                   ParameterAverage::Options{.decay = *decay});
    }
    options.loss = squares();
    options.validation = &test;
    options.epochs = 3;
    options.average = average.get();
    options.checkpoint_every = 1;
    TrainingCallbacks callbacks;
    callbacks.on_step = [&](const StepMetrics& step) { losses.push_back(step.loss); };
    callbacks.on_checkpoint = [&](const TrainingPosition& at) {
      if (at.step > static_cast<int64_t>(at_steps.size())) {
        at_steps.push_back(values_of(parameters(model)));
      }
    };
    callbacks.on_epoch = [&](const EpochMetrics& epoch) {
      epochs.push_back(epoch);
      at_epochs.push_back(values_of(parameters(model)));
      EXPECT_EQ(evaluate(model, test, squares()).loss, epoch.validation->loss);
    };
    return train(model, *optimizer, data, options, callbacks);
  }

  TensorDataset rows;
  DataLoader data;
  DataLoader test;
  Linear model{1, 1};
  std::unique_ptr<SGD> optimizer;
  std::vector<double> losses;
  std::vector<EpochMetrics> epochs;
  std::vector<Values> at_steps;   // the parameters behind every step
  std::vector<Values> at_epochs;  // those that on_epoch saw
};

TEST(AveragedTraining, EvaluatesTheAveragesAndTrainsTheParameters) {
  for (const Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    SmallRun plain(device);
    plain.run({});
    SmallRun averaged(device);
    averaged.run(0.75);
    EXPECT_EQ(averaged.losses, plain.losses);
    EXPECT_EQ(averaged.at_steps, plain.at_steps);
    ASSERT_EQ(averaged.at_steps.size(), 9U);
    EXPECT_EQ(values_of(parameters(averaged.model)), plain.at_steps[8]) << "at the end";
    Values wanted = plain.at_steps[0];
    for (size_t step = 1; step < 9; ++step) {
      for (size_t i = 0; i < wanted.size(); ++i) {
        wanted[i] = 0.75 * wanted[i] + 0.25 * plain.at_steps[step][i];
      }
      if (step % 3 == 2) {
        expect_near(averaged.at_epochs[step / 3], wanted, 1e-6, "step " + std::to_string(step));
      }
    }
    EXPECT_EQ(plain.at_epochs[2], plain.at_steps[8]) << "without an average";
  }
}

TEST(AveragedTraining, TheBestWeightsAreAverages) {
  SmallRun run(cpu);
  const EpochMetrics best = run.run(0.9, {.restore_best = true});
  EXPECT_EQ(values_of(parameters(run.model)), run.at_epochs[static_cast<size_t>(best.epoch - 1)]);
  EXPECT_EQ(evaluate(run.model, run.test, squares()).loss, best.validation->loss);
}

TEST(AveragedTraining, RefusesAnAverageOfAnotherModelAndOneThatWasForgotten) {
  SmallRun run(cpu);
  Linear other(3, 1);
  ParameterAverage of_other(parameters(other));
  const auto train_with = [&](ParameterAverage& average, const TrainingPosition& from) {
    train(run.model, *run.optimizer, run.data, {.loss = squares(), .average = &average}, {}, from);
  };
  expect_throws<ValueError>([&] { train_with(of_other, {}); },
                            {"[train] average: got one without weight of shape (1, 3)"});
  ParameterAverage fresh(parameters(run.model));
  expect_throws<ValueError>([&] { train_with(fresh, {.step = 2, .batches = 2, .rows = 8}); },
                            {"[train] average: got none for the position at step 2"});
  ParameterStates some = parameters(run.model);
  some.pop_back();
  ParameterAverage of_some(some);
  expect_throws<ValueError>([&] { train_with(of_some, {}); }, {"got one without bias"});
  run.model.bias.set_requires_grad(false);
  train_with(of_some, {});  // what is frozen may be left out
}

}  // namespace
}  // namespace warptape
