// Optimizers, schedules and clipping against PyTorch.

#include "training/optimizer.h"

#include <cmath>

#include "core/primitives.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "tests/core/expect_throws.h"
#include "tests/golden.h"
#include "training/schedule.h"

namespace warptape {
namespace {

using Json = nlohmann::json;

std::shared_ptr<ParameterState> make_state(const std::vector<double>& values, DType dtype) {
  auto state = std::make_shared<ParameterState>();
  state->value =
      primitives::cast(tensor(values, {static_cast<int64_t>(values.size())}), dtype).clone();
  return state;
}

void set_gradient(ParameterState& state, const std::vector<double>& values) {
  state.grad =
      primitives::cast(tensor(values, {static_cast<int64_t>(values.size())}), state.value.dtype());
  state.grad_is_empty = false;
}

std::vector<double> values_of(const Tensor& tensor) {
  return primitives::cast(tensor, float64).to_vector<double>();
}

std::unique_ptr<Optimizer> make(const Json& golden, ParameterStates states) {
  const Json& o = golden["options"];
  if (golden["kind"] == "sgd") {
    return std::make_unique<SGD>(std::move(states), SGD::Options{.lr = o["lr"],
                                                                 .momentum = o["momentum"],
                                                                 .dampening = o["dampening"],
                                                                 .weight_decay = o["weight_decay"],
                                                                 .nesterov = o["nesterov"]});
  }
  if (golden["kind"] == "adam") {
    return std::make_unique<Adam>(std::move(states),
                                  Adam::Options{.lr = o["lr"],
                                                .beta1 = o["beta1"],
                                                .beta2 = o["beta2"],
                                                .eps = o["eps"],
                                                .weight_decay = o["weight_decay"]});
  }
  return std::make_unique<AdamW>(std::move(states),
                                 AdamW::Options{.lr = o["lr"],
                                                .beta1 = o["beta1"],
                                                .beta2 = o["beta2"],
                                                .eps = o["eps"],
                                                .weight_decay = o["weight_decay"]});
}

void check_optimizer(const Json& golden, DType dtype, double tolerance) {
  const auto state = make_state(golden["initial"], dtype);
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
    check_optimizer(entry, float64, 1e-13);
    check_optimizer(entry, float32, 2e-6);
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
  EXPECT_THROW(AdamW({}, {}), ValueError);
}

TEST(Optimizer, ClipGradNormMatchesPyTorch) {
  const Json cases = load_golden("training.json")["clip_grad_norm"];
  ASSERT_FALSE(cases.empty());
  for (const Json& golden : cases) {
    ParameterStates states;
    for (const Json& gradient : golden["gradients"]) {
      const std::vector<double> values = gradient;
      states.push_back(make_state(std::vector<double>(values.size(), 0.0), float64));
      set_gradient(*states.back(), values);
    }
    states.push_back(make_state({7}, float64));  // without a gradient
    const double norm = clip_grad_norm(states, golden["max_norm"]);
    EXPECT_NEAR(norm, golden["norm"].get<double>(), 1e-12 * norm);
    for (size_t i = 0; i < golden["clipped"].size(); ++i) {
      expect_near(values_of(states[i]->grad), golden["clipped"][i], 1e-13, "clipped gradient");
    }
  }
  EXPECT_THROW(clip_grad_norm({make_state({1}, float64)}, 0), ValueError);
}

TEST(Schedule, MatchesPyTorch) {
  const Json golden = load_golden("training.json");
  ASSERT_GT(golden["schedules"].size(), 5u);
  for (const Json& entry : golden["schedules"]) {
    const Json& o = entry["options"];
    const ScheduleOptions options{.kind = parse_schedule(entry["kind"]),
                                  .step_size = o["step_size"],
                                  .gamma = o["gamma"],
                                  .total_steps = o["total_steps"],
                                  .min_lr = o["min_lr"],
                                  .warmup_steps = o["warmup_steps"],
                                  .warmup_start_factor = o["warmup_start_factor"]};
    const std::vector<double> wanted = entry["values"];
    for (size_t step = 0; step < wanted.size(); ++step) {
      EXPECT_NEAR(learning_rate_at(options, o["lr"], static_cast<int64_t>(step)), wanted[step],
                  1e-14)
          << entry["kind"] << o.dump() << ", step " << step;
    }
  }
}

TEST(Schedule, CosineStaysAtItsEnd) {
  const ScheduleOptions options{.kind = ScheduleKind::Cosine, .total_steps = 10, .min_lr = 0.25};
  EXPECT_NEAR(learning_rate_at(options, 1, 10), 0.25, 1e-15);
  EXPECT_NEAR(learning_rate_at(options, 1, 1000), 0.25, 1e-15);
}

TEST(Schedule, RefusesNonsense) {
  EXPECT_THROW(parse_schedule("linear"), ValueError);
  const auto rate = [](const ScheduleOptions& options) { learning_rate_at(options, 0.1, 0); };
  constexpr auto step = ScheduleKind::Step;
  constexpr auto cosine = ScheduleKind::Cosine;
  EXPECT_NO_THROW(rate({}));
  expect_throws<ValueError>([&] { rate({.kind = step}); }, {"step_size", "not given"});
  expect_throws<ValueError>([&] { rate({.kind = step, .step_size = 0}); }, {"step_size: got 0"});
  expect_throws<ValueError>([&] { rate({.kind = step, .step_size = 1, .gamma = 0}); }, {"gamma"});
  expect_throws<ValueError>([&] { rate({.kind = cosine}); }, {"total_steps", "not given"});
  expect_throws<ValueError>([&] { rate({.kind = cosine, .total_steps = 0}); }, {"total_steps"});
  expect_throws<ValueError>([&] { rate({.kind = cosine, .total_steps = 1, .min_lr = 0.2}); },
                            {"min_lr: got 0.2", "0.1"});
  expect_throws<ValueError>([&] { rate({.kind = cosine, .total_steps = 1, .min_lr = -1}); },
                            {"min_lr: got -1"});
  expect_throws<ValueError>([&] { rate({.warmup_steps = -1}); }, {"warmup_steps"});
  expect_throws<ValueError>([&] { rate({.warmup_steps = 1, .warmup_start_factor = 2}); },
                            {"warmup_start_factor: got 2"});
  EXPECT_THROW(learning_rate_at({}, 0.1, -1), ValueError);
}

}  // namespace
}  // namespace warptape
