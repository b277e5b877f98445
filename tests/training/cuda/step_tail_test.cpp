// What a training step does behind backward, in few launches: the bits of the separate steps.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>

#include "core/device/gpu.h"
#include "core/kept_value.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "kernels/weight_norm/weight_norm.h"
#include "layers/linear.h"
#include "layers/precision.h"
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

// One of them gets none.
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

// ---- what is kept of parameters ---------------------------------------------------------------

// Weights that are normalised, v and g in turn.
struct Normalized {
  std::vector<Parameter> parameters;
  std::vector<std::shared_ptr<WeightNormCache>> caches;
  std::optional<DType> dtype;  // of w

  void add(int64_t rows, int64_t length, DType of = float32) {
    parameters.emplace_back(randn({rows, length}).to(of).to(cuda));
    parameters.emplace_back(randn({rows, 1}).to(of).to(cuda));
    caches.push_back(std::make_shared<WeightNormCache>());
  }
  Tensor w(size_t i) {
    return weight_norm(parameters[2 * i], parameters[2 * i + 1], *caches[i], {.dtype = dtype});
  }
  void compute() {
    for (size_t i = 0; i < caches.size(); ++i) {
      w(i);
    }
  }
  // What is kept is fresh, and has the bits that weight norm gives of v and g.
  void expect_written(size_t i) {
    SCOPED_TRACE(fmt::format("weight {}", i));
    ASSERT_TRUE(caches[i]->is_fresh());
    const uint64_t before = gpu::launches;
    const Tensor kept = w(i);
    EXPECT_EQ(gpu::launches, before);
    const Tensor anew = weight_norm(parameters[2 * i].value().detach(),
                                    parameters[2 * i + 1].value().detach(), {.dtype = dtype});
    EXPECT_EQ(bytes_of(kept), bytes_of(anew));
    WeightNormCache other;
    weight_norm(parameters[2 * i].value().detach(), parameters[2 * i + 1].value().detach(), other,
                {.dtype = dtype});
    EXPECT_EQ(bytes_of(caches[i]->inv_norm), bytes_of(other.inv_norm));
  }
};

// Around the limits between ways to own a row; then one that no block of a step holds, and one that
// no block holds at all.
Normalized some_weights(std::optional<DType> dtype) {
  manual_seed(9);
  Normalized weights{{}, {}, dtype};
  for (const auto& [rows, length] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 1}, {5, 3}, {300, 27}, {7, 147}, {130, 64}, {3, 576}, {6, 385}, {2, 4096}}) {
    weights.add(rows, length);
  }
  weights.add(2, 4100);
  weights.add(2, 16388);
  return weights;
}
constexpr size_t written = 8;  // of them

std::vector<Parameter> copies_of(const std::vector<Parameter>& parameters) {
  std::vector<Parameter> copies;
  for (const Parameter& parameter : parameters) {
    copies.emplace_back(parameter.value().detach().clone());
  }
  return copies;
}

void expect_same(const std::vector<Parameter>& got, const std::vector<Parameter>& wanted) {
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(bytes_of(got[i].value()), bytes_of(wanted[i].value())) << "parameter " << i;
  }
}

void expect_bits_of_weight_norm(const MakeOptimizer& rule, std::optional<DType> dtype,
                                uint64_t steps) {
  Normalized weights = some_weights(dtype);
  weights.parameters.emplace_back(randn({4099}).to(cuda));             // beside them
  const std::vector<Parameter> plain = copies_of(weights.parameters);  // of no weight
  const auto fused = rule(states_of(weights.parameters));
  const auto separate = rule(states_of(plain));
  for (uint64_t step = 0; step < steps; ++step) {
    weights.compute();
    for (const auto& states : {states_of(weights.parameters), states_of(plain)}) {
      set_gradients(states, step, 2 * step + 1);  // a g has none
    }
    separate->step({.clip = queue_clip_factor(states_of(plain), 1)});
    fused->step({.clip = queue_clip_factor(states_of(weights.parameters), 1)});
    for (size_t i = 0; i < written; ++i) {
      weights.expect_written(i);
    }
    EXPECT_FALSE(weights.caches[written]->is_fresh());
    EXPECT_FALSE(weights.caches[written + 1]->is_fresh());
  }
  expect_same(weights.parameters, plain);
  const StateDict state = fused->state_dict();
  const StateDict wanted = separate->state_dict();
  ASSERT_EQ(state.size(), wanted.size());
  for (size_t i = 0; i < state.size(); ++i) {
    EXPECT_EQ(bytes_of(state[i].second), bytes_of(wanted[i].second)) << state[i].first;
  }
}

TEST_F(StepTail, WritesNormalizedWeightsToTheBitsOfWeightNorm) {
  for (const std::optional<DType> dtype : {std::optional<DType>(), std::optional(bfloat16)}) {
    for (const MakeOptimizer& rule : all_rules()) {
      expect_bits_of_weight_norm(rule, dtype, 3);
    }
  }
}

// All barriers of the kernel, for tools/mutate_barriers.sh.
TEST_F(StepTail, WritesNormalizedWeightsInAStep) {
  expect_bits_of_weight_norm(all_rules().back(), std::nullopt, 1);
}

// Rows of other dims than the first are not those that a step's blocks own: their w waits for its
// use.
TEST_F(StepTail, LeavesWeightsOfOtherDimsToWeightNorm) {
  const std::vector<std::pair<Shape, NormDim>> kinds{{{32, 16}, WholeTensor},
                                                     {{6, 5, 8}, {0, 1}},
                                                     {{1, 12, 8}, 1},
                                                     {{8, 8}, {0, 1}},
                                                     {{24, 16}, 1}};
  for (const auto& [shape, dim] : kinds) {
    SCOPED_TRACE(shape.to_string() + " dim " + dim.to_string());
    manual_seed(4);
    const Tensor first = randn(shape).to(cuda);
    std::vector<std::vector<float>> results;
    for (const bool keeps : {true, false}) {
      std::vector<Parameter> parameters;
      parameters.reserve(2);
      const Parameter& v = parameters.emplace_back(first.clone());
      const Parameter& g = parameters.emplace_back(norm_except_dim(first, dim).detach());
      const auto cache = std::make_shared<WeightNormCache>();
      Adam optimizer(states_of(parameters), {.lr = 0.1});
      for (int step = 0; step < 3; ++step) {
        Tape tape;
        const Tensor w =
            keeps ? weight_norm(v, g, *cache, {.dim = dim}) : weight_norm(v, g, {.dim = dim});
        tape.backward(sum(mul(w, mul(w, w))));
        optimizer.step();
        optimizer.zero_grad();
        EXPECT_FALSE(keeps && cache->is_fresh()) << "the update wrote it";
      }
      const Tensor w =
          keeps ? weight_norm(v, g, *cache, {.dim = dim}) : weight_norm(v, g, {.dim = dim});
      results.push_back(w.to(cpu).to_vector<float>());
    }
    EXPECT_EQ(results[0], results[1]);
  }
}

TEST_F(StepTail, TakesFurtherLaunchesForMoreWeightsThanATableHolds) {
  Normalized weights;
  for (int64_t i = 0; i < 70; ++i) {
    weights.add(1 + i % 3, 1 + i % 5);
  }
  ParameterStates states = states_of(weights.parameters);
  std::vector<Parameter> beside;
  for (int64_t i = 0; i < 800; ++i) {
    beside.emplace_back(randn({1 + i % 3}).to(cuda));
    states.push_back(beside.back().state());
  }
  const std::vector<Parameter> plain = copies_of(beside);
  SGD optimizer(states, {.lr = 0.1, .momentum = 0.9});
  SGD separate(states_of(plain), {.lr = 0.1, .momentum = 0.9});
  for (uint64_t step = 0; step < 2; ++step) {
    weights.compute();
    set_gradients(states_of(weights.parameters), 7, 200);
    set_gradients(states_of(beside), step, 1000);
    set_gradients(states_of(plain), step, 1000);
    const uint64_t before = gpu::launches;
    optimizer.step();
    if (step > 0) {
      EXPECT_EQ(gpu::launches - before, 4u) << "32, 32 and 6 weights, 3 x 256 others; the rest";
    }
    separate.step();
  }
  for (size_t i = 0; i < weights.caches.size(); ++i) {
    weights.expect_written(i);
  }
  expect_same(beside, plain);
}

TEST_F(StepTail, FollowsGroupsAndFrozenParameters) {
  manual_seed(2);
  Normalized weights;
  for (int i = 0; i < 4; ++i) {
    weights.add(5, 33);
  }
  weights.add(4, 10, float64);
  weights.compute();
  const ParameterStates all = states_of(weights.parameters);
  // The g of the first one in a group ahead, that of the second one in a group behind; the third
  // one's is frozen, the fourth one's v is.
  SGD optimizer({{.parameters = {all[1]}},
                 {.parameters = {all[0], all[2], all[4], all[5], all[6], all[7], all[8], all[9]}},
                 {.parameters = {all[3]}}},
                {.lr = 0.1});
  set_gradients(all, 3, 100);
  all[5]->requires_grad = false;
  all[6]->requires_grad = false;
  optimizer.step();
  weights.expect_written(0);
  EXPECT_FALSE(weights.caches[1]->is_fresh());
  weights.expect_written(2);
  EXPECT_FALSE(weights.caches[3]->is_fresh());
  EXPECT_FALSE(weights.caches[4]->is_fresh()) << "float64 goes in steps";
  weights.compute();
  for (size_t i = 0; i < weights.caches.size(); ++i) {
    weights.expect_written(i);
  }
  // Whoever else writes makes it stale.
  weights.parameters[1].assign(Tensor::ones({5, 1}));
  EXPECT_FALSE(weights.caches[0]->is_fresh());
  all[4]->set_value(all[4]->value.detach().clone());
  EXPECT_FALSE(weights.caches[2]->is_fresh());
}

TEST_F(StepTail, TwoWeightsThatShareAGainUpdateItOnce) {
  manual_seed(2);
  Normalized weights;
  weights.add(5, 33);
  weights.add(5, 33);
  weights.parameters[3].tie(weights.parameters[1]);
  std::vector<Parameter> plain = copies_of(weights.parameters);
  plain.pop_back();
  ParameterStates states = states_of(weights.parameters);
  states.pop_back();
  weights.compute();
  SGD optimizer(states, {.lr = 0.1, .momentum = 0.9});
  SGD separate(states_of(plain), {.lr = 0.1, .momentum = 0.9});
  for (uint64_t step = 0; step < 2; ++step) {
    set_gradients(states, step, 100);
    set_gradients(states_of(plain), step, 100);
    optimizer.step();
    separate.step();
  }
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(bytes_of(weights.parameters[i].value()), bytes_of(plain[i].value()));
  }
}

TEST_F(StepTail, WhoIsOnAnotherStreamRoundsForItself) {
  Linear layer(33, 70);
  layer.to(cuda);
  set_precision(layer, bfloat16);
  const Tensor x = randn({3, 33}).to(bfloat16).to(cuda);
  layer(x);
  const auto launches = [&] {
    const uint64_t before = gpu::launches;
    layer(x);
    return gpu::launches - before;
  };
  const uint64_t with_kept = launches();
  const gpu::Stream stream;
  gpu::synchronize(gpu::current_stream());
  const gpu::StreamScope scope(stream);
  EXPECT_EQ(launches(), with_kept + 1) << "nothing says when the kept one is there";
}

TEST_F(StepTail, WritesRoundedWeightsToTheBitsOfACast) {
  for (const MakeOptimizer& rule : all_rules()) {
    manual_seed(5);
    Linear layer(33, 70);
    layer.to(cuda);
    set_precision(layer, bfloat16);
    const Tensor x = randn({3, 33}).to(bfloat16).to(cuda);
    const auto optimizer = rule(parameters(layer));
    const auto kept = [&] { return KeptValue::of(*parameters(layer)[0]); };
    EXPECT_EQ(kept(), nullptr);
    for (uint64_t step = 0; step < 3; ++step) {
      layer(x);
      set_gradients(parameters(layer), step, 1);
      optimizer->step();
      ASSERT_TRUE(kept() && kept()->is_fresh());
      EXPECT_EQ(bytes_of(kept()->tensor()),
                bytes_of(parameters(layer)[0]->value.detach().to(bfloat16)));
    }
    layer.weight.assign(randn({70, 33}).to(cuda));
    EXPECT_FALSE(kept()->is_fresh());
    Linear copy(layer);
    EXPECT_EQ(KeptValue::of(*parameters(copy)[0]), nullptr);
    EXPECT_EQ(bytes_of(copy(x)), bytes_of(layer(x)));
  }
}

}  // namespace
}  // namespace warptape
