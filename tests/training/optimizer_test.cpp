// Optimizers, schedules and clipping against PyTorch.

#include "training/optimizers.h"

#include <cmath>

#include "core/primitives.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "tests/core/expect_throws.h"
#include "tests/golden.h"
#include "tests/kernels/devices.h"
#include "training/schedules.h"

namespace warptape {
namespace {

using Json = nlohmann::json;

Tensor tensor_of(const std::vector<double>& values, DType dtype, Device device) {
  const Tensor wide = tensor(values, {static_cast<int64_t>(values.size())});
  return primitives::cast(wide, dtype).to(device).clone();
}

std::shared_ptr<ParameterState> make_state(const std::vector<double>& values, DType dtype,
                                           Device device = cpu) {
  auto state = std::make_shared<ParameterState>();
  state->value = tensor_of(values, dtype, device);
  return state;
}

void set_gradient(ParameterState& state, const std::vector<double>& values) {
  state.grad = tensor_of(values, state.value.dtype(), state.value.device());
  state.grad_is_empty = false;
}

std::vector<double> values_of(const Tensor& tensor) {
  return primitives::cast(tensor.to(cpu), float64).to_vector<double>();
}

// By the names that recipes have for them, which are the golden file's.
std::unique_ptr<Optimizer> make(const Json& golden, ParameterStates states) {
  Choice choice{golden["kind"]};
  for (const auto& [name, value] : golden["options"].items()) {
    choice.options[name] =
        value.is_boolean() ? OptionValue(value.get<bool>()) : OptionValue(value.get<double>());
  }
  return make_optimizer(choice, std::move(states));
}

void check_optimizer(const Json& golden, DType dtype, double tolerance, Device device) {
  SCOPED_TRACE(to_string(device));
  const auto state = make_state(golden["initial"], dtype, device);
  const auto optimizer = make(golden, {state});
  for (size_t step = 0; step < golden["gradients"].size(); ++step) {
    set_gradient(*state, golden["gradients"][step]);
    optimizer->step();
    expect_near(values_of(state->value), golden["values"][step], tolerance,
                golden["kind"].get<std::string>() + golden["options"].dump() + ", step " +
                    std::to_string(step));
  }
}

TEST(Optimizer, MatchesPyTorchOverTenSteps) {
  const Json golden = load_golden("training.json");
  ASSERT_GT(golden["optimizers"].size(), 8u);
  for (const Json& entry : golden["optimizers"]) {
    for (Device device : available_devices()) {
      check_optimizer(entry, float64, 1e-13, device);
      check_optimizer(entry, float32, 2e-6, device);
    }
  }
}

TEST(Optimizer, WithoutOptionsHasPyTorchsDefaults) {
  Linear layer({.in_features = 2, .out_features = 2});
  EXPECT_EQ(SGD(parameters(layer)).learning_rate(), 1e-3);
  EXPECT_EQ(Adam(parameters(layer)).learning_rate(), 1e-3);
  EXPECT_EQ(AdamW(parameters(layer)).learning_rate(), 1e-3);
  EXPECT_EQ(RMSprop(parameters(layer)).learning_rate(), 1e-2);
}

// Rounding leaves a variance below 0 of gradients that do not change.
TEST(Optimizer, CenteredRMSpropStaysFiniteWhereGradientsDoNotChange) {
  for (Device device : available_devices()) {
    const auto state = make_state({1, 2}, float32, device);
    RMSprop optimizer({state}, {.lr = 1e-9, .alpha = 0.5, .centered = true});
    for (int step = 0; step < 60; ++step) {
      set_gradient(*state, {0.1, -3.3});
      optimizer.step();
    }
    for (const double value : values_of(state->value)) {
      EXPECT_TRUE(std::isfinite(value)) << to_string(device);
    }
  }
}

TEST(Optimizer, ARateThatIsSetBetweenStepsCountsFromTheNext) {
  for (Device device : available_devices()) {
    const auto state = make_state({8}, float64, device);
    SGD optimizer({state}, {.lr = 1});
    double wanted = 8;
    for (const double rate : {1.0, 0.5, 0.25, 0.0, 2.0}) {
      optimizer.set_learning_rate(rate);
      set_gradient(*state, {1});
      optimizer.step();
      wanted -= rate;
      EXPECT_EQ(values_of(state->value)[0], wanted) << to_string(device) << ", rate " << rate;
    }
  }
}

TEST(Optimizer, SkipsParametersWithoutGradient) {
  const auto used = make_state({1, 2}, float64);
  const auto unused = make_state({3, 4}, float64);
  AdamW optimizer({used, unused}, {.lr = 0.1, .weight_decay = 0.5});
  set_gradient(*used, {1, 1});
  optimizer.step();
  EXPECT_EQ(values_of(unused->value), (std::vector<double>{3, 4}));
  EXPECT_NE(values_of(used->value), (std::vector<double>{1, 2}));
  optimizer.zero_grad();
  const std::vector<double> before = values_of(used->value);
  optimizer.step();
  EXPECT_EQ(values_of(used->value), before);
}

TEST(Optimizer, RefusesNonsense) {
  const auto state = make_state({1}, float64);
  EXPECT_THROW(SGD({state}, {.lr = -1}), ValueError);
  EXPECT_THROW(SGD({state}, {.lr = NAN}), ValueError);
  EXPECT_THROW(SGD({state}, {.momentum = -0.1}), ValueError);
  EXPECT_THROW(SGD({state}, {.nesterov = true}), ValueError);
  EXPECT_THROW(Adam({state}, {.beta1 = 1}), ValueError);
  EXPECT_THROW(Adam({state}, {.eps = -1}), ValueError);
  for (const RMSprop::Options& bad : {RMSprop::Options{.lr = -1},
                                      {.alpha = -0.1},
                                      {.eps = -1},
                                      {.weight_decay = -1},
                                      {.momentum = NAN}}) {
    EXPECT_THROW(RMSprop({state}, bad), ValueError);
  }
}

TEST(Optimizer, RefusesParametersThatCannotTrain) {
  expect_throws<ValueError>([] { AdamW({}, {}); }, {"[AdamW] got no parameters", "fields()"});
  Linear layer(3, 2);
  ParameterStates states = parameters(layer);
  expect_throws<ValueError>(
      [&] {
        SGD({states[0], states[1], states[0]}, {});
      },
      {"[SGD] got weight of shape (2, 3) twice", "0 and 2"});
  const auto unnamed = make_state({1, 2, 3}, float64);
  expect_throws<ValueError>(
      [&] {
        Adam({unnamed, unnamed}, {});
      },
      {"[Adam] got a parameter of shape (3,) twice", "0 and 1"});
  expect_throws<ValueError>(
      [&] {
        SGD({states[0], std::make_shared<ParameterState>()}, {});
      },
      {"[SGD] parameter 1", "undefined"});
  expect_throws<ValueError>([] { SGD({nullptr}, {}); }, {"[SGD] parameter 0", "undefined"});
  const auto whole = std::make_shared<ParameterState>();
  whole->value = Tensor::zeros({2}, int64);
  expect_throws<DTypeError>([&] { SGD({states[0], whole}, {}); }, {"[SGD]", "(2,)", "int64"});
  freeze(layer, "*");
  expect_throws<ValueError>([&] { SGD(states, {}); },
                            {"[SGD] got 2 parameters that all require no gradient", "weight of"});
  unfreeze(layer, "bias");
  EXPECT_NO_THROW(SGD(states, {}));
}

// What one optimizer with groups does, optimizers of the parts do.
template <class Rule>
void check_groups(typename Rule::Group own, typename Rule::Options defaults,
                  typename Rule::Options merged, Device device) {
  SCOPED_TRACE(to_string(device));
  const auto state = [&](double value) { return make_state({value, -2 * value}, float64, device); };
  const ParameterStates grouped = {state(1), state(2), state(3)};
  const ParameterStates alone = {state(1), state(2), state(3)};
  own.parameters = {grouped[1]};
  Rule together({{.parameters = {grouped[0]}}, own, {.parameters = {grouped[2]}, .lr = 0}},
                defaults);
  Rule first({alone[0]}, defaults);
  Rule second({alone[1]}, merged);
  ASSERT_EQ(together.num_groups(), 3U);
  EXPECT_EQ(together.learning_rate(), defaults.lr);
  EXPECT_EQ(together.learning_rate(1), merged.lr);
  for (int step = 0; step < 3; ++step) {
    for (const ParameterStates& states : {grouped, alone}) {
      for (size_t i = 0; i < states.size(); ++i) {
        set_gradient(*states[i], {0.5 + step, -1.5 * static_cast<double>(i + 1)});
      }
    }
    together.step();
    first.step();
    second.step();
    for (size_t i = 0; i < grouped.size(); ++i) {  // the third has a rate of 0
      EXPECT_EQ(values_of(grouped[i]->value), values_of(alone[i]->value)) << i << ", " << step;
    }
    together.set_learning_rate(1, 0.5);
    second.set_learning_rate(0.5);
  }
  together.set_learning_rate(0.25);
  EXPECT_EQ(together.learning_rate(2), 0.25);
}

TEST(Optimizer, GroupsHaveOptionsOfTheirOwn) {
  for (Device device : available_devices()) {
    check_groups<SGD>({.lr = 0.3, .momentum = 0.9, .nesterov = true},
                      {.lr = 0.1, .weight_decay = 0.2},
                      {.lr = 0.3, .momentum = 0.9, .weight_decay = 0.2, .nesterov = true}, device);
    check_groups<SGD>({.dampening = 0, .weight_decay = 0},
                      {.lr = 0.1, .momentum = 0.5, .dampening = 0.5, .weight_decay = 0.2},
                      {.lr = 0.1, .momentum = 0.5}, device);
    check_groups<Adam>({.beta1 = 0.5, .beta2 = 0.8, .weight_decay = 0.1}, {.lr = 0.1, .eps = 0.01},
                       {.lr = 0.1, .beta1 = 0.5, .beta2 = 0.8, .eps = 0.01, .weight_decay = 0.1},
                       device);
    check_groups<RMSprop>({.alpha = 0.5, .momentum = 0.9, .centered = true}, {.weight_decay = 0.1},
                          {.alpha = 0.5, .weight_decay = 0.1, .momentum = 0.9, .centered = true},
                          device);
    check_groups<AdamW>({.lr = 0.2, .eps = 0.1, .weight_decay = 0}, {},
                        {.lr = 0.2, .eps = 0.1, .weight_decay = 0}, device);
  }
}

TEST(Optimizer, AStateGivesGroupsTheirOptions) {
  const auto make_two = [](double lr) {
    return std::make_unique<SGD>(
        std::vector<SGD::Group>{{.parameters = {make_state({1}, float64)}, .lr = lr},
                                {.parameters = {make_state({2}, float64)}, .momentum = lr / 2}},
        SGD::Options{.lr = 0.5});
  };
  const auto saved = make_two(0.25);
  const auto loaded = make_two(0.125);
  saved->set_learning_rate(1, 0.75);
  loaded->load_state_dict(saved->state_dict());
  EXPECT_EQ(loaded->learning_rate(0), 0.25);
  EXPECT_EQ(loaded->learning_rate(1), 0.75);
  std::map<std::string, double> options;
  for (const auto& [key, tensor] : loaded->state_dict()) {
    options[key] = tensor.numel() == 1 ? values_of(tensor)[0] : -1;
  }
  EXPECT_EQ(options["param_groups.1.momentum"], 0.125);
  EXPECT_EQ(options["param_groups.1.params"], 1) << "counted over all groups";
  SGD one({make_state({1}, float64), make_state({2}, float64)}, {});
  expect_throws<ValueError>([&] { one.load_state_dict(saved->state_dict()); },
                            {"[SGD] state: param_groups.0.params", "wanted the numbers of 2"});
}

TEST(Optimizer, RefusesNonsenseInAnyGroup) {
  const auto a = make_state({1}, float64);
  const auto b = make_state({1}, float64);
  const auto refused = [&](SGD::Group group, const std::vector<std::string>& parts) {
    expect_throws<ValueError>([&] { SGD({{.parameters = {a}}, std::move(group)}, {}); }, parts);
  };
  refused({.parameters = {b}, .lr = -1}, {"[SGD] learning rate: got -1"});
  refused({.parameters = {b}, .momentum = -1}, {"[SGD] momentum: got -1"});
  refused({.parameters = {b}, .nesterov = true}, {"[SGD] nesterov"});
  refused({.parameters = {a}}, {"[SGD] got a parameter of shape (1,) twice", "0 and 1"});
  SGD good({{.parameters = {a}}, {.parameters = {b}}});
  expect_throws<ValueError>([&] { (void)good.learning_rate(2); },
                            {"[SGD] group: got 2, wanted one of 2"});
  expect_throws<ValueError>([&] { good.set_learning_rate(2, 1); }, {"[SGD] group: got 2"});
}

TEST(Optimizer, TiedParametersAreSteppedOnce) {
  Sequential net(Linear({.in_features = 2, .out_features = 2, .dtype = float64}),
                 Linear({.in_features = 2, .out_features = 2, .dtype = float64}));
  named_parameters(net)[2].parameter->tie(*named_parameters(net)[0].parameter);
  const auto states = parameters(net);
  ASSERT_EQ(states.size(), 3U);
  SGD optimizer(states, {.lr = 0.5});
  states[0]->value = Tensor::ones({2, 2}, float64);
  states[0]->grad = Tensor::ones({2, 2}, float64);
  states[0]->grad_is_empty = false;
  optimizer.step();
  EXPECT_EQ(values_of(states[0]->value), std::vector<double>(4, 0.5));
}

TEST(Optimizer, NeitherStepsNorClipsNorCountsFrozenParametersWithAnOldGradient) {
  const auto live = make_state({1, 2}, float64);
  const auto frozen = make_state({3, 4}, float64);
  set_gradient(*live, {3, 4});
  set_gradient(*frozen, {100, 100});
  AdamW optimizer({live, frozen}, {.lr = 0.1});
  frozen->requires_grad = false;
  EXPECT_EQ(grad_norm({live, frozen}), 5);
  EXPECT_EQ(clip_grad_norm({live, frozen}, 1), 5);
  EXPECT_EQ(values_of(frozen->grad), (std::vector<double>{100, 100}));
  optimizer.step();
  EXPECT_EQ(values_of(frozen->value), (std::vector<double>{3, 4}));
  EXPECT_NE(values_of(live->value), (std::vector<double>{1, 2}));
  expect_throws<ValueError>([&] { grad_norm({live, live}); }, {"[grad_norm]", "twice"});
  expect_throws<ValueError>(
      [&] {
        clip_grad_norm({live, live}, 1);
      },
      {"[clip_grad_norm]", "twice"});
}

TEST(Optimizer, NormsOfAnySizeAreFoundAndClipped) {
  for (double size : {1e-320, 1e-200, 1e-160, 1e-25, 1.0, 1e25, 1e160, 1e200, 1e307}) {
    const auto state = make_state({0, 0}, float64);
    set_gradient(*state, {3 * size, 4 * size});
    EXPECT_NEAR(grad_norm({state}) / (5 * size), 1, size < 1e-300 ? 1e-3 : 1e-15) << size;
    if (size > 1) {
      clip_grad_norm({state}, 1);
      expect_near(values_of(state->grad), {0.6, 0.8}, 1e-6, "clipped");
    }
  }
  for (double size : {1e-37, 1e-25, 1e25, 1e37}) {
    const auto state = make_state({0, 0}, float32);
    set_gradient(*state, {3 * size, 4 * size});
    EXPECT_NEAR(grad_norm({state}) / (5 * size), 1, 1e-6) << size;
  }
  const auto state = make_state({0, 0}, float64);
  for (double bad : {NAN, INFINITY}) {
    set_gradient(*state, {1, bad});
    EXPECT_FALSE(std::isfinite(grad_norm({state})));
  }
}

void check_clipping(const Json& golden, Device device) {
  SCOPED_TRACE(to_string(device));
  ParameterStates states;
  for (const Json& gradient : golden["gradients"]) {
    const std::vector<double> values = gradient;
    states.push_back(make_state(std::vector<double>(values.size(), 0.0), float64, device));
    set_gradient(*states.back(), values);
  }
  states.push_back(make_state({7}, float64, device));  // without a gradient
  const double norm = clip_grad_norm(states, golden["max_norm"]);
  EXPECT_NEAR(norm, golden["norm"].get<double>(), 1e-12 * norm);
  for (size_t i = 0; i < golden["clipped"].size(); ++i) {
    expect_near(values_of(states[i]->grad), golden["clipped"][i], 1e-13, "clipped gradient");
  }
}

TEST(Optimizer, ClipGradNormMatchesPyTorch) {
  const Json cases = load_golden("training.json")["clip_grad_norm"];
  ASSERT_FALSE(cases.empty());
  for (const Json& golden : cases) {
    for (Device device : available_devices()) {
      check_clipping(golden, device);
    }
  }
  EXPECT_THROW(clip_grad_norm({make_state({1}, float64)}, 0), ValueError);
}

Schedule schedule_of(const Json& golden) {
  const Json& o = golden["options"];
  Schedule schedule = constant_lr();
  if (golden["kind"] == "step") {
    schedule = step_lr({.step_size = o["step_size"], .gamma = o["gamma"]});
  } else if (golden["kind"] == "cosine") {
    schedule = cosine_annealing_lr({.total_steps = o["total_steps"], .min_lr = o["min_lr"]});
  } else if (golden["kind"] == "one_cycle") {
    schedule = one_cycle_lr({.total_steps = o["total_steps"],
                             .pct_start = o["pct_start"],
                             .div_factor = o["div_factor"],
                             .final_div_factor = o["final_div_factor"]});
  }
  return with_warmup(schedule,
                     {.steps = o["warmup_steps"], .start_factor = o["warmup_start_factor"]});
}

TEST(Schedule, MatchesPyTorch) {
  const Json golden = load_golden("training.json");
  ASSERT_GT(golden["schedules"].size(), 5u);
  for (const Json& entry : golden["schedules"]) {
    const Schedule schedule = schedule_of(entry);
    const std::vector<double> wanted = entry["values"];
    for (size_t step = 0; step < wanted.size(); ++step) {
      EXPECT_NEAR(
          learning_rate_at(schedule, entry["options"]["lr"], {.step = static_cast<int64_t>(step)}),
          wanted[step], 1e-14)
          << entry["kind"] << entry["options"].dump() << ", step " << step;
    }
  }
}

TEST(Schedule, CosineStaysAtItsEnd) {
  const Schedule schedule = cosine_annealing_lr({.total_steps = 10, .min_lr = 0.25});
  EXPECT_NEAR(learning_rate_at(schedule, 1, {.step = 10}), 0.25, 1e-15);
  EXPECT_NEAR(learning_rate_at(schedule, 1, {.step = 1000}), 0.25, 1e-15);
}

TEST(Schedule, OneCycleStaysAtItsEndAndKnowsTheRun) {
  const Schedule schedule = one_cycle_lr({.div_factor = 4, .final_div_factor = 2});
  EXPECT_NEAR(learning_rate_at(schedule, 1, {.step = 9, .total_steps = 10}), 0.125, 1e-15);
  EXPECT_NEAR(learning_rate_at(schedule, 1, {.step = 99, .total_steps = 10}), 0.125, 1e-15);
  EXPECT_NEAR(learning_rate_at(schedule, 1, {.step = 2, .total_steps = 10}), 1, 1e-15);
  EXPECT_NEAR(learning_rate_at(schedule, 1, {.step = 0, .total_steps = 1}), 0.125, 1e-15);
  const Schedule quarter = one_cycle_lr({.total_steps = 4, .pct_start = 0.25});
  EXPECT_EQ(learning_rate_at(quarter, 1, {.step = 0}), 1) << "the first step is the top";
  expect_throws<ValueError>([&] { learning_rate_at(schedule, 1, {}); }, {"total_steps"});
  expect_throws<ValueError>([] { one_cycle_lr({.pct_start = 1}); }, {"pct_start: got 1"});
  expect_throws<ValueError>([] { one_cycle_lr({.div_factor = 0.5}); }, {"div_factor: got 0.5"});
  expect_throws<ValueError>([] { one_cycle_lr({.final_div_factor = 0}); },
                            {"final_div_factor: got 0"});
  expect_throws<ValueError>([] { one_cycle_lr({.total_steps = 0}); }, {"total_steps: got 0"});
  const Schedule made = make_schedule(Choice{"one_cycle", {{"div_factor", 4}}});
  EXPECT_NEAR(learning_rate_at(made, 1, {.step = 0, .total_steps = 10}), 0.25, 1e-15);
}

TEST(Schedule, CountsInEpochsAndToTheEndOfTheRun) {
  const StepOfRun seventh{.step = 7, .total_steps = 8, .steps_per_epoch = 3};
  EXPECT_NEAR(learning_rate_at(step_lr({.step_epochs = 1, .gamma = 0.5}), 1, seventh), 0.25, 1e-15);
  const Schedule warm = with_warmup(cosine_annealing_lr(), {.steps = 6});
  EXPECT_NEAR(learning_rate_at(warm, 1, seventh), 0.5, 1e-15) << "the second of two steps";
  const Schedule own = [](double lr, const StepOfRun& at) {
    return lr / static_cast<double>(1 + at.step);
  };
  EXPECT_EQ(learning_rate_at(own, 1, seventh), 0.125);
  EXPECT_EQ(learning_rate_at(with_warmup(own, {.steps = 6}), 1, seventh), 0.5);
}

TEST(Schedule, RefusesNonsense) {
  const auto rate = [](const Schedule& schedule, const StepOfRun& at = {}) {
    learning_rate_at(schedule, 0.1, at);
  };
  EXPECT_NO_THROW(rate(constant_lr()));
  expect_throws<ValueError>([&] { step_lr({}); }, {"step_size", "neither was given"});
  expect_throws<ValueError>([&] { step_lr({.step_size = 1, .step_epochs = 1}); }, {"both were"});
  expect_throws<ValueError>([&] { step_lr({.step_size = 0}); }, {"step_size: got 0"});
  expect_throws<ValueError>([&] { step_lr({.step_epochs = 0}); }, {"step_epochs: got 0"});
  expect_throws<ValueError>([&] { step_lr({.step_size = 1, .gamma = 0}); }, {"gamma"});
  expect_throws<ValueError>([&] { rate(step_lr({.step_epochs = 1})); }, {"step_epochs"});
  expect_throws<ValueError>([&] { rate(cosine_annealing_lr()); }, {"total_steps", "not given"});
  expect_throws<ValueError>([&] { cosine_annealing_lr({.total_steps = 0}); }, {"total_steps"});
  expect_throws<ValueError>([&] { rate(cosine_annealing_lr({.total_steps = 1, .min_lr = 0.2})); },
                            {"min_lr: got 0.2", "0.1"});
  expect_throws<ValueError>([&] { cosine_annealing_lr({.total_steps = 1, .min_lr = -1}); },
                            {"min_lr: got -1"});
  expect_throws<ValueError>([&] { with_warmup(constant_lr(), {.steps = -1}); }, {"warmup_steps"});
  expect_throws<ValueError>([&] { with_warmup(constant_lr(), {.steps = 1, .start_factor = 2}); },
                            {"warmup_start_factor: got 2"});
  expect_throws<ValueError>(
      [&] { rate(with_warmup(constant_lr(), {.steps = 3}), {.total_steps = 2}); },
      {"warmup_steps: got 3", "the 2 steps of the run"});
  expect_throws<ValueError>([&] { rate(constant_lr(), {.step = -1}); }, {"step: got -1"});
  expect_throws<ValueError>([&] { rate([](double, const StepOfRun&) { return NAN; }); },
                            {"[schedule] step 0: got the rate nan"});
}

}  // namespace
}  // namespace warptape
