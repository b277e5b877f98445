// Muon and NorMuon against their formulas in float64.

#include "training/optimizers/muon.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/primitives.h"
#include "core/random.h"
#include "layers/linear.h"
#include "tests/core/expect_throws.h"
#include "tests/golden.h"
#include "tests/kernels/devices.h"
#include "tests/training/hand_set_gradients.h"

namespace warptape {
namespace {

using Json = nlohmann::json;
using hand_set::set_gradient;
using hand_set::state_of;
using hand_set::values_of;

Muon::Options options_of(const Json& golden) {
  Muon::Options o;
  o.lr = golden.value("lr", o.lr);
  o.weight_decay = golden.value("weight_decay", o.weight_decay);
  o.momentum = golden.value("momentum", o.momentum);
  o.nesterov = golden.value("nesterov", o.nesterov);
  o.ns_coefficients = golden.value("ns_coefficients", o.ns_coefficients);
  o.eps = golden.value("eps", o.eps);
  o.ns_steps = golden.value("ns_steps", o.ns_steps);
  const std::string adjust = golden.value("adjust_lr_fn", "original");
  o.adjust_lr_fn = adjust == "original"          ? Muon::AdjustLr::Original
                   : adjust == "match_rms_adamw" ? Muon::AdjustLr::MatchRmsAdamW
                                                 : Muon::AdjustLr::SpectralUnclamped;
  o.row_normalization = golden.value("row_normalization", o.row_normalization);
  o.beta2 = golden.value("beta2", o.beta2);
  return o;
}

struct MuonGolden {
  Json json = load_golden("muon.json");

  size_t parameters() const { return json["shapes"].size(); }
  Tensor initial(size_t i) const { return at(i, json["initial"][i]); }
  Tensor gradient(size_t i, size_t step) const { return at(i, json["gradients"][i][step]); }
  ParameterStates states(DType dtype, Device device) const {
    ParameterStates result;
    for (size_t i = 0; i < parameters(); ++i) {
      result.push_back(state_of(primitives::cast(initial(i), dtype).to(device)));
    }
    return result;
  }
  void set_gradients(const ParameterStates& states, size_t step) const {
    for (size_t i = 0; i < states.size(); ++i) {
      set_gradient(*states[i], gradient(i, step));
    }
  }

 private:
  Tensor at(size_t i, const Json& values) const {
    return tensor<double>(values, Shape(json["shapes"][i].get<std::vector<int64_t>>()));
  }
};

TEST(Muon, MatchesItsFormulas) {
  const MuonGolden golden;
  ASSERT_EQ(golden.json["cases"].size(), 8U);
  for (const Json& entry : golden.json["cases"]) {
    for (const DType dtype : {float32, float64}) {
      for (const Device device : available_devices()) {
        const ParameterStates states = golden.states(dtype, device);
        Muon optimizer(states, options_of(entry["options"]));
        for (size_t step = 0; step < entry["values"][0].size(); ++step) {
          golden.set_gradients(states, step);
          optimizer.step();
          for (size_t i = 0; i < states.size(); ++i) {
            // Five steps of the iteration enlarge what was rounded by up to 3.4 each.
            expect_near(values_of(states[i]->value), entry["values"][i][step],
                        dtype == float32 ? 5e-5 : 1e-12,
                        fmt::format("{} {} {}, parameter {}, step {}", entry["name"].dump(),
                                    to_string(dtype), to_string(device), i, step));
          }
        }
      }
    }
  }
}

TEST(Muon, WithoutOptionsHasPyTorchsDefaults) {
  const Muon::Options o;
  EXPECT_EQ(o.lr, 1e-3);
  EXPECT_EQ(o.weight_decay, 0.1);
  EXPECT_EQ(o.momentum, 0.95);
  EXPECT_TRUE(o.nesterov);
  EXPECT_EQ(o.ns_coefficients, (std::array<double, 3>{3.4445, -4.7750, 2.0315}));
  EXPECT_EQ(o.eps, 1e-7);
  EXPECT_EQ(o.ns_steps, 5);
}

// The singular values of a direction are about 1, whatever those of the gradient are: the last two
// of these are 1e-3 of the first.
TEST(Muon, DirectionsAreNearlyOrthogonal) {
  for (const Device device : available_devices()) {
    const auto state = state_of(Tensor::zeros({3, 4}, float64).to(device));
    Muon optimizer({state}, {.lr = 1, .weight_decay = 0});
    set_gradient(*state, tensor<double>({5, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 1, 0}, {3, 4}));
    optimizer.step();
    const std::vector<double> got = values_of(state->value);
    for (size_t i = 0; i < got.size(); ++i) {
      if (i == 0 || i == 5 || i == 10) {
        EXPECT_LT(got[i], -0.6) << i;
        EXPECT_GT(got[i], -1.3) << i;
      } else {
        EXPECT_NEAR(got[i], 0, 1e-14) << i;
      }
    }
  }
}

TEST(Muon, GradientsOfZeroMoveNothing) {
  for (const bool by_rows : {false, true}) {
    for (const Device device : available_devices()) {
      const auto state = state_of(Tensor::ones({3, 4}).to(device));
      const auto empty = state_of(Tensor::ones({0, 4}).to(device));
      Muon optimizer({state, empty}, {.lr = 1, .weight_decay = 0, .row_normalization = by_rows});
      set_gradient(*state, Tensor::zeros({3, 4}));
      set_gradient(*empty, Tensor::zeros({0, 4}));
      optimizer.step();
      EXPECT_EQ(values_of(state->value), std::vector<double>(12, 1.0));
    }
  }
}

// Matrices that do not fill packs of 16 bytes, and several of one shape, which go together.
TEST(Muon, MatricesTogetherAreAsEachAlone) {
  for (const Device device : available_devices()) {
    for (const DType dtype : {float32, float64, bfloat16}) {
      manual_seed(3);
      ParameterStates together;
      ParameterStates alone;
      for (const Shape& shape :
           std::vector<Shape>{{3, 3}, {4, 8}, {3, 3}, {4, 8}, {8, 4}, {4, 8}}) {
        const Tensor initial = randn(shape).to(dtype).to(device);
        const Tensor gradient = randn(shape);
        for (ParameterStates* states : {&together, &alone}) {
          states->push_back(state_of(initial));
          set_gradient(*states->back(), gradient);
        }
      }
      Muon(together, {.lr = 0.1, .row_normalization = true}).step();
      for (size_t i = 0; i < alone.size(); ++i) {
        Muon({alone[i]}, {.lr = 0.1, .row_normalization = true}).step({.allow_unheld = true});
        const double bound = dtype == bfloat16 ? 0.02 : dtype == float32 ? 1e-5 : 1e-13;
        expect_near(values_of(together[i]->value), values_of(alone[i]->value), bound,
                    fmt::format("{} {}, matrix {}", to_string(dtype), to_string(device), i));
      }
    }
  }
}

TEST(Muon, ChannelsLastFiltersAreTheSameMatrices) {
  for (const Device device : available_devices()) {
    manual_seed(4);
    const Tensor initial = randn({5, 3, 2, 4}, float64).to(device);
    const Tensor gradient = randn({5, 3, 2, 4}, float64);
    const auto rows = state_of(initial);
    const auto last = state_of(primitives::relayout(initial, MemoryFormat::ChannelsLast));
    for (const auto& state : {rows, last}) {
      Muon optimizer({state}, {.lr = 0.1});
      set_gradient(*state, gradient);
      optimizer.step();
    }
    expect_near(values_of(last->value), values_of(rows->value), 1e-13, "in another order");
  }
}

TEST(Muon, GoesOnFromAState) {
  const MuonGolden golden;
  for (const Device device : available_devices()) {
    const Muon::Options options{.lr = 0.1, .row_normalization = true};
    const ParameterStates straight = golden.states(float64, device);
    const ParameterStates first = golden.states(float64, device);
    Muon whole(straight, options);
    Muon before(first, options);
    golden.set_gradients(straight, 0);
    golden.set_gradients(first, 0);
    whole.step();
    before.step();
    ParameterStates second;
    for (const auto& state : first) {
      second.push_back(state_of(state->value));
    }
    Muon after(second, {.lr = 0.7});
    EXPECT_EQ(before.state_dict()[0].second.to_vector<int64_t>(), std::vector<int64_t>(4, 1));
    std::vector<std::string> keys;
    for (const auto& [key, tensor] : before.state_dict()) {
      keys.push_back(key);
    }
    EXPECT_NE(std::find(keys.begin(), keys.end(), "0.momentum_buffer"), keys.end());
    EXPECT_NE(std::find(keys.begin(), keys.end(), "3.second_momentum_buffer"), keys.end());
    after.load_state_dict(before.state_dict());
    golden.set_gradients(straight, 1);
    golden.set_gradients(second, 1);
    whole.step();
    after.step();
    for (size_t i = 0; i < straight.size(); ++i) {
      EXPECT_EQ(values_of(second[i]->value), values_of(straight[i]->value)) << i;
    }
    StateDict wrong = before.state_dict();
    for (auto& [key, tensor] : wrong) {
      if (key == "0.second_momentum_buffer") {
        tensor = Tensor::zeros({3, 5}, float64);
      }
    }
    expect_throws<ValueError>(
        [&] { after.load_state_dict(wrong); },
        {"[Muon] state: 0.second_momentum_buffer", "wanted float64", "(3, 1)"});
  }
}

TEST(Muon, ClipsAndConstrains) {
  const MuonGolden golden;
  for (const Device device : available_devices()) {
    const ParameterStates before = golden.states(float64, device);
    const ParameterStates within = golden.states(float64, device);
    const Muon::Options options{.lr = 0.1, .eps = 1, .constraint = Constraint::UnitRows};
    Muon separate(before, options);
    Muon fused(within, options);
    for (size_t step = 0; step < 2; ++step) {
      golden.set_gradients(before, step);
      golden.set_gradients(within, step);
      clip_grad_norm(before, 0.5);
      separate.step();
      fused.step({.clip = queue_clip_factor(within, 0.5)});
    }
    for (size_t i = 0; i < before.size(); ++i) {
      const std::vector<double> values = values_of(within[i]->value);
      EXPECT_EQ(values, values_of(before[i]->value)) << i;
      const size_t length = values.size() / static_cast<size_t>(within[i]->value.size(0));
      for (size_t row = 0; row < values.size(); row += length) {
        double squares = 0;
        for (size_t k = 0; k < length; ++k) {
          squares += values[row + k] * values[row + k];
        }
        EXPECT_NEAR(squares, 1, 1e-14);
      }
    }
  }
}

TEST(Muon, SkipsWhatHasNoGradientAndTakesGroups) {
  const MuonGolden golden;
  const ParameterStates states = golden.states(float64, cpu);
  golden.set_gradients(states, 0);
  states[1]->grad_is_empty = true;
  Muon optimizer({{.parameters = {states[0], states[1]}, .lr = 0.5},
                  {.parameters = {states[2], states[3]}, .ns_steps = 0}},
                 {.lr = 0});
  EXPECT_EQ(optimizer.learning_rate(0), 0.5);
  optimizer.step();
  EXPECT_NE(values_of(states[0]->value), values_of(golden.initial(0)));
  EXPECT_EQ(values_of(states[1]->value), values_of(golden.initial(1)));
  EXPECT_EQ(values_of(states[2]->value), values_of(golden.initial(2)));
}

TEST(Muon, RefusesNonsense) {
  Linear layer(4, 3);
  expect_throws<ValueError>([&] { Muon(parameters(layer), {}); },
                            {"[Muon] got bias of shape (3,)", "another optimizer, such as AdamW"});
  expect_throws<ValueError>([] { Muon({}, {}); }, {"[Muon] got no parameters"});
  const ParameterStates weight = {parameters(layer)[0]};
  expect_throws<ValueError>([&] { Muon(weight, {.ns_steps = 100}); },
                            {"[Muon] ns_steps: got 100, wanted 0 <= value < 100"});
  expect_throws<ValueError>([&] { Muon(weight, {.momentum = -1}); }, {"[Muon] momentum: got -1"});
  expect_throws<ValueError>([&] { Muon(weight, {.weight_decay = -1}); }, {"[Muon] weight_decay"});
  expect_throws<ValueError>([&] { Muon(weight, {.beta2 = 1}); }, {"[Muon] beta2: got 1"});
}

}  // namespace
}  // namespace warptape
