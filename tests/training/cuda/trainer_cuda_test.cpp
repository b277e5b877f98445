// The training loop on "cuda" against the same on the CPU.

#include "training/image_loader.h"
#include "training/optimizers.h"
#include "training/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "core/random.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "tests/core/device/gpu_test.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

class GpuTrainer : public GpuTest {};

constexpr int64_t classes = 3;

ImageSet striped_images(int64_t count) {
  ImageSet set{Tensor::empty({count, 1, 4, 4}, uint8), Tensor::empty({count}, int64)};
  uint8_t* pixels = set.images.mutable_data<uint8_t>();
  for (int64_t i = 0; i < count; ++i) {
    set.labels.mutable_data<int64_t>()[i] = i % classes;
    for (int64_t j = 0; j < 16; ++j) {
      pixels[i * 16 + j] = static_cast<uint8_t>((j / 4 == i % classes ? 200 : 30) + (i * j) % 20);
    }
  }
  return set;
}

std::vector<int64_t> numbers_to(int64_t count) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  return numbers;
}

struct Training {
  std::vector<StepMetrics> steps;
  std::vector<EpochMetrics> epochs;
};

enum class Data { OnHost, OnDevice };

// Four epochs of three steps of a small net; on_step also sees the model.
using OnStep = std::function<void(const StepMetrics&, Module&)>;
Training train(
    Device device, Data where, const ImageSet& host, double lr = 0.05,
    std::optional<double> clip_norm = 0.7,
    const OnStep& on_step = [](const StepMetrics&, Module&) {}) {
  manual_seed(3);
  Sequential model(Flatten(), Linear({.in_features = 16, .out_features = 7, .dtype = float64}),
                   ReLU(), Linear({.in_features = 7, .out_features = classes, .dtype = float64}));
  model.to(device);
  SGD optimizer(parameters(model), {.lr = lr, .momentum = 0.9});
  const ImageSet images = where == Data::OnDevice ? to(host, device) : host;
  const ImageTransform transform{.image_size = 4, .mean = {0.3}, .std = {0.3}, .dtype = float64};
  ImageLoaderOptions options{.batch_size = 4, .shuffle = true, .seed = 1, .device = device};
  const int64_t count = host.labels.numel();
  ImageLoader train_loader(images, numbers_to(count), transform, options);
  options.shuffle = false;
  ImageLoader test_loader(images, numbers_to(count), transform, options);
  Training run;
  TrainingCallbacks callbacks;
  callbacks.on_step = [&](const StepMetrics& step) {
    run.steps.push_back(step);
    on_step(step, model);
  };
  callbacks.on_epoch = [&](const EpochMetrics& epoch) { run.epochs.push_back(epoch); };
  TrainingOptions options_of_run;
  options_of_run.epochs = 4;
  options_of_run.clip_norm = clip_norm;
  train_classifier(model, optimizer, {train_loader, test_loader}, options_of_run, callbacks);
  return run;
}

void expect_close(const Training& got, const Training& wanted, double bound) {
  ASSERT_EQ(got.steps.size(), wanted.steps.size());
  for (size_t i = 0; i < got.steps.size(); ++i) {
    const StepMetrics& a = got.steps[i];
    const StepMetrics& b = wanted.steps[i];
    EXPECT_EQ(a.step, b.step);
    EXPECT_EQ(a.epoch, b.epoch);
    EXPECT_EQ(a.learning_rate, b.learning_rate);
    EXPECT_NEAR(a.loss, b.loss, bound * b.loss) << "step " << a.step;
    EXPECT_NEAR(a.gradient_norm, b.gradient_norm, bound * b.gradient_norm) << "step " << a.step;
  }
  ASSERT_EQ(got.epochs.size(), wanted.epochs.size());
  for (size_t i = 0; i < got.epochs.size(); ++i) {
    EXPECT_NEAR(got.epochs[i].train_loss, wanted.epochs[i].train_loss, bound);
    EXPECT_NEAR(got.epochs[i].test->loss, wanted.epochs[i].test->loss, bound);
    EXPECT_EQ(got.epochs[i].test->metric, wanted.epochs[i].test->metric);
    EXPECT_EQ(got.epochs[i].step, wanted.epochs[i].step);
  }
}

TEST_F(GpuTrainer, TrainsAsTheCpuDoes) {
  const ImageSet images = striped_images(10);
  const Training wanted = train(cpu, Data::OnHost, images);
  ASSERT_EQ(wanted.steps.size(), 12u);
  EXPECT_LT(wanted.epochs.back().train_loss, wanted.epochs.front().train_loss);
  const Training resident = train(cuda, Data::OnDevice, images);
  expect_close(resident, wanted, 1e-9);
  expect_close(train(cuda, Data::OnHost, images), resident, 0);
  expect_close(train(cuda, Data::OnDevice, images), resident, 0);
  expect_close(train(cuda, Data::OnDevice, images, 0.05, {}),
               train(cpu, Data::OnHost, images, 0.05, {}), 1e-9);
}

TEST_F(GpuTrainer, RaisesALabelThatNoClassHas) {
  ImageSet images = striped_images(8);
  images.labels.mutable_data<int64_t>()[5] = 17;
  for (Data where : {Data::OnDevice, Data::OnHost}) {
    expect_throws<ValueError>([&] { train(cuda, where, images); }, {"[cross_entropy]", "17"});
  }
  EXPECT_NO_THROW(train(cuda, Data::OnDevice, striped_images(8)));
}

TEST_F(GpuTrainer, NamesTheStepWhoseLossIsNotFinite) {
  const ImageSet images = striped_images(8);
  std::string wanted;
  for (Device device : {cpu, cuda}) {
    try {
      train(device, Data::OnHost, images, 1e200);
      FAIL() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("the loss is"), std::string::npos) << error.what();
      const std::string step = std::string(error.what()).substr(0, 15);
      wanted = device == cpu ? step : wanted;
      EXPECT_EQ(step, wanted);
    }
  }
}

// The last step of the first epoch breaks the model, whose loss is read late on "cuda".
TEST_F(GpuTrainer, NamesTheStepBehindWhichAnEvaluationIsNotFinite) {
  const ImageSet images = striped_images(10);
  for (Device device : {cpu, cuda}) {
    const auto break_model = [](const StepMetrics& step, Module& model) {
      if (step.step == 3) {
        named_parameters(model)[1].parameter->assign(Tensor::full({7}, -NAN, float64));
      }
    };
    expect_throws<Diverged>([&] { train(device, Data::OnHost, images, 0.05, {}, break_model); },
                            {"[train] step 3: the test loss after it is nan"});
  }
}

TEST_F(GpuTrainer, TrainsTheSameOnAStreamOfItsOwn) {
  const ImageSet images = striped_images(10);
  const Training wanted = train(cuda, Data::OnDevice, images);
  for (Data where : {Data::OnDevice, Data::OnHost}) {
    const gpu::Stream stream;
    const gpu::StreamScope scope(stream);
    expect_close(train(cuda, where, images), wanted, 0);
  }
}

}  // namespace
}  // namespace warptape
