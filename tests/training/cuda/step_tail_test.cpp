// What a training step does behind backward, in few launches: the bits of the separate steps.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "core/device/gpu.h"
#include "core/random.h"
#include "tests/core/device/gpu_test.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

class StepTail : public GpuTest {};

using MakeOptimizer = std::function<std::unique_ptr<Optimizer>(const ParameterStates&)>;

template <class Rule>
MakeOptimizer make(typename Rule::Options options) {
  return [options](const ParameterStates& states) -> std::unique_ptr<Optimizer> {
    return std::make_unique<Rule>(states, options);
  };
}

std::vector<MakeOptimizer> all_rules() {
  return {make<SGD>({.lr = 0.1}),
          make<SGD>({.lr = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.01}),
          make<SGD>({.lr = 0.1, .momentum = 0.9, .nesterov = true}),
          make<Adam>({.lr = 0.01, .weight_decay = 0.1}),
          make<AdamW>({.lr = 0.01, .weight_decay = 0.1}),
          make<RMSprop>({.lr = 0.01, .momentum = 0.9, .centered = true})};
}

std::vector<std::byte> bytes_of(const Tensor& tensor) {
  const Tensor on_host = tensor.to(cpu);
  const auto* data = static_cast<const std::byte*>(on_host.raw_data());
  return {data, data + on_host.bytes()};
}

// Sizes around a pack and a block's chunk, empty ones among them, in all dtypes.
std::vector<Parameter> some_parameters(Device device) {
  manual_seed(4);
  std::vector<Parameter> parameters;
  for (const DType dtype : {float32, float64, bfloat16}) {
    for (const int64_t count : {1, 5, 0, 1025, 4099}) {
      parameters.emplace_back(randn({count}).to(dtype).to(device));
    }
  }
  return parameters;
}

ParameterStates states_of(const std::vector<Parameter>& parameters) {
  ParameterStates states;
  for (const Parameter& parameter : parameters) {
    states.push_back(parameter.state());
  }
  return states;
}

// Of the parameters with numbers from `first` on; one of them gets none.
void set_gradients(const ParameterStates& states, uint64_t seed, size_t without) {
  Generator generator(seed);
  for (size_t i = 0; i < states.size(); ++i) {
    ParameterState& state = *states[i];
    state.grad = randn(state.value.shape(), float32, generator)
                     .to(state.value.dtype())
                     .to(state.value.device());
    state.grad_is_empty = i == without;
  }
}

TEST_F(StepTail, ClipsAsItReadsToTheBitsOfClippingBefore) {
  for (const Device device : {Device(cpu), Device(cuda)}) {
    for (const double max_norm : {0.5, 1e6}) {  // clipped, and left as they are
      for (const MakeOptimizer& rule : all_rules()) {
        const std::vector<Parameter> before = some_parameters(device);
        const std::vector<Parameter> within = some_parameters(device);
        const auto separate = rule(states_of(before));
        const auto fused = rule(states_of(within));
        // The last one is held by the optimizers, and not clipped.
        ParameterStates clipped = states_of(before);
        clipped.pop_back();
        ParameterStates clipped_within(states_of(within));
        clipped_within.pop_back();
        std::rotate(clipped_within.begin(), clipped_within.begin() + 3, clipped_within.end());
        std::rotate(clipped.begin(), clipped.begin() + 3, clipped.end());
        for (uint64_t step = 0; step < 3; ++step) {
          set_gradients(states_of(before), step, step);
          set_gradients(states_of(within), step, step);
          const std::vector<std::byte> gradient = bytes_of(within[3].state()->grad);
          const Tensor norm = queue_clip_grad_norm(clipped, max_norm);
          separate->step();
          const ClipFactor factor = queue_clip_factor(clipped_within, max_norm);
          fused->step({.clip = factor});
          EXPECT_EQ(bytes_of(factor.norm_and_factor.slice(0, 1)), bytes_of(norm));
          EXPECT_EQ(bytes_of(within[3].state()->grad), gradient) << "is left as it is";
        }
        for (size_t i = 0; i < before.size(); ++i) {
          ASSERT_EQ(bytes_of(within[i].value()), bytes_of(before[i].value())) << "parameter " << i;
        }
      }
    }
  }
}

TEST_F(StepTail, TakesALaunchPerDtypeForTheNormAndOneForTheStep) {
  const std::vector<Parameter> parameters = some_parameters(cuda);
  const ParameterStates states = states_of(parameters);
  Adam optimizer(states, {.lr = 0.1});
  for (int step = 0; step < 2; ++step) {
    set_gradients(states, 1, states.size());
    const uint64_t before = gpu::launches;
    const ClipFactor clip = queue_clip_factor(states, 1);
    EXPECT_EQ(gpu::launches - before, 3u);
    optimizer.step({.clip = clip});
    if (step > 0) {  // the first one fills its state
      EXPECT_EQ(gpu::launches - before, 6u);
    }
  }
}

TEST_F(StepTail, GradientsWithoutElementsHaveANormOfZero) {
  const Parameter parameter(Tensor::empty({0}, float32, cuda));
  parameter.state()->grad = Tensor::empty({0}, float32, cuda);
  parameter.state()->grad_is_empty = false;
  SGD optimizer({parameter.state()}, {.lr = 0.1});
  for (const double max_norm : {1.0, 1e-7}) {
    const ClipFactor clip = queue_clip_factor({parameter.state()}, max_norm);
    EXPECT_EQ(clip.norm_and_factor.to_vector<double>(),
              (std::vector<double>{0, max_norm == 1 ? 1 : max_norm / 1e-6}));
  }
}

}  // namespace
}  // namespace warptape
