// Sizes just past the constants that kernels have inside: blocks of sums, tables, bytes that count.
// On both devices, against sums in float64 or each other.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "tests/core/device/gpu_test.h"
#include "training/optimizer.h"

namespace warptape {
namespace {

class PastConstants : public GpuTest {};

const Device devices[] = {Device{DeviceType::CPU}, Device{DeviceType::CUDA}};

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

// The CPU adds the gradient of a bias up in blocks of 4,096 pixels.
TEST_F(PastConstants, BiasOfMoreThan4096Pixels) {
  manual_seed(1);
  const Tensor x = rand({1, 1, 65, 64}, float64);
  const Tensor scale = rand({1, 2, 65, 64}, float64);
  const std::vector<double> factors = scale.to_vector<double>();
  for (const Device device : devices) {
    const Tensor factor = scale.to(device);
    const auto found = gradients({x.to(device), Tensor::ones({2, 1, 1, 1}, float64, device),
                                  Tensor::zeros({2}, float64, device)},
                                 [&](const std::vector<Operand>& in) {
                                   return sum(mul(conv2d(in[0], in[1], in[2]), factor));
                                 });
    for (size_t channel = 0; channel < 2; ++channel) {
      double wanted = 0;
      for (size_t i = 0; i < 65 * 64; ++i) {
        wanted += factors[channel * 65 * 64 + i];
      }
      EXPECT_NEAR(found[2].to_vector<double>()[channel], wanted, 1e-9) << to_string(device);
    }
  }
}

// Beyond 4,096 labels a kernel of its own counts them.
TEST_F(PastConstants, LabelsAround4096) {
  for (const int64_t count : {4095, 4096, 4097, 8193}) {
    SCOPED_TRACE(count);
    manual_seed(2);
    const Tensor logits = randn({count, 3}, float64);
    std::vector<int64_t> numbers(static_cast<size_t>(count));
    for (size_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = i % 5 == 4 ? -100 : static_cast<int64_t>(i % 3);
    }
    const Tensor labels = tensor(numbers, {count});
    std::vector<double> loss;
    std::vector<std::vector<double>> gradient;
    for (const Device device : devices) {
      const Tensor own = labels.to(device);
      gradient.push_back(gradients({logits.to(device)},
                                   [&](const std::vector<Operand>& in) {
                                     const Tensor result = cross_entropy(in[0], own);
                                     loss.push_back(result.item());
                                     return result;
                                   })[0]
                             .to_vector<double>());
    }
    EXPECT_NEAR(loss[1], loss[0], 1e-12);
    for (size_t i = 0; i < gradient[0].size(); ++i) {
      ASSERT_NEAR(gradient[1][i], gradient[0][i], 1e-15) << i;
    }
  }
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

// A window of 256 elements and "nowhere" are one too many for a byte.
TEST_F(PastConstants, PoolingWindowsAround256Elements) {
  for (const Pair kernel : {Pair(15, 17), Pair(16, 16), Pair(1, 257)}) {
    SCOPED_TRACE(kernel.to_string());
    const int64_t taps = kernel.height * kernel.width;
    const Shape shape{1, 2, kernel.height, kernel.width};
    std::vector<double> values(static_cast<size_t>(2 * taps));
    for (int64_t i = 0; i < taps; ++i) {
      values[static_cast<size_t>(i)] = static_cast<double>(i + 1);  // the last one is largest
      values[static_cast<size_t>(taps + i)] = static_cast<double>(-i - 1);  // none is above 0
    }
    for (const Device device : devices) {
      for (const bool with_relu : {false, true}) {
        const auto found = gradients({Tensor::from_vector(values, shape).to(device)},
                                     [&](const std::vector<Operand>& in) {
                                       const MaxPool2dOptions options{.kernel_size = kernel};
                                       return sum(with_relu ? relu_max_pool2d(in[0], options)
                                                            : max_pool2d(in[0], options));
                                     })[0]
                               .to_vector<double>();
        std::vector<double> wanted(static_cast<size_t>(2 * taps), 0.0);
        wanted[static_cast<size_t>(taps - 1)] = 1;
        wanted[static_cast<size_t>(taps)] = with_relu ? 0 : 1;
        EXPECT_EQ(found, wanted) << to_string(device) << (with_relu ? " with ReLU" : "");
      }
    }
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
