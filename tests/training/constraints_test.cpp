// Optimizers that keep the norms of rows, against PyTorch's steps with a projection behind them.

#include "training/constraints.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/weight_norm.h"
#include "tests/core/expect_throws.h"
#include "tests/golden.h"
#include "tests/kernels/devices.h"
#include "tests/training/hand_set_gradients.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

using Json = nlohmann::json;
using hand_set::set_gradient;
using hand_set::state_of;
using hand_set::values_of;

constexpr std::initializer_list<Constraint> both_constraints = {Constraint::UnitRows,
                                                                Constraint::FixedRadius};

// In long double, whose squares of any double fit.
std::vector<double> norms_of_rows(const Tensor& tensor) {
  const std::vector<double> values = values_of(tensor);
  const auto rows = static_cast<size_t>(tensor.size(0));
  const size_t length = values.size() / rows;
  std::vector<double> norms;
  for (size_t row = 0; row < rows; ++row) {
    long double sum = 0;
    for (size_t i = 0; i < length; ++i) {
      const long double value = values[row * length + i];
      sum += value * value;
    }
    norms.push_back(static_cast<double>(std::sqrt(sum)));
  }
  return norms;
}

double option_in(const StateDict& state, const std::string& key) {
  for (const auto& [name, value] : state) {
    if (name == key) {
      return values_of(value)[0];
    }
  }
  return NAN;
}

std::string describe_kind(Constraint constraint, DType dtype, Device device) {
  return fmt::format("{} {} {}", to_string(constraint), to_string(dtype), to_string(device));
}

template <class Run>
void for_each_kind(const Run& run) {
  for (const Constraint constraint : both_constraints) {
    for (const DType dtype : {float32, float64}) {
      for (const Device device : available_devices()) {
        SCOPED_TRACE(describe_kind(constraint, dtype, device));
        run(constraint, dtype, device);
      }
    }
  }
}

std::unique_ptr<Optimizer> make_constrained(const Json& golden, ParameterStates states) {
  const Json& o = golden["options"];
  const Constraint constraint = constraint_named(golden["constraint"]);
  const std::string kind = golden["kind"];
  if (kind == "sgd") {
    return std::make_unique<SGD>(states, SGD::Options{.lr = o["lr"],
                                                      .momentum = o.value("momentum", 0.0),
                                                      .weight_decay = o.value("weight_decay", 0.0),
                                                      .nesterov = o.value("nesterov", false),
                                                      .constraint = constraint});
  }
  if (kind == "rmsprop") {
    return std::make_unique<RMSprop>(states, RMSprop::Options{.lr = o["lr"],
                                                              .alpha = o["alpha"],
                                                              .momentum = o["momentum"],
                                                              .centered = o["centered"],
                                                              .constraint = constraint});
  }
  if (kind == "adam") {
    return std::make_unique<Adam>(states, Adam::Options{.lr = o["lr"],
                                                        .beta1 = o["beta1"],
                                                        .beta2 = o["beta2"],
                                                        .weight_decay = o["weight_decay"],
                                                        .constraint = constraint});
  }
  return std::make_unique<AdamW>(states, AdamW::Options{.lr = o["lr"],
                                                        .beta1 = o["beta1"],
                                                        .beta2 = o["beta2"],
                                                        .weight_decay = o["weight_decay"],
                                                        .constraint = constraint});
}

TEST(Constraints, MatchPyTorchsStepsWithAProjectionBehindThem) {
  const Json golden = load_golden("constraints.json");
  ASSERT_EQ(golden["cases"].size(), 12U);
  const Shape shape(golden["shape"].get<std::vector<int64_t>>());
  for (const Json& entry : golden["cases"]) {
    for (const DType dtype : {float32, float64}) {
      for (const Device device : available_devices()) {
        const Tensor initial = tensor<double>(golden["initial"], shape);
        const auto state = state_of(primitives::cast(initial, dtype).to(device));
        const auto optimizer = make_constrained(entry, {state});
        for (size_t step = 0; step < golden["gradients"].size(); ++step) {
          set_gradient(*state, tensor<double>(golden["gradients"][step], shape));
          optimizer->step();
          expect_near(
              values_of(state->value), entry["values"][step], dtype == float32 ? 3e-6 : 1e-13,
              fmt::format("{} {} {} {}, step {}", entry["kind"].dump(), entry["constraint"].dump(),
                          to_string(dtype), to_string(device), step));
        }
      }
    }
  }
}

// What a step without a constraint gives, projected; buffers do not know of the constraint.
TEST(Constraints, HoldForRowsOfAnyLength) {
  for_each_kind([](Constraint constraint, DType dtype, Device device) {
    manual_seed(3);
    for (const auto& [rows, length] : std::vector<std::pair<int64_t, int64_t>>{
             {300, 1}, {37, 7}, {300, 27}, {5, 130}, {3, 576}, {2, 4608}, {2, 70000}, {4, 0}}) {
      SCOPED_TRACE(fmt::format("{} x {}", rows, length));
      const Tensor initial = randn({rows, length}, dtype).to(device);
      const Tensor gradient = randn({rows, length}, dtype);
      const auto constrained = state_of(initial);
      const auto plain = state_of(initial);
      AdamW optimizer({constrained}, {.lr = 0.1, .constraint = constraint});
      AdamW without({plain}, {.lr = 0.1});
      set_gradient(*constrained, gradient);
      set_gradient(*plain, gradient);
      optimizer.step();
      without.step();
      std::vector<double> wanted = values_of(plain->value);
      const std::vector<double> before = norms_of_rows(initial);
      const std::vector<double> after = norms_of_rows(plain->value);
      for (size_t i = 0; i < wanted.size(); ++i) {
        const size_t row = i / static_cast<size_t>(length);
        wanted[i] *= (constraint == Constraint::UnitRows ? 1 : before[row]) / after[row];
      }
      const std::vector<double> got = values_of(constrained->value);
      // The gain is rounded, and each of two products; norms are sums of doubles in 8 lanes or
      // more, and so is what is wanted.
      const double bound = 3 * (dtype == float32 ? 0x1p-24 : 0x1p-53) +
                           (5 + static_cast<double>(length) / 8) * 0x1p-53;
      for (size_t i = 0; i < wanted.size(); ++i) {
        ASSERT_NEAR(got[i], wanted[i], bound * std::abs(wanted[i])) << "element " << i;
      }
      EXPECT_EQ(values_of(optimizer.state_dict()[1].second),
                values_of(without.state_dict()[1].second));
    }
  });
}

TEST(Constraints, KeepNormsThatSquareToNothingOrOverflow) {
  for_each_kind([](Constraint constraint, DType dtype, Device device) {
    const std::vector<double> sizes = dtype == float32
                                          ? std::vector<double>{1e-20, 1e-30, 1e18, 1e30}
                                          : std::vector<double>{1e-20, 1e-200, 1e18, 1e200};
    for (const double size : sizes) {
      SCOPED_TRACE(size);
      manual_seed(8);
      const Tensor initial = primitives::cast(size * randn({3, 45}, float64), dtype).to(device);
      const auto state = state_of(initial);
      SGD optimizer({state}, {.lr = 0.1, .constraint = constraint});
      set_gradient(*state, size * randn({3, 45}, float64));
      optimizer.step();
      const std::vector<double> got = norms_of_rows(state->value);
      const std::vector<double> before = norms_of_rows(initial);
      for (size_t row = 0; row < got.size(); ++row) {
        const double wanted = constraint == Constraint::UnitRows ? 1 : before[row];
        EXPECT_NEAR(got[row] / wanted, 1, dtype == float32 ? 1e-6 : 1e-14) << "row " << row;
      }
      EXPECT_NE(values_of(state->value), values_of(initial));
    }
  });
}

TEST(Constraints, RowsOfZerosPointNowhere) {
  for_each_kind([](Constraint constraint, DType dtype, Device device) {
    const auto state = state_of(tensor<double>({0, 0, 3, 4}, {2, 2}).to(dtype).to(device));
    SGD optimizer({state}, {.lr = 1, .constraint = constraint});
    set_gradient(*state, Tensor::zeros({2, 2}, float64));
    optimizer.step();
    const bool unit = constraint == Constraint::UnitRows;
    expect_near(values_of(state->value), {0, 0, unit ? 0.6 : 3, unit ? 0.8 : 4}, 1e-6, "still");
    // The first row gets a direction; the second one loses its own.
    set_gradient(*state, tensor<double>({-5, 0, unit ? 0.6 : 3, unit ? 0.8 : 4}, {2, 2}));
    state->value =
        tensor<double>({0, 0, unit ? 0.6 : 3, unit ? 0.8 : 4}, {2, 2}).to(dtype).to(device);
    optimizer.step();
    EXPECT_EQ(values_of(state->value), (std::vector<double>{unit ? 1.0 : 0.0, 0, 0, 0}));
  });
}

TEST(Constraints, OfChannelsLastFiltersAreThoseOfTheirOutputs) {
  for_each_kind([](Constraint constraint, DType dtype, Device device) {
    manual_seed(4);
    const Tensor initial = randn({5, 3, 2, 4}, dtype).to(device);
    const Tensor gradient = randn({5, 3, 2, 4}, dtype);
    const auto rows = state_of(initial);
    const auto last = state_of(primitives::relayout(initial, MemoryFormat::ChannelsLast));
    ASSERT_EQ(last->value.memory_format(), MemoryFormat::ChannelsLast);
    for (const auto& state : {rows, last}) {
      Adam optimizer({state}, {.lr = 0.1, .constraint = constraint});
      set_gradient(*state, gradient);
      optimizer.step();
    }
    expect_near(values_of(last->value), values_of(rows->value), dtype == float32 ? 1e-6 : 1e-14,
                "in another order");
  });
}

// A norm of rows in bfloat16 is that of numbers with 8 bits, each rounded to 2^-9 of itself.
TEST(Constraints, RowsInBFloat16HaveTheirNormToRounding) {
  for (const Device device : available_devices()) {
    manual_seed(4);
    const auto state = state_of(randn({4, 100}).to(bfloat16).to(device));
    SGD optimizer({state}, {.lr = 0.1, .constraint = Constraint::UnitRows});
    set_gradient(*state, randn({4, 100}));
    optimizer.step();
    for (const double norm : norms_of_rows(state->value)) {
      EXPECT_NEAR(norm, 1, 0x1p-9) << to_string(device);
    }
  }
}

TEST(Constraints, AreOptionsOfGroupsAndOfTheirStates) {
  for (const Device device : available_devices()) {
    manual_seed(6);
    Linear layer(4, 3);
    layer.to(device);
    const ParameterStates states = parameters(layer);
    const auto make = [&](Constraint constraint) {
      return std::make_unique<SGD>(
          std::vector<SGD::Group>{{.parameters = {states[0]}, .constraint = constraint},
                                  {.parameters = {states[1]}}},
          SGD::Options{.lr = 0.5});
    };
    const auto saved = make(Constraint::UnitRows);
    set_gradient(*states[0], randn({3, 4}));
    set_gradient(*states[1], Tensor::ones({3}));
    const std::vector<double> bias = values_of(states[1]->value);
    saved->step();
    for (const double norm : norms_of_rows(states[0]->value)) {
      EXPECT_NEAR(norm, 1, 1e-6);
    }
    for (size_t i = 0; i < bias.size(); ++i) {
      EXPECT_NEAR(values_of(states[1]->value)[i], bias[i] - 0.5, 1e-6);
    }
    StateDict state = saved->state_dict();
    const auto loaded = make(Constraint::None);
    loaded->load_state_dict(state);
    EXPECT_EQ(option_in(loaded->state_dict(), "param_groups.0.constraint"), 1);
    EXPECT_EQ(option_in(loaded->state_dict(), "param_groups.1.constraint"), 0);
    // A state from before there were constraints leaves them as they are.
    std::erase_if(state, [](const auto& entry) { return entry.first.ends_with("constraint"); });
    const auto other = make(Constraint::FixedRadius);
    other->load_state_dict(state);
    EXPECT_EQ(option_in(other->state_dict(), "param_groups.0.constraint"), 2);
  }
}

TEST(Constraints, AreOfParametersThatHaveRows) {
  Linear layer(4, 3);
  expect_throws<ValueError>(
      [&] { AdamW(parameters(layer), {.constraint = Constraint::UnitRows}); },
      {"[AdamW] constraint unit_rows: got bias of shape (3,), wanted 2 dimensions", "a group"});
  expect_throws<ValueError>([] { constraint_named("unit"); },
                            {"[constraint] got \"unit\"", "unit_rows or fixed_radius"});
  for (const Constraint constraint :
       {Constraint::None, Constraint::UnitRows, Constraint::FixedRadius}) {
    EXPECT_EQ(constraint_named(to_string(constraint)), constraint);
  }
}

TEST(Constraints, ClippedGradientsGiveTheBitsOfClippingBefore) {
  for_each_kind([](Constraint constraint, DType dtype, Device device) {
    manual_seed(6);
    const Tensor initial = randn({6, 50}, dtype).to(device);
    const Tensor gradient = randn({6, 50}, dtype);
    const ParameterStates before = {state_of(initial)};
    const ParameterStates within = {state_of(initial)};
    SGD separate(before, {.lr = 0.1, .momentum = 0.9, .constraint = constraint});
    SGD fused(within, {.lr = 0.1, .momentum = 0.9, .constraint = constraint});
    for (int step = 0; step < 2; ++step) {
      set_gradient(*before[0], gradient);
      set_gradient(*within[0], gradient);
      clip_grad_norm(before, 0.5);
      separate.step();
      fused.step({.clip = queue_clip_factor(within, 0.5)});
    }
    EXPECT_EQ(values_of(within[0]->value), values_of(before[0]->value));
  });
}

TEST(Constraints, ProjectMakesRowsUnitBeforeTheFirstStep) {
  for (const Device device : available_devices()) {
    manual_seed(6);
    const auto unit = state_of(randn({4, 5}, float64).to(device));
    const auto fixed = state_of(randn({4, 5}, float64).to(device));
    const auto frozen = state_of(randn({4, 5}, float64).to(device));
    const auto empty = state_of(randn({4, 0}, float64).to(device));
    frozen->requires_grad = false;
    std::vector<double> wanted = values_of(unit->value);
    const std::vector<double> norms = norms_of_rows(unit->value);
    for (size_t i = 0; i < wanted.size(); ++i) {
      wanted[i] /= norms[i / 5];
    }
    const std::vector<double> as_it_was = values_of(fixed->value);
    const std::vector<double> as_frozen = values_of(frozen->value);
    SGD optimizer({{.parameters = {unit, frozen, empty}, .constraint = Constraint::UnitRows},
                   {.parameters = {fixed}, .constraint = Constraint::FixedRadius}},
                  {.lr = 0.1});
    optimizer.project();
    expect_near(values_of(unit->value), wanted, 1e-15, "unit rows");
    EXPECT_EQ(values_of(fixed->value), as_it_was);
    EXPECT_EQ(values_of(frozen->value), as_frozen);
  }
}

// The norm of v is what the constraint is about; w follows g and v as ever.
TEST(Constraints, AVOfWeightNormKeepsItsNorm) {
  for (const Device device : available_devices()) {
    manual_seed(6);
    Linear layer(6, 4);
    weight_norm(layer);
    layer.to(device);
    const ParameterStates states = parameters(layer);
    const auto v = std::find_if(states.begin(), states.end(),
                                [](const auto& state) { return state->name == "weight_v"; });
    ASSERT_NE(v, states.end());
    ParameterStates others = states;
    std::erase(others, *v);
    Adam optimizer(
        {{.parameters = {*v}, .constraint = Constraint::FixedRadius}, {.parameters = others}},
        {.lr = 0.1});
    const std::vector<double> norms = norms_of_rows((*v)->value);
    const Tensor x = randn({2, 6}).to(device);
    for (int step = 0; step < 3; ++step) {
      optimizer.zero_grad();
      Tape tape;
      const Tensor y = layer(x);
      tape.backward(sum(mul(y, y)));
      optimizer.step();
    }
    expect_near(norms_of_rows((*v)->value), norms, 1e-6, "norms of v");
    const Tensor kept = layer(x);
    Linear anew(layer);  // whose w is computed from v and g
    EXPECT_EQ(values_of(kept), values_of(anew(x)));
  }
}

}  // namespace
}  // namespace warptape
