// Sizes just past the constants that kernels have inside, on both devices: what Thresholds has not.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "tests/core/device/gpu_test.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

class PastConstants : public GpuTest {};

const Device devices[] = {Device{DeviceType::CPU}, cuda};

// Gradients of a scalar by the tensors.
std::vector<Tensor> gradients(const std::vector<Tensor>& values,
                              const std::function<Tensor(const std::vector<Operand>&)>& run) {
  Tape tape;
  std::vector<Tensor> watched = values;
  std::vector<Operand> operands;
  for (Tensor& tensor : watched) {
    tape.watch(tensor);
  }
  for (const Tensor& tensor : watched) {
    operands.emplace_back(tensor);
  }
  tape.backward(run(operands));
  std::vector<Tensor> result;
  for (const Tensor& tensor : watched) {
    result.push_back(tape.gradient(tensor).to(cpu));
  }
  return result;
}

// A launch takes 256 gradients.
TEST_F(PastConstants, NormOfMoreThan256Gradients) {
  for (const Device device : devices) {
    std::vector<Parameter> parameters;
    ParameterStates states;
    double squares = 0;
    for (int i = 1; i <= 600; ++i) {
      const DType dtype = i % 2 == 0 ? float32 : float64;
      parameters.emplace_back(Tensor::zeros({3}, dtype, device));
      parameters.back().state()->grad = Tensor::full({3}, i, dtype, device);
      parameters.back().state()->grad_is_empty = false;
      states.push_back(parameters.back().state());
      squares += 3.0 * i * i;
    }
    EXPECT_NEAR(grad_norm(states) / std::sqrt(squares), 1, 1e-12) << to_string(device);
    EXPECT_NEAR(clip_grad_norm(states, 1) / std::sqrt(squares), 1, 1e-12) << to_string(device);
    EXPECT_NEAR(grad_norm(states), 1, 1e-6) << to_string(device);
  }
}

// Only one side has the wanted size: rows 0 0 0 0 and 255 255 255 255, twice as wide or as high.
TEST_F(PastConstants, ImagesOfWhichOneSideHasTheWantedSize) {
  const std::vector<double> ramp = {0, 0.25, 0.75, 1};
  for (const Device device : devices) {
    for (const bool wide : {false, true}) {
      std::vector<uint8_t> pixels(8);
      for (size_t i = 0; i < 8; ++i) {
        pixels[i] = (wide ? i % 2 : i / 4) == 1 ? 255 : 0;
      }
      const Shape shape = wide ? Shape{1, 1, 4, 2} : Shape{1, 1, 2, 4};
      const ImageBatch batch =
          image_batch(tensor(pixels, shape, device), tensor<int64_t>({7}, {1}, device),
                      tensor<int64_t>({0}, {1}, device), {.image_size = 4, .dtype = float64});
      const std::vector<double> found = batch.images.to_vector<double>();
      for (size_t i = 0; i < 16; ++i) {
        EXPECT_NEAR(found[i], ramp[wide ? i % 4 : i / 4], 1e-15)
            << to_string(device) << (wide ? " widened, " : " heightened, ") << i;
      }
    }
  }
}

TEST_F(PastConstants, EmptySumsAndZeroRows) {
  for (const Device device : devices) {
    SCOPED_TRACE(to_string(device));
    const auto zeros = [&](const Shape& shape) { return Tensor::zeros(shape, float64, device); };
    const auto ones = [&](const Shape& shape) { return Tensor::ones(shape, float64, device); };
    EXPECT_EQ(sum(zeros({0, 3}), {0}).to_vector<double>(), std::vector<double>(3, 0.0));
    EXPECT_EQ(sum(zeros({3, 0}), {1}).to_vector<double>(), std::vector<double>(3, 0.0));
    EXPECT_EQ(sum(zeros({3, 0}), {0}).numel(), 0);
    EXPECT_EQ(sum(zeros({2, 0, 3}), {1}).to_vector<double>(), std::vector<double>(6, 0.0));
    EXPECT_EQ(sum(zeros({0})).item(), 0);
    EXPECT_TRUE(std::isnan(mean(zeros({0, 3})).item()));
    EXPECT_EQ(matmul(zeros({2, 0}), zeros({0, 3})).to_vector<double>(),
              std::vector<double>(6, 0.0));
    EXPECT_EQ(matmul(zeros({0, 2}), ones({2, 3})).numel(), 0);
    EXPECT_EQ(linear(zeros({2, 0}), zeros({3, 0}), ones({3})).to_vector<double>(),
              std::vector<double>(6, 1.0));
    EXPECT_EQ(softmax(zeros({0, 3}), 1).numel(), 0);
    // Nothing flows from no rows, and that is written.
    const auto of_linear =
        gradients({zeros({0, 2}), ones({3, 2}), ones({3})},
                  [](const std::vector<Operand>& in) { return sum(linear(in[0], in[1], in[2])); });
    EXPECT_EQ(of_linear[1].to_vector<double>(), std::vector<double>(6, 0.0));
    EXPECT_EQ(of_linear[2].to_vector<double>(), std::vector<double>(3, 0.0));
    const auto of_conv =
        gradients({zeros({0, 1, 4, 4}), ones({2, 1, 3, 3}), ones({2})},
                  [](const std::vector<Operand>& in) { return sum(conv2d(in[0], in[1], in[2])); });
    EXPECT_EQ(of_conv[1].to_vector<double>(), std::vector<double>(18, 0.0));
    EXPECT_EQ(of_conv[2].to_vector<double>(), std::vector<double>(2, 0.0));
    const auto of_product =
        gradients({zeros({2, 0}), zeros({0, 3})},
                  [](const std::vector<Operand>& in) { return sum(matmul(in[0], in[1])); });
    EXPECT_EQ(of_product[0].numel(), 0);
    // A broadcast operand, summed over nothing.
    const auto of_add = gradients({zeros({0, 3}), ones({3})}, [](const std::vector<Operand>& in) {
      return sum(add(in[0], in[1]));
    });
    EXPECT_EQ(of_add[1].to_vector<double>(), std::vector<double>(3, 0.0));
    // Zero rows of weights.
    const auto of_weight =
        gradients({zeros({2, 3}), ones({2, 1})},
                  [](const std::vector<Operand>& in) { return sum(weight_norm(in[0], in[1])); });
    EXPECT_EQ(of_weight[0].to_vector<double>(), std::vector<double>(6, 0.0));
    EXPECT_EQ(of_weight[1].to_vector<double>(), std::vector<double>(2, 0.0));
  }
}

}  // namespace
}  // namespace warptape
