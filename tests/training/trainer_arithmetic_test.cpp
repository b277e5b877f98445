// Steps of the training loop against arithmetic written out here: the order of gradient, norm,
// clipping and update, on every device.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/random.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "tests/kernels/devices.h"
#include "training/image_loader.h"
#include "training/optimizers.h"
#include "training/trainer.h"

namespace warptape {
namespace {

constexpr int64_t classes = 3;
constexpr int64_t features = 4;
constexpr int64_t count = 5;

uint8_t pixel(int64_t image, int64_t i) {
  return static_cast<uint8_t>((image * 97 + i * i * 31 + 5) % 256);
}

double feature(int64_t image, int64_t i) {
  return (pixel(image, i) / 255.0 - 0.3) / 0.25;
}

ImageSet images_on(Device device) {
  ImageSet set{Tensor::empty({count, 1, 2, 2}, uint8), Tensor::empty({count}, int64)};
  for (int64_t image = 0; image < count; ++image) {
    set.labels.mutable_data<int64_t>()[image] = image % classes;
    for (int64_t i = 0; i < features; ++i) {
      set.images.mutable_data<uint8_t>()[image * features + i] = pixel(image, i);
    }
  }
  return to(set, device);
}

// Weight and bias of softmax regression, in one list.
using Values = std::vector<double>;

Values values_of(Module& model) {
  Values values;
  for (const auto& state : parameters(model)) {
    const Values part = state->value.to(cpu).to_vector<double>();
    values.insert(values.end(), part.begin(), part.end());
  }
  return values;
}

// Of the mean cross-entropy over all images.
Values gradient_at(const Values& w) {
  Values gradient(w.size(), 0.0);
  for (int64_t image = 0; image < count; ++image) {
    Values p(classes);
    for (size_t c = 0; c < classes; ++c) {
      p[c] = w[classes * features + c];
      for (size_t i = 0; i < features; ++i) {
        p[c] += w[c * features + i] * feature(image, static_cast<int64_t>(i));
      }
      p[c] = std::exp(p[c]);
    }
    const double total = std::accumulate(p.begin(), p.end(), 0.0);
    for (size_t c = 0; c < classes; ++c) {
      const double target = static_cast<int64_t>(c) == image % classes ? 1 : 0;
      const double error = (p[c] / total - target) / count;
      gradient[classes * features + c] += error;
      for (size_t i = 0; i < features; ++i) {
        gradient[c * features + i] += error * feature(image, static_cast<int64_t>(i));
      }
    }
  }
  return gradient;
}

// The parameters after a step with a clipped gradient, and that gradient's norm.
Values stepped(const Values& before, double rate, std::optional<double> clip_norm, double& norm) {
  const Values gradient = gradient_at(before);
  norm = std::sqrt(std::inner_product(gradient.begin(), gradient.end(), gradient.begin(), 0.0));
  const double factor = clip_norm ? std::min(1.0, *clip_norm / (norm + 1e-6)) : 1.0;
  Values after = before;
  for (size_t i = 0; i < after.size(); ++i) {
    after[i] -= rate * factor * gradient[i];
  }
  return after;
}

void check_steps(Device device, std::optional<double> clip_norm) {
  SCOPED_TRACE(fmt::format("{}, clip {}", to_string(device), clip_norm.value_or(0)));
  manual_seed(5);
  Sequential model(Flatten(),
                   Linear({.in_features = features, .out_features = classes, .dtype = float64}));
  model.to(device);
  const Values before = values_of(model);
  SGD optimizer(parameters(model), {.lr = 0.25});
  const ImageTransform transform{.image_size = 2, .mean = {0.3}, .std = {0.25}, .dtype = float64};
  std::vector<int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  ImageLoader loader(images_on(device), numbers, transform,
                     {.batch_size = count, .shuffle = false, .device = device});
  std::vector<StepMetrics> steps;
  TrainingCallbacks callbacks;
  callbacks.on_step = [&](const StepMetrics& step) { steps.push_back(step); };
  TrainingOptions options;
  options.epochs = 3;  // of one step each
  options.clip_norm = clip_norm;
  train_classifier(model, optimizer, {loader, loader}, options, callbacks);

  ASSERT_EQ(steps.size(), 3u);
  Values wanted = before;
  for (const StepMetrics& step : steps) {
    double norm = 0;
    wanted = stepped(wanted, step.learning_rate, clip_norm, norm);
    EXPECT_NEAR(step.gradient_norm, norm, 1e-12) << "the norm before clipping";
    ASSERT_EQ(clip_norm == 0.01, clip_norm.value_or(1000) < 0.5 * norm) << "of no use as a test";
  }
  const Values after = values_of(model);
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_NEAR(after[i], wanted[i], 1e-13) << i;
  }
}

TEST(TrainerArithmetic, AStepIsTheGradientClippedThenTheUpdate) {
  for (Device device : available_devices()) {
    check_steps(device, std::nullopt);
    check_steps(device, 0.01);
    check_steps(device, 1000);
  }
}

}  // namespace
}  // namespace warptape
