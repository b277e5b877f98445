#pragma once
// SimpleCNN written in three ways, and once so that nothing can be fused.

#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/flatten/flatten.h"
#include "kernels/max_pool2d/max_pool2d.h"
#include "kernels/pointwise/pointwise.h"
#include "layers/flatten.h"
#include "layers/sequential.h"
#include "layers/weight_norm.h"
#include "models/simple_cnn.h"

namespace warptape {

// As in README.md.
struct HandWritten : Module {
  explicit HandWritten(int64_t image_size) : fc1(128 * image_size * image_size / 16, 256) {
    weight_norm(conv1);
    weight_norm(conv2);
  }
  void fields(Visitor& visit) override {
    visit("conv1", conv1)("conv2", conv2)("fc1", fc1)("fc2", fc2)("pool", pool);
  }
  Tensor forward(const Operand& x) override {
    return fc2(relu(fc1(flatten(pool(relu(conv2(pool(relu(conv1(x)))))), 1))));
  }

  Conv2d conv1{{.in_channels = 3, .out_channels = 64, .kernel_size = 3, .padding = 1}};
  Conv2d conv2{{.in_channels = 64, .out_channels = 128, .kernel_size = 3, .padding = 1}};
  Linear fc1;
  Linear fc2{256, 10};
  MaxPool2d pool;
};

// The same, which keeps all that it computes.
struct Unfused final : HandWritten {
  using HandWritten::HandWritten;
  Tensor forward(const Operand& x) override {
    kept = {x.tensor()};
    const auto keep = [&](Tensor y) {
      kept.push_back(y);
      return y;
    };
    for (Conv2d* conv : {&conv1, &conv2}) {
      keep((*conv)(kept.back()));
      keep(relu(kept.back()));
      keep(pool(kept.back()));
    }
    keep(flatten(kept.back(), 1));
    keep(fc1(kept.back()));
    keep(relu(kept.back()));
    return fc2(kept.back());
  }
  std::vector<Tensor> kept;
};

inline Sequential sequential_cnn(int64_t image_size) {
  Conv2d conv1({.in_channels = 3, .out_channels = 64, .kernel_size = 3, .padding = 1});
  Conv2d conv2({.in_channels = 64, .out_channels = 128, .kernel_size = 3, .padding = 1});
  weight_norm(conv1);
  weight_norm(conv2);
  return Sequential(std::move(conv1), ReLU(), MaxPool2d(), std::move(conv2), ReLU(), MaxPool2d(),
                    Flatten(), Linear(128 * image_size * image_size / 16, 256), ReLU(),
                    Linear(256, 10));
}

// The values of one model's parameters for another's, in the order of their fields.
inline void take_values(Module& model, Module& from) {
  const auto sources = parameters(from);
  const auto targets = parameters(model);
  for (size_t i = 0; i < targets.size(); ++i) {
    targets.at(i)->set_value(sources.at(i)->value.detach().clone());
  }
}

// Logits and the gradients of all parameters, one after the other.
inline std::vector<std::vector<float>> results_of(Module& model, const Tensor& images,
                                                  const Tensor& labels) {
  for (const auto& state : parameters(model)) {
    state->grad_is_empty = true;
  }
  Tape tape;
  const Tensor logits = model(images);
  std::vector<std::vector<float>> results{logits.to_vector<float>()};
  tape.backward(cross_entropy(logits, labels));
  for (const auto& state : parameters(model)) {
    results.push_back(state->grad.to_vector<float>());
  }
  return results;
}

// Whether all four give the same bits on a device.
inline void expect_the_same_bits(Device device, int64_t batch) {
  constexpr int64_t image_size = 8;
  SimpleCNN model({.input_channels = 3, .num_classes = 10, .image_size = image_size});
  HandWritten by_hand(image_size);
  Sequential sequential = sequential_cnn(image_size);
  Unfused unfused(image_size);
  const Tensor images = randn({batch, 3, image_size, image_size}).to(device);
  const Tensor labels = Tensor::full({batch}, 3, int64, device);
  model.to(device);
  const auto expected = results_of(model, images, labels);
  for (Module* other : {static_cast<Module*>(&by_hand), static_cast<Module*>(&sequential),
                        static_cast<Module*>(&unfused)}) {
    other->to(device);
    take_values(*other, model);
    EXPECT_EQ(results_of(*other, images, labels), expected) << other->type_name();
  }
}

}  // namespace warptape
