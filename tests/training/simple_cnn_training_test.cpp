// SimpleCNN with weight norm, six steps of SGD with momentum, against PyTorch in float64. Weights
// and images come from a formula, so that only results are kept.

#include <cmath>

#include "core/tape.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "models/simple_cnn.h"
#include "tests/golden.h"
#include "tests/kernels/case_run.h"
#include "tests/kernels/devices.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

using Json = nlohmann::json;

// -0.5 to 0.5, as tests/golden/generate_training.py has it.
double hashed(uint64_t i, uint64_t k) {
  const uint64_t hash = (i * 2654435761u + k * 40503u + 12345u) & 0xFFFFFFFFu;
  return static_cast<double>(hash) / 4294967296.0 - 0.5;
}

Tensor hashed_tensor(const Shape& shape, uint64_t k, double offset, double scale) {
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = offset + scale * hashed(i, k);
  }
  return tensor(values, shape);
}

struct Fixture {
  Json golden = load_golden("training.json")["simple_cnn"];
  SimpleCNN model{{.input_channels = 2, .num_classes = 5, .image_size = 8, .dtype = float64}};
  Tensor images = hashed_tensor({6, 2, 8, 8}, 100, 0, 2);
  Tensor labels = tensor<int64_t>({0, 1, 2, 3, 4, 0}, {6});

  explicit Fixture(Device device) {
    const std::vector<std::string> order = {
        "conv1.bias",     "conv1.weight_g", "conv1.weight_v", "conv2.bias", "conv2.weight_g",
        "conv2.weight_v", "fc1.bias",       "fc1.weight",     "fc2.bias",   "fc2.weight"};
    StateDict state = state_dict(model);
    for (auto& [name, value] : state) {
      const auto k =
          static_cast<uint64_t>(std::find(order.begin(), order.end(), name) - order.begin());
      const double offset = name.ends_with("weight_g") ? 1 : 0;
      value = hashed_tensor(value.shape(), k, offset, golden["scales"][name]);
    }
    load_state_dict(model, state);
    model.to(device);
    images = images.to(device);
    labels = labels.to(device);
  }
};

TEST(SimpleCNNTraining, LogitsMatchPyTorch) {
  for (Device device : available_devices()) {
    Fixture f(device);
    std::vector<double> wanted;
    for (const Json& row : f.golden["logits"]) {
      wanted.insert(wanted.end(), row.begin(), row.end());
    }
    expect_near(f.model(f.images).to_vector<double>(), wanted, 1e-12, to_string(device));
  }
}

void check_six_steps(Device device) {
  SCOPED_TRACE(to_string(device));
  Fixture f(device);
  SGD optimizer(parameters(f.model), {.lr = f.golden["lr"], .momentum = f.golden["momentum"]});
  const size_t steps = is_sanitized() ? 2 : 6;
  for (size_t step = 0; step < steps; ++step) {
    optimizer.zero_grad();
    Tape tape;
    const Tensor loss = cross_entropy(f.model(f.images), f.labels);
    tape.backward(loss);
    EXPECT_NEAR(loss.item(), f.golden["losses"][step].get<double>(), 1e-10) << "step " << step;
    EXPECT_NEAR(grad_norm(parameters(f.model)), f.golden["gradient_norms"][step].get<double>(),
                1e-9)
        << "step " << step;
    optimizer.step();
  }
  if (steps < 6) {
    return;
  }
  for (const auto& [name, value] : state_dict(f.model)) {
    const Json& wanted = f.golden["keys"][name];
    const std::vector<double> values = value.to(cpu).to_vector<double>();
    double squares = 0;
    for (double element : values) {
      squares += element * element;
    }
    EXPECT_NEAR(std::sqrt(squares), wanted["norm"].get<double>(), 1e-10 * std::sqrt(squares))
        << name;
    for (size_t i = 0; i < wanted["indices"].size(); ++i) {
      EXPECT_NEAR(values[wanted["indices"][i].get<size_t>()], wanted["values"][i].get<double>(),
                  1e-10)
          << name;
    }
  }
}

TEST(SimpleCNNTraining, SixStepsMatchPyTorch) {
  for (Device device : available_devices()) {
    check_six_steps(device);
  }
}

}  // namespace
}  // namespace warptape
