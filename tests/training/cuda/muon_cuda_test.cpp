// Muon on "cuda": graphs and what is kept of its weights. Its values: tests/training/muon_test.cpp.

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

#include "core/device/gpu.h"
#include "core/graph_memory.h"
#include "core/kept_value.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/linear.h"
#include "layers/precision.h"
#include "layers/weight_norm.h"
#include "tests/core/device/gpu_test.h"
#include "training/optimizers/muon.h"

namespace warptape {
namespace {

class MuonCuda : public GpuTest {};

ParameterStates muon_matrices() {
  manual_seed(3);
  ParameterStates states;
  for (const Shape& shape : std::vector<Shape>{{3, 5}, {16, 8}, {16, 8}, {4, 2, 3, 3}}) {
    auto state = std::make_shared<ParameterState>();
    state->value = randn(shape).to(cuda);
    state->grad = randn(shape).to(cuda);
    state->grad_is_empty = false;
    states.push_back(state);
  }
  return states;
}

TEST_F(MuonCuda, ACapturedStepIsAnEagerOne) {
  for (const bool by_rows : {false, true}) {
    const gpu::Stream stream;
    const gpu::StreamScope scope(stream);
    const ParameterStates eager = muon_matrices();
    const ParameterStates captured = muon_matrices();
    const Muon::Options options{
        .lr = 0.1, .row_normalization = by_rows, .constraint = Constraint::FixedRadius};
    Muon of_eager(eager, options);
    Muon of_captured(captured, options);
    of_eager.step();
    of_captured.step();  // allocates what a capture must not
    GraphMemory memory(cuda);
    const gpu::Graph graph(stream, [&] {
      const GraphMemory::Scope in_memory(memory);
      of_captured.step();
    });
    for (const double rate : {0.1, 0.01}) {
      of_eager.set_learning_rate(rate);
      of_captured.set_learning_rate(rate);
      of_eager.step();
      graph.launch(stream.handle());
      for (size_t i = 0; i < eager.size(); ++i) {
        EXPECT_EQ(captured[i]->value.to_vector<float>(), eager[i]->value.to_vector<float>()) << i;
      }
    }
  }
}

// A matrix more of a shape that is there takes no launch more.
TEST_F(MuonCuda, MatricesOfOneShapeGoTogether) {
  std::vector<uint64_t> launches;
  for (const size_t count : {1, 2}) {
    ParameterStates states = muon_matrices();
    states.erase(states.begin());  // of another shape
    states.resize(count);
    Muon optimizer(states, {.lr = 0.1});
    optimizer.step();
    const uint64_t before = gpu::launches;
    optimizer.step();
    launches.push_back(gpu::launches - before);
  }
  EXPECT_EQ(launches[0], launches[1]);
}

// Their updates take packs of a direction, wherever that lies among those of its shape.
TEST_F(MuonCuda, WritesNormalizedWeights) {
  for (const int64_t in_features : {32, 33}) {
    manual_seed(5);
    const Linear::Options options{.in_features = in_features, .out_features = 7, .bias = false};
    Linear first(options);
    Linear second(options);
    const Tensor x = randn({3, in_features}).to(cuda);
    ParameterStates weights;
    for (Linear* layer : {&first, &second}) {
      weight_norm(*layer);
      layer->to(cuda);
      const ParameterStates own = parameters(*layer);
      std::copy_if(own.begin(), own.end(), std::back_inserter(weights),
                   [](const auto& state) { return state->name == "weight_v"; });
    }
    ASSERT_EQ(weights.size(), 2U);
    Muon optimizer(weights, {.lr = 0.1});
    for (int step = 0; step < 2; ++step) {
      optimizer.zero_grad();
      Tape tape;
      const Tensor y = first(x);
      const Tensor z = second(x);
      tape.backward(sum(y * y) + sum(z * z * z));
      optimizer.step({.allow_unheld = true});
    }
    for (size_t i = 0; i < weights.size(); ++i) {
      const auto kept = KeptValue::of(*weights[i]);
      ASSERT_TRUE(kept && kept->is_fresh()) << i << ", " << in_features;
      Linear& layer = i == 0 ? first : second;
      Linear anew(layer);  // which keeps nothing yet
      EXPECT_EQ(layer(x).to_vector<float>(), anew(x).to_vector<float>());
    }
  }
}

TEST_F(MuonCuda, WritesRoundedWeights) {
  manual_seed(5);
  Linear layer({.in_features = 33, .out_features = 7, .bias = false});
  layer.to(cuda);
  set_precision(layer, bfloat16);
  const Tensor x = randn({3, 33}).to(bfloat16).to(cuda);
  Muon optimizer(parameters(layer), {.lr = 0.1});
  Tape tape;
  tape.backward(sum(layer(x)));
  optimizer.step();
  const auto state = parameters(layer)[0];
  const auto kept = KeptValue::of(*state);
  ASSERT_TRUE(kept && kept->is_fresh());
  EXPECT_EQ(kept->tensor().to(float32).to_vector<float>(),
            state->value.detach().to(bfloat16).to(float32).to_vector<float>());
}

}  // namespace
}  // namespace warptape
