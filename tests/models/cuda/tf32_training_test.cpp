// Models train on the tensor cores in TF32 without a library, as in float32 but for the rounding.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/vendor/gpu_libraries.h"
#include "models/simple_cnn.h"
#include "models/tcn.h"
#include "tests/core/device/gpu_test.h"
#include "tools/plan_notes.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

class Tf32Training : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    set_gpu_libraries(GpuLibraries::Off);
  }
  void TearDown() override {
    set_tf32(false);
    set_gpu_libraries(libraries_before_);
  }

  // The losses of some steps on one batch, from the same start each time.
  template <class Model>
  static std::vector<double> losses(const typename Model::Options& options, const Shape& shape,
                                    bool tf32) {
    set_tf32(tf32);
    manual_seed(4);
    Model model(options);
    const Tensor x = randn(shape).to(cuda);
    std::vector<int64_t> classes;
    for (int64_t i = 0; i < shape[0]; ++i) {
      classes.push_back(i % 3);
    }
    const Tensor labels = Tensor::from_vector(classes, {shape[0]}).to(cuda);
    model.to(cuda);
    SGD optimizer(parameters(model), {.lr = 0.05});
    std::vector<double> result;
    for (int step = 0; step < 3; ++step) {
      optimizer.zero_grad();
      Tape tape;
      const Tensor loss = cross_entropy(model(x), labels);
      tape.backward(loss);
      optimizer.step();
      result.push_back(loss.item());
    }
    return result;
  }

  // Factors are rounded by 2^-11 of their size, and a model of a few layers adds up few of these.
  template <class Model>
  static void expect_alike(const typename Model::Options& options, const Shape& shape) {
    const std::vector<double> strict = losses<Model>(options, shape, false);
    const PlanNotes notes;
    const std::vector<double> rounded = losses<Model>(options, shape, true);
    int in_tf32 = 0;
    for (const std::string& plan : notes.plans()) {
      in_tf32 += plan.find("packs of 4 in TF32") != std::string::npos ? 1 : 0;
    }
    EXPECT_GE(in_tf32, 3);  // of some layer, forward and both gradients
    EXPECT_NE(rounded, strict);
    EXPECT_LT(rounded.back(), rounded.front());
    for (size_t i = 0; i < strict.size(); ++i) {
      EXPECT_NEAR(rounded[i], strict[i], 0.01 * strict[i]) << i;
    }
  }

 private:
  const GpuLibraries libraries_before_ = gpu_libraries();
};

TEST_F(Tf32Training, OfSimpleCNN) {
  expect_alike<SimpleCNN>({.input_channels = 3, .num_classes = 4, .image_size = 8}, {2, 3, 8, 8});
}

TEST_F(Tf32Training, OfTheTCN) {
  TCN::Options options;
  options.output_size = 4;
  options.net.input_channels = 4;
  options.net.channels = {8, 8};
  options.net.kernel_size = 3;
  expect_alike<TCN>(options, {2, 4, 20});
}

}  // namespace
}  // namespace warptape
