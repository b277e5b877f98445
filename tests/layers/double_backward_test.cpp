// Gradients of gradients through whole models, whose layers run fused, against PyTorch's.

#include <gtest/gtest.h>

#include "core/tape.h"
#include "kernels/ops.h"
#include "layers/batch_norm.h"
#include "layers/conv1d.h"
#include "layers/conv2d.h"
#include "layers/conv_transpose1d.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/group_norm.h"
#include "layers/layer_norm.h"
#include "layers/linear.h"
#include "layers/max_pool2d.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/state_dict.h"
#include "layers/temporal_block.h"
#include "layers/weight_norm.h"
#include "tests/golden.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

using Json = nlohmann::json;

template <class Layer>
Layer normed(Layer layer) {
  weight_norm(layer);
  return layer;
}

Sequential critic() {
  const auto conv = [](int64_t in, int64_t out) {
    return normed(Conv2d({.in_channels = in,
                          .out_channels = out,
                          .kernel_size = 3,
                          .padding = 1,
                          .dtype = float64}));
  };
  const auto linear = [](int64_t in, int64_t out) {
    return Linear({.in_features = in, .out_features = out, .dtype = float64});
  };
  return Sequential(conv(1, 3), ReLU(), MaxPool2d(), conv(3, 4), ReLU(), MaxPool2d(), Flatten(),
                    linear(16, 5), ReLU(), linear(5, 1));
}

Sequential sequences() {
  return Sequential(normed(Conv1d({.in_channels = 2,
                                   .out_channels = 4,
                                   .kernel_size = 3,
                                   .padding = 2,
                                   .dilation = 2,
                                   .dtype = float64})),
                    BatchNorm1d({.num_features = 4, .dtype = float64}), ReLU(),
                    normed(ConvTranspose1d({.in_channels = 4,
                                            .out_channels = 3,
                                            .kernel_size = 4,
                                            .stride = 2,
                                            .padding = 1,
                                            .dtype = float64})),
                    GroupNorm({.num_groups = 1, .num_channels = 3, .dtype = float64}), Flatten(),
                    LayerNorm({.normalized_shape = {36}, .dtype = float64}),
                    Linear({.in_features = 36, .out_features = 3, .dtype = float64}));
}

StateDict state_of(const Json& entry) {
  StateDict state;
  for (const auto& [key, value] : entry["state"].items()) {
    state.emplace_back(key, golden_tensor(value));
  }
  return state;
}

void check(Sequential model, const Json& entry,
           const std::function<Tensor(Tape&, Sequential&, Device)>& loss_of) {
  load_state_dict(model, state_of(entry));
  for (const Device device : available_devices()) {
    Sequential own = model;
    own.to(device);
    Tape tape;
    const Tensor loss = loss_of(tape, own, device);
    EXPECT_NEAR(loss.item(), entry["loss"].get<double>(), 1e-9);
    tape.backward(loss);
    for (const NamedParameter& named : named_parameters(own)) {
      if (!entry["grads"].contains(named.name)) {
        continue;  // no influence
      }
      const Tensor grad = named.parameter->grad();
      ASSERT_TRUE(grad.defined()) << named.name;
      expect_near(grad.to(cpu).to(MemoryFormat::RowMajor).to_vector<double>(),
                  golden_tensor(entry["grads"][named.name]).to_vector<double>(), 1e-9, named.name);
    }
  }
}

TEST(DoubleBackward, GradientPenaltyOfACriticIsPyTorchs) {
  const Json entry = load_golden("double_backward.json")["gradient_penalty"];
  check(critic(), entry, [&](Tape& tape, Sequential& model, Device device) {
    Tensor x = golden_tensor(entry["inputs"]["x"]).to(device);
    tape.watch(x);
    const Tensor score = model(x);
    const Tensor slope = tape.gradients(sum(score), {x}, {.create_graph = true})[0];
    const Tensor norm = sqrt(sum(slope * slope, {1, 2, 3}));
    return mean(score) + 10 * mean((norm - 1) * (norm - 1));
  });
}

TEST(DoubleBackward, HessianTimesGradientThroughNormsIsPyTorchs) {
  const Json entry = load_golden("double_backward.json")["squared_gradient"];
  check(sequences(), entry, [&](Tape& tape, Sequential& model, Device device) {
    const Tensor x = golden_tensor(entry["inputs"]["x"]).to(device);
    const Tensor labels = golden_tensor(entry["inputs"]["labels"]).to(device);
    const Tensor loss = cross_entropy(model(x), labels, {.label_smoothing = 0.1});
    std::vector<Operand> all;
    for (const NamedParameter& named : named_parameters(model)) {
      all.emplace_back(*named.parameter);
    }
    Tensor total;
    for (const Tensor& g : tape.gradients(loss, all, {.create_graph = true})) {
      const Tensor square = sum(g * g);
      total = total.defined() ? total + square : square;
    }
    return total;
  });
}

// The block's ops one by one: outside of a module's call nothing waits for the next one.
Tensor one_by_one(TemporalBlock& block, const Tensor& x) {
  Tensor y = x;
  for (Conv1d* conv : {&block.conv1, &block.conv2}) {
    y = dropout(relu((*conv)(y)), block.options().dropout, true);
  }
  return relu(y + (*block.residual)(x));
}

// What a block runs as one pass, with dropout's mask and the residual, has the second gradients of
// its ops.
TEST(DoubleBackward, AFusedBlockHasThoseOfItsOps) {
  for (const Device device : available_devices()) {
    for (const double dropout : {0.0, 0.3}) {
      TemporalBlock block(
          {.in_channels = 3, .out_channels = 4, .kernel_size = 3, .dropout = dropout});
      block.to(device);
      const Tensor values = randn({2, 3, 9}).to(device);
      std::vector<std::vector<double>> second;
      for (const bool fused : {true, false}) {
        manual_seed(5);
        TemporalBlock own = block;
        Tensor x = values.detach();
        Tape tape;
        tape.watch(x);
        const Tensor y = fused ? own(x) : one_by_one(own, x);
        const Tensor g = tape.gradients(sum(y * y), {x}, {.create_graph = true})[0];
        tape.backward(sum(g * g * g));
        second.emplace_back();
        for (const NamedParameter& named : named_parameters(own)) {
          const auto grad = named.parameter->grad();
          const auto elements =
              grad.defined() ? grad.to(cpu).to(float64).to_vector<double>() : std::vector<double>();
          second.back().insert(second.back().end(), elements.begin(), elements.end());
        }
      }
      EXPECT_GT(second[0].size(), 50U);
      expect_near(second[0], second[1], 1e-4, "second gradients");
    }
  }
}

}  // namespace
}  // namespace warptape
