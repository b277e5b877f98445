// The launch that updates weights and projects their rows. Its values: tests/training/constraints.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/device/gpu.h"
#include "core/kept_value.h"
#include "core/random.h"
#include "kernels/weight_norm/weight_norm.h"
#include "layers/linear.h"
#include "layers/precision.h"
#include "tests/core/device/gpu_test.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

class ConstrainedStep : public GpuTest {};

std::shared_ptr<ParameterState> state_with(const Tensor& value, const Tensor& grad) {
  auto state = std::make_shared<ParameterState>();
  state->value = value;
  state->grad = grad;
  state->grad_is_empty = false;
  return state;
}

std::shared_ptr<ParameterState> weight_on(Device device, const Shape& shape,
                                          DType dtype = float32) {
  return state_with(randn(shape, dtype).to(device), randn(shape, dtype).to(device));
}

std::vector<std::byte> bytes_on_host(const Tensor& tensor) {
  const Tensor on_host = tensor.to(cpu);
  const auto* data = static_cast<const std::byte*>(on_host.raw_data());
  return {data, data + on_host.bytes()};
}

uint64_t launches_of_step(Optimizer& optimizer) {
  optimizer.step();  // allocates and fills its state
  const uint64_t before = gpu::launches;
  optimizer.step();
  return gpu::launches - before;
}

// Rows of a part of a warp, of a warp, of the whole block, and longer.
ParameterStates weights_of_any_length(DType dtype = float32) {
  manual_seed(3);
  ParameterStates states;
  for (const auto& [rows, length] : std::vector<std::pair<int64_t, int64_t>>{
           {70, 1}, {70, 27}, {9, 130}, {3, 576}, {2, 4608}, {1, 70000}, {0, 5}}) {
    states.push_back(weight_on(cuda, {rows, length}, dtype));
  }
  return states;
}

TEST_F(ConstrainedStep, TakesOneLaunchWhateverTheRowsLength) {
  for (const Constraint constraint : {Constraint::UnitRows, Constraint::FixedRadius}) {
    AdamW optimizer(weights_of_any_length(), {.lr = 0.1, .constraint = constraint});
    EXPECT_EQ(launches_of_step(optimizer), 1U);
  }
}

TEST_F(ConstrainedStep, TakesALaunchPerGroupAndDtype) {
  manual_seed(3);
  const auto weight = weight_on(cuda, {5, 33});
  const auto wide = weight_on(cuda, {5, 33}, float64);
  const auto bias = weight_on(cuda, {5});
  SGD optimizer({{.parameters = {weight, wide}, .constraint = Constraint::FixedRadius},
                 {.parameters = {bias}}},
                {.lr = 0.1});
  EXPECT_EQ(launches_of_step(optimizer), 3U);
}

TEST_F(ConstrainedStep, TakesFurtherLaunchesForMoreWeightsThanATableHolds) {
  manual_seed(3);
  ParameterStates host;
  ParameterStates device;
  for (int64_t i = 0; i < 260; ++i) {
    host.push_back(weight_on(cpu, {1 + i % 3, 1 + i % 5}, float64));
    device.push_back(state_with(host.back()->value.to(cuda), host.back()->grad.to(cuda)));
  }
  SGD on_host(host, {.lr = 0.1, .constraint = Constraint::UnitRows});
  SGD on_device(device, {.lr = 0.1, .constraint = Constraint::UnitRows});
  EXPECT_EQ(launches_of_step(on_device), 2U) << "256 and 4 weights";
  on_host.step();
  on_host.step();
  for (size_t i = 0; i < host.size(); ++i) {
    const std::vector<double> wanted = host[i]->value.to_vector<double>();
    const std::vector<double> got = device[i]->value.to_vector<double>();
    for (size_t k = 0; k < wanted.size(); ++k) {
      ASSERT_NEAR(got[k], wanted[k], 1e-14) << "weight " << i;
    }
  }
}

// Where rows start, and how many a block has, are not among what gives the bits of a row.
TEST_F(ConstrainedStep, GivesARowTheSameBitsInAnyWeight) {
  manual_seed(3);
  for (const int64_t length : {28, 576}) {
    const auto all = weight_on(cuda, {40, length});
    const auto one = state_with(all->value.slice(39, 40).clone(), all->grad.slice(39, 40).clone());
    for (const auto& state : {all, one}) {
      RMSprop optimizer({state}, {.lr = 0.1, .constraint = Constraint::FixedRadius});
      optimizer.step();
    }
    EXPECT_EQ(bytes_on_host(one->value), bytes_on_host(all->value.slice(39, 40)));
  }
}

TEST_F(ConstrainedStep, ACapturedStepIsAnEagerOne) {
  for (const DType dtype : {float32, float64}) {
    const gpu::Stream stream;
    const gpu::StreamScope scope(stream);
    const ParameterStates eager = weights_of_any_length(dtype);
    const ParameterStates captured = weights_of_any_length(dtype);
    const auto make = [](const ParameterStates& states) {
      return std::make_unique<Adam>(
          states, Adam::Options{.lr = 0.1, .constraint = Constraint::FixedRadius});
    };
    const auto of_eager = make(eager);
    const auto of_captured = make(captured);
    of_eager->step();
    of_captured->step();  // allocates what a capture must not
    const gpu::Graph graph(stream, [&] { of_captured->step(); });
    for (const double rate : {0.1, 0.01}) {
      of_eager->set_learning_rate(rate);
      of_captured->set_learning_rate(rate);
      of_eager->step();
      graph.launch(stream.handle());
      for (size_t i = 0; i < eager.size(); ++i) {
        EXPECT_EQ(bytes_on_host(captured[i]->value), bytes_on_host(eager[i]->value)) << i;
      }
    }
  }
}

TEST_F(ConstrainedStep, WritesTheRoundedWeightOfWhatItProjected) {
  for (const int64_t in_features : {32, 33}) {
    manual_seed(5);
    Linear layer({.in_features = in_features, .out_features = 70, .bias = false});
    layer.to(cuda);
    set_precision(layer, bfloat16);
    const Tensor x = randn({3, in_features}).to(bfloat16).to(cuda);
    layer(x);
    const auto state = parameters(layer)[0];
    state->grad = randn({70, in_features}).to(cuda);
    state->grad_is_empty = false;
    Adam optimizer({state}, {.lr = 0.1, .constraint = Constraint::UnitRows});
    optimizer.step();
    const auto kept = KeptValue::of(*state);
    ASSERT_TRUE(kept && kept->is_fresh());
    EXPECT_EQ(bytes_on_host(kept->tensor()), bytes_on_host(state->value.detach().to(bfloat16)));
  }
}

TEST_F(ConstrainedStep, LeavesTheWeightThatWeightNormMakesToItsUse) {
  manual_seed(5);
  const Parameter v(randn({4, 32}).to(cuda));
  const Parameter g(randn({4, 1}).to(cuda));
  const auto kept = std::make_shared<WeightNormCache>();
  weight_norm(v, g, *kept);
  v.state()->grad = randn({4, 32}).to(cuda);
  v.state()->grad_is_empty = false;
  SGD optimizer({v.state()}, {.lr = 0.1, .constraint = Constraint::FixedRadius});
  optimizer.step();
  EXPECT_FALSE(kept->is_fresh());
  EXPECT_EQ(bytes_on_host(weight_norm(v, g, *kept)),
            bytes_on_host(weight_norm(v.value().detach(), g.value().detach())));
}

}  // namespace
}  // namespace warptape
