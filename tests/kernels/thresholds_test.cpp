// Sizes just past the constants at which ops change their way: blocks, chunks, packs, layouts,
// index types. And sizes of 0.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/check.h"
#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "kernels/vendor/onednn.h"
#include "tests/kernels/case_run.h"
#include "tests/kernels/devices.h"
#include "tests/kernels/perceptron.h"
#include "tests/support/allocations.h"

namespace warptape {
namespace {

using Values = std::vector<double>;

Values values_of(const Tensor& x) {
  return primitives::cast(x.to(cpu), float64).to_vector<double>();
}

// Whole numbers from -8 to 8 without a pattern: sums of them are exact in single precision.
std::vector<float> whole_numbers(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>((i * 2654435761u >> 13) % 17) - 8;
  }
  return values;
}

// Sanitizers watch how kernels run: some of the sizes are enough for them.
template <class T>
std::vector<T> sampled(const std::vector<T>& all) {
  std::vector<T> some;
  for (size_t i = 0; i < all.size(); i += is_sanitized() ? 4 : 1) {
    some.push_back(all[i]);
  }
  return some;
}

// ---- reductions -------------------------------------------------------------------------------

// Sum, max and argmax along dimension `dim` of a matrix.
void check_reductions(int64_t rows, int64_t columns, int dim, Device device) {
  SCOPED_TRACE(fmt::format("({}, {}) along {} on {}", rows, columns, dim, to_string(device)));
  const std::vector<float> x = whole_numbers(rows * columns);
  const int64_t results = dim == 0 ? columns : rows;
  const int64_t length = dim == 0 ? rows : columns;
  Values sums;
  Values largest;
  std::vector<int64_t> where;
  for (int64_t r = 0; r < results; ++r) {
    double sum = 0;
    int64_t best = 0;
    const auto at = [&](int64_t i) {
      return x[static_cast<size_t>(dim == 0 ? i * columns + r : r * columns + i)];
    };
    for (int64_t i = 0; i < length; ++i) {
      sum += at(i);
      best = at(i) > at(best) ? i : best;
    }
    sums.push_back(sum);
    largest.push_back(at(best));
    where.push_back(best);
  }
  const Tensor in = tensor(x, {rows, columns}, device);
  EXPECT_EQ(values_of(sum(in, {dim})), sums);
  EXPECT_EQ(values_of(max(in, {dim})), largest);
  EXPECT_EQ(argmax(in, dim).to_vector<int64_t>(), where);
}

TEST(Thresholds, ReductionsOfRows) {
  for (Device device : available_devices()) {
    // Packs of 4 around 32, 64, 128 and 1024 of them, and chunks of 2048.
    for (int64_t length :
         sampled<int64_t>({1,   3,   127,  128,  129,  131,  132,  256,  259,  260,
                           512, 516, 1027, 4096, 4099, 4100, 8191, 8192, 8193, 8196})) {
      check_reductions(3, length, 1, device);
    }
    for (int64_t length : sampled<int64_t>({16'381, 16'384, 16'385, 16'388, 24'579})) {
      check_reductions(1, length, 1, device);
    }
    // So many rows that each is a block's, or a part of one's.
    for (int64_t rows : sampled<int64_t>({255, 257, 1023, 1025})) {
      check_reductions(rows, 5, 1, device);
      check_reductions(rows, 8, 1, device);
    }
  }
}

TEST(Thresholds, ReductionsOfColumns) {
  for (Device device : available_devices()) {
    for (int64_t columns : sampled<int64_t>({2, 3, 4, 63, 64, 65, 252, 256, 260, 1028})) {
      check_reductions(7, columns, 0, device);
    }
    // Chunks of at least 128 rows.
    for (int64_t rows : sampled<int64_t>({127, 128, 129, 255, 256, 257, 385, 2049})) {
      check_reductions(rows, 5, 0, device);
      check_reductions(rows, 8, 0, device);
    }
  }
}

// Sums over the second and the last dimension of (outer, length, inner, depth). Two dimensions are
// kept, and what chunks leave behind is added up in their order.
void check_middle(int64_t outer, int64_t length, int64_t inner, int64_t depth, Device device) {
  SCOPED_TRACE(
      fmt::format("({}, {}, {}, {}) on {}", outer, length, inner, depth, to_string(device)));
  const std::vector<float> x = whole_numbers(outer * length * inner * depth);
  Values wanted(static_cast<size_t>(outer * inner), 0.0);
  for (int64_t i = 0; i < static_cast<int64_t>(x.size()); ++i) {
    const int64_t o = i / (length * inner * depth);
    wanted[static_cast<size_t>(o * inner + i / depth % inner)] += x[static_cast<size_t>(i)];
  }
  const Tensor in = tensor(x, {outer, length, inner, depth}, device);
  EXPECT_EQ(values_of(sum(in, {1, 3})), wanted);
}

TEST(Thresholds, ReductionsOfMiddleDimensions) {
  for (Device device : available_devices()) {
    check_middle(3, 2100, 5, 1, device);
    check_middle(2, 1100, 8, 1, device);
    check_middle(3, 5, 2, 8200, device);
    check_middle(2, 3, 3, 4099, device);
  }
}

// ---- softmax along rows and columns -----------------------------------------------------------

TEST(Thresholds, Softmax) {
  Generator generator(8);
  for (Device device : available_devices()) {
    for (const Shape& shape : sampled<Shape>(
             {Shape{3, 63}, Shape{3, 65}, Shape{3, 129}, Shape{3, 132}, Shape{2, 383},
              Shape{2, 384}, Shape{2, 385}, Shape{2, 388}, Shape{1, 1025}, Shape{1, 8192},
              Shape{1, 8193}, Shape{65, 5}, Shape{257, 4}, Shape{33, 65}, Shape{2, 260}})) {
      for (int dim : {0, 1}) {
        SCOPED_TRACE(fmt::format("{} along {} on {}", shape, dim, to_string(device)));
        const Tensor values = randn(shape, float32, generator);
        const Tensor weights = randn(shape, float32, generator);
        const auto run = [&](Tensor x, const Tensor& dy) {
          Tape tape;
          tape.watch(x);
          const Tensor y = softmax(x, dim);
          tape.backward(y, dy);
          return std::pair{values_of(y), values_of(tape.gradient(x))};
        };
        const auto [y, dx] = run(values.to(device), weights.to(device));
        const auto [wide_y, wide_dx] =
            run(primitives::cast(values, float64), primitives::cast(weights, float64));
        for (size_t i = 0; i < y.size(); ++i) {
          ASSERT_NEAR(y[i], wide_y[i], 1e-6) << i;
          ASSERT_NEAR(dx[i], wide_dx[i], 2e-6) << i;
        }
      }
    }
  }
}

// ---- convolutions -----------------------------------------------------------------------------

// Gradients of filters and bias of a 1 x 1 convolution, exact sums over the pixels.
void check_sums_over_pixels(const Shape& x_shape, int64_t groups, Device device) {
  SCOPED_TRACE(fmt::format("{} in {} groups on {}", x_shape, groups, to_string(device)));
  const int64_t channels = x_shape[1];
  const int64_t pixels = x_shape[2] * x_shape[3];
  const std::vector<float> x = whole_numbers(x_shape.numel());
  std::vector<float> dy = whole_numbers(x_shape.numel() + 5);
  dy.erase(dy.begin(), dy.begin() + 5);
  Tape tape;
  Tensor weight = Tensor::ones({channels, channels / groups, 1, 1}, float32, device);
  Tensor bias = Tensor::ones({channels}, float32, device);
  tape.watch(weight);
  tape.watch(bias);
  const Tensor y = conv2d(tensor(x, x_shape, device), weight, bias, {.groups = groups});
  tape.backward(y, tensor(dy, x_shape, device));
  Values of_weight;
  Values of_bias;
  for (int64_t o = 0; o < channels; ++o) {
    const auto sum = [&](const auto& term) {
      double total = 0;
      for (int64_t n = 0; n < x_shape[0]; ++n) {
        for (int64_t p = 0; p < pixels; ++p) {
          total += term(n, p);
        }
      }
      return total;
    };
    const auto at = [&](int64_t n, int64_t c, int64_t p) {
      return static_cast<size_t>((n * channels + c) * pixels + p);
    };
    of_bias.push_back(sum([&](int64_t n, int64_t p) { return dy[at(n, o, p)]; }));
    const int64_t in = channels / groups;
    for (int64_t c = 0; c < in; ++c) {
      of_weight.push_back(sum(
          [&](int64_t n, int64_t p) { return dy[at(n, o, p)] * x[at(n, o / in * in + c, p)]; }));
    }
  }
  EXPECT_EQ(values_of(tape.gradient(bias)), of_bias);
  EXPECT_EQ(values_of(tape.gradient(weight)), of_weight);
}

TEST(Thresholds, PixelsOfAConvolution) {
  for (Device device : available_devices()) {
    for (bool onednn : {false, true}) {
      if (onednn && (device != cpu || !onednn_is_built_in())) {
        continue;
      }
      const bool before = onednn_is_used();
      set_onednn_used(onednn);
      for (const Shape& shape :
           {Shape{1, 2, 64, 64}, Shape{1, 2, 17, 241}, Shape{3, 1, 37, 37}, Shape{2, 4, 1, 4100}}) {
        check_sums_over_pixels(shape, 1, device);
      }
      // Depthwise: chunks of 1024 pixels, with packs of channels and without.
      for (const Shape& shape :
           {Shape{1, 4, 32, 32}, Shape{1, 3, 25, 41}, Shape{1, 4, 5, 205}, Shape{2, 8, 32, 33}}) {
        check_sums_over_pixels(shape, shape[1], device);
      }
      set_onednn_used(before);
    }
  }
}

// ---- pooling ----------------------------------------------------------------------------------

// One window over the whole image, of so many elements that a byte holds their numbers or does not
// any more; all negative, but for the largest one's neighbour of 0 if `alive`.
void check_window(int64_t height, int64_t width, int64_t largest, double value, Device device) {
  SCOPED_TRACE(
      fmt::format("{} x {} with {} at {} on {}", height, width, value, largest, to_string(device)));
  for (int64_t channels : {1, 4}) {
    Values image(static_cast<size_t>(channels * height * width), -5);
    Values winner(image.size(), 0.0);
    for (int64_t c = 0; c < channels; ++c) {
      const auto at = static_cast<size_t>(c * height * width + largest);
      image[at] = value;
      winner[at] = 1;
    }
    for (bool with_relu : {false, true}) {
      Tensor x = tensor(image, {1, channels, height, width}, device);
      Tape tape;
      tape.watch(x);
      const MaxPool2dOptions options{.kernel_size = {height, width}};
      const Tensor y = with_relu ? relu_max_pool2d(x, options) : max_pool2d(x, options);
      const bool alive = !with_relu || value > 0;
      EXPECT_EQ(values_of(y), Values(static_cast<size_t>(channels), alive ? value : 0.0));
      tape.backward(y, Tensor::ones({1, channels, 1, 1}, float64, device));
      EXPECT_EQ(values_of(tape.gradient(x)), alive ? winner : Values(winner.size(), 0.0))
          << (with_relu ? "with ReLU" : "");
    }
  }
}

TEST(Thresholds, ElementsOfAPoolingWindow) {
  for (Device device : available_devices()) {
    for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{
             {2, 127}, {15, 17}, {16, 16}, {1, 257}, {23, 23}}) {
      const int64_t count = height * width;
      for (int64_t largest : {int64_t{0}, int64_t{1}, count / 2, count - 1}) {
        check_window(height, width, largest, 3, device);
        check_window(height, width, largest, -1, device);
      }
    }
  }
}

// ---- nothing ----------------------------------------------------------------------------------

struct Empty {
  std::string name;
  std::vector<Shape> inputs;
  std::function<Tensor(const std::vector<Operand>&)> run;
  Shape y;
  double value;  // of every element of y, if there are any
};

std::vector<Empty> empty_cases() {
  using In = std::vector<Operand>;
  const auto along = [](auto op, std::vector<int> dims) {
    return [=](const In& in) { return op(in[0], dims, false); };
  };
  const auto sums = [](const Operand& x, const std::vector<int>& dims, bool keep) {
    return sum(x, dims, keep);
  };
  const auto means = [](const Operand& x, const std::vector<int>& dims, bool keep) {
    return mean(x, dims, keep);
  };
  const auto largest = [](const Operand& x, const std::vector<int>& dims, bool keep) {
    return max(x, dims, keep);
  };
  const auto product = [](const In& in) { return matmul(in[0], in[1]); };
  const auto affine = [](const In& in) { return linear(in[0], in[1], in[2]); };
  const double nan = std::nan("");
  return {
      {"sum of no rows", {{0, 3}}, along(sums, {0}), {3}, 0},
      {"sum of empty rows", {{3, 0}}, along(sums, {1}), {3}, 0},
      {"sum of nothing", {{0}}, along(sums, {}), {}, 0},
      {"sum in the middle", {{2, 0, 5}}, along(sums, {1}), {2, 5}, 0},
      {"sum of packs of no rows", {{0, 8}}, along(sums, {0}), {8}, 0},
      {"sums of no rows along 1", {{0, 3}}, along(sums, {1}), {0}, 0},
      {"mean of no rows", {{0, 3}}, along(means, {0}), {3}, nan},
      {"mean of nothing", {{0}}, along(means, {}), {}, nan},
      {"max of no rows along 1", {{0, 3}}, along(largest, {1}), {0}, 0},
      {"softmax of no rows", {{0, 5}}, [](const In& in) { return softmax(in[0], 1); }, {0, 5}, 0},
      {"softmax of empty rows",
       {{5, 0}},
       [](const In& in) { return softmax(in[0], 1); },
       {5, 0},
       0},
      {"log_softmax along 0",
       {{0, 5}},
       [](const In& in) { return log_softmax(in[0], 0); },
       {0, 5},
       0},
      {"relu", {{0, 3}}, [](const In& in) { return relu(in[0]); }, {0, 3}, 0},
      {"mul broadcast", {{0, 3}, {3}}, [](const In& in) { return mul(in[0], in[1]); }, {0, 3}, 0},
      {"transpose", {{0, 3}}, [](const In& in) { return transpose(in[0], 0, 1); }, {3, 0}, 0},
      {"permute",
       {{2, 0, 3}},
       [](const In& in) {
         return permute(in[0], {2, 0, 1});
       },
       {3, 2, 0},
       0},
      {"slice", {{3, 0}}, [](const In& in) { return slice(in[0], 0, 0, 3, 2); }, {2, 0}, 0},
      {"slice to nothing", {{3, 4}}, [](const In& in) { return slice(in[0], 1, 2, 2); }, {3, 0}, 0},
      {"leading slice to nothing", {{3}}, [](const In& in) { return slice(in[0], 0, 3); }, {0}, 0},
      {"concat", {{0, 3}, {0, 3}}, [](const In& in) { return concat(in, 0); }, {0, 3}, 0},
      {"stack", {{0, 3}, {0, 3}}, [](const In& in) { return stack(in, 1); }, {0, 2, 3}, 0},
      {"pad of nothing",
       {{0, 3}},
       [](const In& in) {
         return pad(in[0], {1, 1});
       },
       {0, 5},
       0},
      {"pad to nothing",
       {{2, 3}},
       [](const In& in) {
         return pad(in[0], {-2, -1});
       },
       {2, 0},
       0},
      {"gather",
       {{2, 3}},
       [](const In& in) {
         return gather(in[0], 1, Tensor::zeros({2, 0}, int64, in[0].device()));
       },
       {2, 0},
       0},
      {"where",
       {{0, 3}, {3}},
       [](const In& in) { return where(Tensor::zeros({3}, uint8, in[0].device()), in[0], in[1]); },
       {0, 3},
       0},
      {"product without depth", {{2, 0}, {0, 3}}, product, {2, 3}, 0},
      {"product of no rows", {{0, 4}, {4, 3}}, product, {0, 3}, 0},
      {"product of no columns", {{2, 4}, {4, 0}}, product, {2, 0}, 0},
      {"product of no batches", {{0, 2, 4}, {4, 3}}, product, {0, 2, 3}, 0},
      {"linear of no rows", {{0, 4}, {3, 4}, {3}}, affine, {0, 3}, 0},
      {"linear of no features", {{2, 0}, {3, 0}, {3}}, affine, {2, 3}, 1},
      {"perceptron of no rows",
       {{0, 4}, {3, 4}, {3}, {2, 3}, {2}},
       [](const In& in) { return perceptron(in[0], in[1], in[2], in[3], in[4]); },
       {0, 2},
       0},
      {"conv2d of no images",
       {{0, 2, 3, 3}, {4, 2, 2, 2}, {4}},
       [](const In& in) { return conv2d(in[0], in[1], in[2]); },
       {0, 4, 2, 2},
       0},
      {"depthwise of no images",
       {{0, 4, 3, 3}, {4, 1, 2, 2}, {4}},
       [](const In& in) { return conv2d(in[0], in[1], in[2], {.groups = 4}); },
       {0, 4, 2, 2},
       0},
      {"max_pool2d",
       {{0, 4, 2, 2}},
       [](const In& in) { return max_pool2d(in[0], {}); },
       {0, 4, 1, 1},
       0},
      {"avg_pool2d",
       {{0, 4, 2, 2}},
       [](const In& in) { return avg_pool2d(in[0], {}); },
       {0, 4, 1, 1},
       0},
      {"weight_norm of no rows",
       {{0, 3}, {0, 1}},
       [](const In& in) { return weight_norm(in[0], in[1]); },
       {0, 3},
       0},
      {"weight_norm of empty rows",
       {{3, 0}, {3, 1}},
       [](const In& in) { return weight_norm(in[0], in[1]); },
       {3, 0},
       0},
      {"mse_loss sum",
       {{0, 3}, {0, 3}},
       [](const In& in) { return mse_loss(in[0], in[1], Reduction::Sum); },
       {},
       0},
      {"mse_loss mean",
       {{0, 3}, {0, 3}},
       [](const In& in) { return mse_loss(in[0], in[1]); },
       {},
       nan},
  };
}

// Inputs are ones, and buffers hold NaN until they are written. What an input that has elements
// gets as its gradient is a sum of nothing: zeros, or ones, where y is a sum with it.
TEST(Thresholds, NothingAtAll) {
  for (Device device : available_devices()) {
    for (const Empty& empty : empty_cases()) {
      SCOPED_TRACE(empty.name + " on " + to_string(device));
      const PoisonedAllocations poisoned;
      std::vector<Parameter> parameters;
      for (const Shape& shape : empty.inputs) {
        parameters.emplace_back(Tensor::ones(shape, float32, device));
      }
      const std::vector<Operand> operands(parameters.begin(), parameters.end());
      Tape tape;
      const Tensor y = empty.run(operands);
      EXPECT_EQ(y.shape().to_string(), empty.y.to_string());
      for (double value : values_of(y)) {
        EXPECT_TRUE(std::isnan(empty.value) ? std::isnan(value) : value == empty.value) << value;
      }
      tape.backward(y, Tensor::ones(y.shape(), float32, device));
      for (const Parameter& parameter : parameters) {
        if (y.numel() == 0) {
          for (double value : values_of(parameter.grad())) {
            EXPECT_EQ(value, 0);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace warptape
