// Sums that are documented as float64 are: float32 elements of which large ones cancel, and long
// rows whose small terms single precision would lose, against double.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/primitives.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "kernels/vendor/gpu_libraries.h"
#include "kernels/vendor/onednn.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

using Floats = std::vector<float>;

// 0.3 everywhere, but for pairs of 1e8 and -1e8 far apart: next to 1e8 a float has steps of 8.
Floats cancelling(size_t count) {
  Floats values(count, 0.3f);
  for (size_t pair = 0; pair < 3; ++pair) {
    values[(7 * pair + 2) % count] = 1e8f;
    values[(count / 2 + 11 * pair + 5) % count] = -1e8f;
  }
  return values;
}

double sum_of(const Floats& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// Asserts that single precision would not do: not in order, nor in the order of 32 lanes.
void expect_hard(const Floats& values) {
  const float in_order = std::accumulate(values.begin(), values.end(), 0.0f);
  Floats lanes(32, 0.0f);
  for (size_t i = 0; i < values.size(); ++i) {
    lanes[i % 32] += values[i];
  }
  const float in_lanes = std::accumulate(lanes.begin(), lanes.end(), 0.0f);
  const double exact = sum_of(values);
  EXPECT_GT(std::abs(static_cast<double>(in_order) - exact), 1e-3 * exact);
  EXPECT_GT(std::abs(static_cast<double>(in_lanes) - exact), 1e-3 * exact);
}

Floats values_of(const Tensor& x) {
  return x.to(cpu).to_vector<float>();
}

void expect_all_near(const Tensor& got, double wanted, const char* what) {
  for (float value : values_of(got)) {
    ASSERT_NEAR(value, wanted, 1e-6 * std::abs(wanted)) << what;
  }
}

// While it lives, loops serve instead of oneDNN.
struct LoopsAlone {
  LoopsAlone() { set_onednn_used(false); }
  ~LoopsAlone() { set_onednn_used(onednn_is_built_in()); }
};

// While it lives, no GPU library serves.
class OurKernelsAlone {
 public:
  OurKernelsAlone() { set_gpu_libraries(GpuLibraries::Off); }
  ~OurKernelsAlone() { set_gpu_libraries(before_); }

 private:
  const GpuLibraries before_ = gpu_libraries();
};

constexpr int64_t lengths[] = {64, 1030, 9000};

TEST(Accumulation, SumsAndMeans) {
  for (Device device : available_devices()) {
    for (int64_t length : lengths) {
      const Floats values = cancelling(static_cast<size_t>(length));
      expect_hard(values);
      const double total = sum_of(values);
      const Tensor x = tensor(values, {length}, device);
      expect_all_near(sum(x), total, "one row");
      expect_all_near(mean(x), total / static_cast<double>(length), "mean");
      // Rows, and columns of packs and without.
      const Tensor rows = matmul(Tensor::ones({3, 1}, float32, device), x.view({1, length}));
      expect_all_near(sum(rows, {1}), total, "rows");
      for (int64_t columns : {3, 4}) {
        const Tensor across =
            matmul(x.view({length, 1}), Tensor::ones({1, columns}, float32, device));
        expect_all_near(sum(across, {0}), total, "columns");
      }
    }
  }
}

// What a broadcast operand gets is a sum.
TEST(Accumulation, GradientsOfBroadcastOperands) {
  for (Device device : available_devices()) {
    const Floats values = cancelling(1030);
    Tensor b = Tensor::zeros({1}, float32, device);
    Tape tape;
    tape.watch(b);
    const Tensor y = add(Tensor::zeros({1030}, float32, device), b);
    tape.backward(y, tensor(values, {1030}, device));
    expect_all_near(tape.gradient(b), sum_of(values), "gradient");
  }
}

TEST(Accumulation, AveragesOfWindows) {
  const Floats values = cancelling(64);
  for (Device device : available_devices()) {
    for (int64_t channels : {1, 4}) {
      Floats image;
      for (int64_t c = 0; c < channels; ++c) {
        image.insert(image.end(), values.begin(), values.end());
      }
      const Tensor x = tensor(image, {1, channels, 8, 8}, device);
      expect_all_near(avg_pool2d(x, {.kernel_size = 8}), sum_of(values) / 64, "window");
      expect_all_near(global_avg_pool2d(x), sum_of(values) / 64, "image");
    }
  }
}

// ---- softmax ----------------------------------------------------------------------------------

// Terms of the total that are less than half a step next to 1, behind one of 1 for every thread: a
// float would stay at 1, and the result would be 4e-6 too large.
TEST(Accumulation, TotalsOfSoftmax) {
  constexpr int64_t length = 65'536;
  Floats x(length, -16.65f);
  for (size_t i = 0; i < 4096; i += 4) {
    x[i] = 0;
  }
  double total = 0;
  for (float value : x) {
    total += std::exp(static_cast<double>(value));
  }
  for (Device device : available_devices()) {
    SCOPED_TRACE(to_string(device));
    const Tensor row = tensor(x, {1, length}, device);
    EXPECT_NEAR(values_of(softmax(row, 1))[0] * total, 1, 5e-7);
    EXPECT_NEAR(values_of(log_softmax(row, 1))[0], -std::log(total), 5e-7 * std::log(total));
    EXPECT_NEAR(values_of(softmax(row.view({length, 1}), 0))[0] * total, 1, 5e-7);
  }
}

// dx = dy - exp(y) times the sum of dy, and y times (dy - the sum of dy times y).
TEST(Accumulation, SumsOfSoftmaxsGradient) {
  for (Device device : available_devices()) {
    for (int64_t length : lengths) {
      for (int64_t columns : {1, 3, 4}) {
        SCOPED_TRACE(fmt::format("{} {} {}", to_string(device), length, columns));
        const Floats column = cancelling(static_cast<size_t>(length));
        Floats dy;
        for (float value : column) {
          dy.insert(dy.end(), static_cast<size_t>(columns), value);
        }
        const double average = sum_of(column) / static_cast<double>(length);
        for (bool of_log : {false, true}) {
          Tensor x = Tensor::zeros({length, columns}, float32, device);
          Tape tape;
          tape.watch(x);
          const Tensor y = of_log ? log_softmax(x, 0) : softmax(x, 0);
          tape.backward(y, tensor(dy, {length, columns}, device));
          const double scale = of_log ? 1 : 1 / static_cast<double>(length);
          const Floats dx = values_of(tape.gradient(x));
          for (size_t i = 0; i < dx.size(); ++i) {
            if (dy[i] == 0.3f) {
              ASSERT_NEAR(dx[i], scale * (static_cast<double>(0.3f) - average), 1e-5 * scale) << i;
            }
          }
        }
      }
    }
  }
}

// ---- the CPU's loops for products ------------------------------------------------------------

struct Gradients {
  Tensor y;
  std::vector<Tensor> of;
};

Gradients gradients_of(const std::function<Tensor(const std::vector<Operand>&)>& run,
                       std::vector<Tensor> inputs, const Tensor& dy) {
  Tape tape;
  for (Tensor& input : inputs) {
    tape.watch(input);
  }
  Gradients result;
  result.y = run({inputs.begin(), inputs.end()});
  if (dy.defined()) {
    tape.backward(result.y, dy);
    for (const Tensor& input : inputs) {
      result.of.push_back(tape.gradient(input));
    }
  }
  return result;
}

TEST(Accumulation, ConvolutionsInLoops) {
  const LoopsAlone loops;
  const Floats values = cancelling(64);
  const double total = sum_of(values);
  const auto run = [](const std::vector<Operand>& in) { return conv2d(in[0], in[1], in[2]); };
  const Tensor bias = Tensor::zeros({1});
  // Over input channels: y.
  expect_all_near(
      gradients_of(run, {tensor(values, {1, 64, 1, 1}), Tensor::ones({1, 64, 1, 1}), bias}, {}).y,
      total, "y");
  // Over output channels: dx.
  const Tensor over_outputs =
      gradients_of(run,
                   {Tensor::ones({1, 1, 1, 1}), Tensor::ones({64, 1, 1, 1}), Tensor::zeros({64})},
                   tensor(values, {1, 64, 1, 1}))
          .of[0];
  expect_all_near(over_outputs, total, "dx");
  // Over pixels, of one image and of several: dweight and dbias.
  for (const Shape& shape : {Shape{1, 1, 8, 8}, Shape{16, 1, 2, 2}}) {
    const Gradients over_pixels = gradients_of(
        run, {Tensor::ones(shape), Tensor::ones({1, 1, 1, 1}), bias}, tensor(values, shape));
    expect_all_near(over_pixels.of[1], total, "dweight");
    expect_all_near(over_pixels.of[2], total, "dbias");
  }
}

// Of our kernels: cuBLASLt adds in float32.
TEST(Accumulation, BiasGradientsOnEveryDevice) {
  const OurKernelsAlone ours;
  const Floats values = cancelling(1030);
  for (Device device : available_devices()) {
    const auto ones = [&](const Shape& shape) { return Tensor::ones(shape, float32, device); };
    const Tensor dy = tensor(values, {1030, 1}, device);
    const Gradients of_linear =
        gradients_of([](const std::vector<Operand>& in) { return linear(in[0], in[1], in[2]); },
                     {ones({1030, 2}), ones({1, 2}), ones({1})}, dy);
    expect_all_near(of_linear.of[2], sum_of(values), "linear");
    const Gradients of_conv = gradients_of(
        [](const std::vector<Operand>& in) { return conv2d(in[0], in[1], in[2]); },
        {ones({1030, 1, 1, 1}), ones({1, 1, 1, 1}), ones({1})}, dy.view({1030, 1, 1, 1}));
    expect_all_near(of_conv.of[2], sum_of(values), "conv2d");
  }
}

TEST(Accumulation, MatrixProductsInLoops) {
  const LoopsAlone loops;
  const Floats values = cancelling(64);
  const double total = sum_of(values);
  for (bool transposed : {false, true}) {
    const auto run = [=](const std::vector<Operand>& in) {
      return matmul(in[0], in[1], {.transpose_a = transposed, .transpose_b = transposed});
    };
    const auto shape = [&](int64_t rows, int64_t columns) {
      return transposed ? Shape{columns, rows} : Shape{rows, columns};
    };
    expect_all_near(
        gradients_of(run, {tensor(values, shape(1, 64)), Tensor::ones(shape(64, 3))}, {}).y, total,
        "y");
    const Gradients over_columns = gradients_of(
        run, {Tensor::ones(shape(1, 1)), Tensor::ones(shape(1, 64))}, tensor(values, {1, 64}));
    expect_all_near(over_columns.of[0], total, "da");
    const Gradients over_rows = gradients_of(
        run, {Tensor::ones(shape(64, 1)), Tensor::ones(shape(1, 1))}, tensor(values, {64, 1}));
    expect_all_near(over_rows.of[1], total, "db");
  }
}

// ---- weight norm ------------------------------------------------------------------------------

// Rows staged, of a warp, of a block and of several, and rows that do not begin aligned.
TEST(Accumulation, NormsOfWeights) {
  for (Device device : available_devices()) {
    for (int64_t length : {27, 64, 577, 9000, 20'001}) {
      for (bool off : {false, true}) {
        SCOPED_TRACE(fmt::format("{} {} {}", to_string(device), length, off));
        // Squares that single precision rounds, each by itself.
        Floats v(static_cast<size_t>(length) + 1);
        double square = 0;
        for (size_t i = 1; i < v.size(); ++i) {
          v[i] = 1 + static_cast<float>(i % 7) * 0.1f;
          square += static_cast<double>(v[i]) * static_cast<double>(v[i]);
        }
        Tensor row = tensor(v, {length + 1}, device).slice(1, length + 1).view({1, length});
        row = off ? row : row.clone();
        WeightNormCache cache;
        weight_norm(row, Tensor::ones({1, 1}, float32, device), cache);
        const double inverse = cache.inv_norm.to(cpu).to_vector<double>()[0];
        EXPECT_NEAR(inverse * std::sqrt(square), 1, 1e-12);
      }
    }
  }
}

// What splits the weight of a checkpoint: the row's first element leaves single precision no room
// for the squares of the others.
TEST(Accumulation, NormsThatSplitACheckpoint) {
  constexpr size_t length = 65'536;
  Floats v(length, 2.4e-4f);
  std::fill_n(v.begin(), 4, 1.0f);
  double square = 0;
  for (float value : v) {
    square += static_cast<double>(value) * static_cast<double>(value);
  }
  for (Device device : available_devices()) {
    const Tensor norm = norm_except_dim(tensor(v, {1, length}, device));
    EXPECT_NEAR(values_of(norm)[0] / std::sqrt(square), 1, 6.1e-8) << to_string(device);
  }
}

TEST(Accumulation, GradientsOfWeightNorm) {
  for (Device device : available_devices()) {
    for (int64_t length : {64, 141, 577, 9000, 20'001}) {
      SCOPED_TRACE(fmt::format("{} {}", to_string(device), length));
      const Floats dw = cancelling(static_cast<size_t>(length));
      Tensor v = Tensor::ones({1, length}, float32, device);
      Tensor g = Tensor::ones({1, 1}, float32, device);
      Tape tape;
      tape.watch(v);
      tape.watch(g);
      tape.backward(weight_norm(v, g), tensor(dw, {1, length}, device));
      const double norm = std::sqrt(static_cast<double>(length));
      expect_all_near(tape.gradient(g), sum_of(dw) / norm, "dg");
      const Floats dv = values_of(tape.gradient(v));
      const double wanted =
          (static_cast<double>(0.3f) - sum_of(dw) / static_cast<double>(length)) / norm;
      for (size_t i = 0; i < dv.size(); ++i) {
        if (dw[i] == 0.3f) {
          ASSERT_NEAR(dv[i], wanted, 1e-5 / norm) << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace warptape
