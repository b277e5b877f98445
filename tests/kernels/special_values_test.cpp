// NaN, infinities, ties, denormals and values whose exponentials overflow: what PyTorch gives for
// them, forward and backward, in both dtypes and on every device.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "core/primitives.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "tests/kernels/devices.h"
#include "tests/kernels/perceptron.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

using Values = std::vector<double>;

struct Special {
  std::string name;
  Shape shape;
  Values x;
  std::function<Tensor(const Operand&)> run;
  Values y;
  Values dx;  // of the sum of y's elements times 1, 2, 3, ...
};

testing::AssertionResult are_equal(const Values& got, const Values& wanted, double bound) {
  if (got.size() != wanted.size()) {
    return testing::AssertionFailure() << got.size() << " elements, wanted " << wanted.size();
  }
  for (size_t i = 0; i < got.size(); ++i) {
    const bool equal = std::isnan(wanted[i])   ? std::isnan(got[i])
                       : std::isinf(wanted[i]) ? got[i] == wanted[i]
                                               : std::abs(got[i] - wanted[i]) <=
                                                     bound * std::max(1.0, std::abs(wanted[i]));
    if (!equal) {
      return testing::AssertionFailure()
             << "element " << i << ": got " << got[i] << ", wanted " << wanted[i];
    }
  }
  return testing::AssertionSuccess();
}

Values values_of(const Tensor& x) {
  return primitives::cast(x.to(cpu), float64).to_vector<double>();
}

void check_special(const Special& special, DType dtype, Device device, MemoryFormat format) {
  SCOPED_TRACE(fmt::format("{} in {} on {}, {}", special.name, to_string(dtype), to_string(device),
                           to_string(format)));
  const double bound = dtype == float32 ? 2e-6 : 1e-12;  // values reach 1e4
  const Tensor values = primitives::cast(tensor(special.x, special.shape), dtype);
  Tensor x = primitives::relayout(values, format).to(device);
  Tape tape;
  tape.watch(x);
  const Tensor y = special.run(x);
  EXPECT_TRUE(are_equal(values_of(y), special.y, bound)) << "y";
  if (special.dx.empty()) {
    return;
  }
  Values weights(static_cast<size_t>(y.numel()));
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = static_cast<double>(i + 1);
  }
  tape.backward(y, primitives::cast(tensor(weights, y.shape()), dtype).to(device));
  EXPECT_TRUE(are_equal(values_of(tape.gradient(x)), special.dx, bound)) << "dx";
}

void check_all(const std::vector<Special>& specials) {
  for (const Special& special : specials) {
    for (Device device : available_devices()) {
      for (DType dtype : {float32, float64}) {
        check_special(special, dtype, device, MemoryFormat::RowMajor);
        if (special.shape.rank() > 2) {
          check_special(special, dtype, device, MemoryFormat::ChannelsLast);
        }
      }
    }
  }
}

TEST(SpecialValues, ElementByElement) {
  const auto relu_of = [](const Operand& x) { return relu(x); };
  const auto twice = [](const Operand& x) { return add(x, x); };
  const auto inverse = [](const Operand& x) {
    return div(Tensor::ones({}, x.dtype(), x.device()), x);
  };
  check_all({
      // torch: y = clamp_min(x, 0); dx is 0 where y <= 0, which a NaN is not.
      {"relu",
       {7},
       {nan, inf, -inf, -0.0, 0, 1e-40, -1e-40},
       relu_of,
       {nan, inf, 0, 0, 0, 1e-40, 0},
       {1, 2, 0, 0, 0, 6, 0}},
      {"exp",
       {5},
       {nan, inf, -inf, 1e4, -1e4},
       [](const Operand& x) { return exp(x); },
       {nan, inf, 0, inf, 0},
       {nan, inf, 0, inf, 0}},
      {"log",
       {4},
       {nan, inf, 0, -1},
       [](const Operand& x) { return log(x); },
       {nan, inf, -inf, nan},
       {nan, 0, inf, -4}},
      {"add", {3}, {nan, inf, -inf}, twice, {nan, inf, -inf}, {2, 4, 6}},
      {"one over", {3}, {0.0, inf, nan}, inverse, {inf, 0, nan}, {-inf, 0, nan}},
      {"mul", {2}, {inf, nan}, [](const Operand& x) { return mul(x, x); }, {inf, nan}, {inf, nan}},
  });
}

// Numbers below the smallest normal one are numbers.
TEST(SpecialValues, DenormalsAreNotFlushed) {
  for (Device device : available_devices()) {
    const Tensor tiny = tensor<float>({1e-40f, -3e-42f, 1e-45f}, {3}, device);
    const std::vector<float> values = tiny.to_vector<float>();
    EXPECT_EQ(relu(tiny).to_vector<float>(), (std::vector<float>{values[0], 0, values[2]}));
    EXPECT_EQ(add(tiny, tiny).to_vector<float>(),
              (std::vector<float>{2 * values[0], 2 * values[1], 2 * values[2]}));
    EXPECT_EQ(max(tiny, {0}).to_vector<float>()[0], values[0]);
    EXPECT_EQ(argmax(tiny, 0).to_vector<int64_t>()[0], 0);
    EXPECT_EQ(sum(tiny.slice(0, 1), {0}).to_vector<float>()[0], values[0]);
    const Tensor one = Tensor::ones({1, 1}, float32, device);
    EXPECT_EQ(matmul(tiny.slice(0, 1).view({1, 1}), one).to_vector<float>()[0], values[0]);
  }
}

TEST(SpecialValues, Reductions) {
  const auto rows = [](auto op) { return [op](const Operand& x) { return op(x, 1); }; };
  const auto largest = rows([](const Operand& x, int dim) { return max(x, {dim}); });
  const auto where = rows([](const Operand& x, int dim) { return argmax(x, dim); });
  const auto total = rows([](const Operand& x, int dim) { return sum(x, {dim}); });
  const auto average = rows([](const Operand& x, int dim) { return mean(x, {dim}); });
  const Shape shape{5, 4};
  // A NaN, ties, an infinity, nothing but -infinity, both infinities.
  const Values x = {1,   nan, 7,    2,    3,    3,    1,   3,    -1, inf,
                    inf, 0,   -inf, -inf, -inf, -inf, inf, -inf, 0,  1};
  check_all({
      // Ties share the gradient, as those of torch.amax do.
      {"max", shape, x, largest, {nan, 3, inf, -inf, inf}, {0,      1, 0,   0,   2. / 3, 2. / 3, 0,
                                                            2. / 3, 0, 1.5, 1.5, 0,      1,      1,
                                                            1,      1, 5,   0,   0,      0}},
      // The first of equal ones; a NaN is larger than all.
      {"argmax", shape, x, where, {1, 0, 1, 0, 0}, {}},
      {"sum", shape, x, total, {nan, 10, inf, -inf, nan}, {1, 1, 1, 1, 2, 2, 2, 2, 3, 3,
                                                           3, 3, 4, 4, 4, 4, 5, 5, 5, 5}},
      {"mean", shape, x, average, {nan, 2.5, inf, -inf, nan}, {}},
  });
  // Rows and columns that a warp, a block and several launches share, with a NaN at their end.
  for (Device device : available_devices()) {
    for (int64_t length : {5, 33, 132, 1030, 20'000}) {
      for (bool columns : {false, true}) {
        SCOPED_TRACE(fmt::format("{} {} {}", to_string(device), length, columns));
        Values values(static_cast<size_t>(2 * length), 1.0);
        const auto at = [&](int64_t row, int64_t i) -> double& {
          return values[static_cast<size_t>(columns ? 2 * i + row : row * length + i)];
        };
        at(0, length - 2) = nan;
        at(0, length - 1) = nan;
        at(1, length / 2) = 2;
        at(1, length - 1) = 2;
        const Tensor in =
            primitives::cast(tensor(values, columns ? Shape{length, 2} : Shape{2, length}), float32)
                .to(device);
        const int dim = columns ? 0 : 1;
        EXPECT_TRUE(are_equal(values_of(max(in, {dim})), {nan, 2}, 0));
        EXPECT_EQ(argmax(in, dim).to_vector<int64_t>(),
                  (std::vector<int64_t>{length - 2, length / 2}));
      }
    }
  }
}

TEST(SpecialValues, Pooling) {
  const Shape shape{1, 4, 2, 4};  // windows of 2 x 2, in packs of channels on "cuda"
  const Values image = {nan, 1, -inf, -inf, 2, 3, -inf, -inf};
  const Values ties = {3, 3, -1, -0.0, 3, 3, -2, 0};
  Values x = image;
  x.insert(x.end(), ties.begin(), ties.end());
  x.insert(x.end(), image.begin(), image.end());
  x.insert(x.end(), ties.begin(), ties.end());
  const auto twice = [](Values first, const Values& second, double step) {
    first.insert(first.end(), second.begin(), second.end());
    Values result = first;
    for (double value : first) {
      result.push_back(value == 0 || std::isnan(value) || std::isinf(value) ? value : value + step);
    }
    return result;
  };
  check_all({
      // A NaN, of equal ones the first; a window of -infinities gives to its first element.
      {"max_pool2d",
       shape,
       x,
       [](const Operand& in) { return max_pool2d(in, {}); },
       {nan, -inf, 3, 0, nan, -inf, 3, 0},
       twice({1, 0, 2, 0, 0, 0, 0, 0}, {3, 0, 0, 4, 0, 0, 0, 0}, 4)},
      {"relu_max_pool2d",
       shape,
       x,
       [](const Operand& in) { return relu_max_pool2d(in, {}); },
       {nan, 0, 3, 0, nan, 0, 3, 0},
       twice({1, 0, 0, 0, 0, 0, 0, 0}, {3, 0, 0, 0, 0, 0, 0, 0}, 4)},
      {"avg_pool2d",
       shape,
       x,
       [](const Operand& in) { return avg_pool2d(in, {}); },
       {nan, -inf, 3, -0.75, nan, -inf, 3, -0.75},
       {}},
  });
}

TEST(SpecialValues, Softmax) {
  const auto softmax_of = [](const Operand& x) { return softmax(x, 1); };
  const auto log_softmax_of = [](const Operand& x) { return log_softmax(x, 1); };
  const double e = std::exp(-1.0);
  const double half = std::log(2.0);
  const double rest = std::log(1 + 2 * e);
  check_all({
      {"softmax",
       {6, 3},
       {1e4, -1e4, 1e4, 89, 88, 88, -inf, 1, -inf, -inf, -inf, -inf, nan, 0, 1, inf, 0, 1},
       softmax_of,
       {.5, 0, .5, 1 / (1 + 2 * e), e / (1 + 2 * e), e / (1 + 2 * e), 0, 1, 0, nan, nan, nan, nan,
        nan, nan, nan, nan, nan},
       {}},
      {"softmax and its gradient",
       {2, 3},
       {1e4, -1e4, 1e4, -inf, 1, -inf},
       softmax_of,
       {.5, 0, .5, 0, 1, 0},
       {-.5, 0, .5, 0, 0, 0}},
      {"log_softmax",
       {5, 3},
       {1e4, -1e4, 1e4, 89, 88, 88, -inf, 1, -inf, nan, 0, 1, inf, 0, 1},
       log_softmax_of,
       {-half, -2e4 - half, -half, -rest, -1 - rest, -1 - rest, -inf, 0, -inf, nan, nan, nan, nan,
        nan, nan},
       {}},
      {"log_softmax and its gradient",
       {2, 3},
       {1e4, -1e4, 1e4, 200, -200, -200},
       log_softmax_of,
       {-half, -2e4 - half, -half, 0, -400, -400},
       {-2, 2, 0, 4 - 15, 5, 6}},
  });
}

// Logits whose exponentials overflow in float32 above 88 and in float64 above 709.
TEST(SpecialValues, CrossEntropy) {
  const auto loss_of = [](std::vector<int64_t> labels, CrossEntropyOptions options) {
    return [=](const Operand& x) {
      const auto count = static_cast<int64_t>(labels.size());
      return cross_entropy(x, tensor(labels, {count}, x.device()), options);
    };
  };
  const CrossEntropyOptions of_sum{.reduction = Reduction::Sum};
  check_all({
      {"89",
       {2, 2},
       {89, 89, 100, 0},
       loss_of({0, 1}, of_sum),
       {std::log(2.0) + 100},
       {-.5, .5, 1, -1}},
      {"1e4",
       {3, 2},
       {1e4, -1e4, -1e4, 1e4, 1e4, 1e4},
       loss_of({0, 0, 1}, of_sum),
       {2e4 + std::log(2.0)},
       {0, 0, -1, 1, .5, -.5}},
      {"1e4 with smoothing",
       {1, 2},
       {1e4, 0},
       loss_of({0}, {.label_smoothing = .5}),
       {2500},
       {.25, -.25}},
      {"a class that cannot be",
       {1, 3},
       {0, -inf, 0},
       loss_of({2}, of_sum),
       {std::log(2.0)},
       {.5, 0, -.5}},
      {"the label cannot be", {1, 2}, {0, -inf}, loss_of({1}, of_sum), {inf}, {1, -1}},
      {"nan in one row",
       {2, 2},
       {nan, 0, 0, 0},
       loss_of({0, 1}, of_sum),
       {nan},
       {nan, nan, .5, -.5}},
      {"nan in a row that is ignored",
       {2, 2},
       {nan, 0, 0, 0},
       loss_of({-100, 1}, {}),
       {std::log(2.0)},
       {}},
  });
}

// Rows that a part of a warp, a warp, a block and a block in two passes own, and columns.
TEST(SpecialValues, CrossEntropyOfManyLargeLogits) {
  for (Device device : available_devices()) {
    for (int64_t classes : {5, 130, 1030, 8200}) {
      for (bool columns : {false, true}) {
        SCOPED_TRACE(fmt::format("{} {} {}", to_string(device), classes, columns));
        std::vector<float> logits(static_cast<size_t>(classes), 1000.0f);
        logits[0] = -1000.0f;
        Tensor x = tensor(logits, columns ? Shape{1, classes, 1} : Shape{1, classes}).to(device);
        Tape tape;
        tape.watch(x);
        const Tensor label = Tensor::full(columns ? Shape{1, 1} : Shape{1}, 1, int64, device);
        const Tensor loss = cross_entropy(x, label);
        const auto others = static_cast<double>(classes - 1);
        EXPECT_NEAR(loss.item(), std::log(others), 1e-5);
        tape.backward(loss);
        const Values gradient = values_of(tape.gradient(x));
        EXPECT_EQ(gradient[0], 0);
        EXPECT_NEAR(gradient[1], 1 / others - 1, 1e-6);
        EXPECT_NEAR(gradient[2], 1 / others, 1e-6);
      }
    }
  }
}

// ---- ReLU as part of another kernel -----------------------------------------------------------

// Row 0 has a NaN, which every hidden unit gets; row 1 infinities, which meet weights of both
// signs; row 2 is plain.
TEST(SpecialValues, ReluOfAProduct) {
  for (Device device : available_devices()) {
    for (DType dtype : {float32, float64}) {
      // A product in one go, and one whose depth is split, each with packs and without.
      for (int64_t features : {3, 8, 1025, 2048}) {
        SCOPED_TRACE(fmt::format("{} {} {}", to_string(device), to_string(dtype), features));
        constexpr int64_t hidden = 4;
        Values x(static_cast<size_t>(3 * features), 0.0);
        const auto row = [&](size_t r) {
          return x.begin() + static_cast<std::ptrdiff_t>(r) * features;
        };
        row(0)[1] = nan;
        row(1)[0] = inf;
        row(2)[0] = 2;
        Values weight1(static_cast<size_t>(hidden * features), 0.0);
        for (size_t unit = 0; unit < hidden; ++unit) {
          // No weight of 0 meets the infinity.
          weight1[unit * static_cast<size_t>(features)] = unit % 2 == 0 ? 1 : -1;
        }
        const auto made = [&](const Values& values, const Shape& shape) {
          return primitives::cast(tensor(values, shape), dtype).to(device);
        };
        Tensor input = made(x, {3, features});
        const Parameter w1(made(weight1, {hidden, features}));
        const Parameter w2(made({1, 0.5, 1, 0.25}, {1, hidden}));
        const Parameter b1(made({0, 0, 0, 0}, {hidden}));
        Tape tape;
        tape.watch(input);
        const Tensor y = perceptron(input, w1, b1, w2, Tensor());
        // 0 times infinity is NaN only where a weight of 0 meets it.
        EXPECT_TRUE(are_equal(values_of(y), {nan, inf, 4}, 0));
        tape.backward(y, made({1, 1, 1}, {3, 1}));
        const Values db = values_of(b1.grad());
        // NaN passes ReLU, so that its gradient does; row 1 and 2 pass where the weight is 1.
        EXPECT_TRUE(are_equal(db, {3, 0.5, 3, 0.25}, 1e-6));
        EXPECT_TRUE(are_equal({values_of(w2.grad())[0]}, {nan}, 0));
        const Tensor separate = linear(relu(linear(input.detach(), w1, b1)), w2);
        EXPECT_TRUE(are_equal(values_of(separate), {nan, inf, 4}, 0));
      }
    }
  }
}

TEST(SpecialValues, ConvolutionsCarryNansAndInfinities) {
  for (Device device : available_devices()) {
    for (DType dtype : {float32, float64}) {
      for (int64_t groups : {1, 4}) {
        const auto ones = [&](const Shape& shape) { return Tensor::ones(shape, dtype, device); };
        Values x(4 * 9, 1.0);
        x[0] = nan;   // the corner of channel 0
        x[35] = inf;  // the other corner of channel 3
        const Tensor input = primitives::cast(tensor(x, {1, 4, 3, 3}), dtype).to(device);
        const Tensor weight = ones({4, 4 / groups, 2, 2});
        const Values y = values_of(relu(conv2d(input, weight, ones({4}), {.groups = groups})));
        // Each of the four outputs of a channel sees one corner.
        EXPECT_TRUE(std::isnan(y[0])) << groups;
        EXPECT_EQ(y[15], inf) << groups;
        EXPECT_EQ(y[1], groups == 1 ? 17 : 5) << groups;
        EXPECT_EQ(std::isnan(y[4]), groups == 1) << groups;
      }
    }
  }
}

// ---- gradient norms ---------------------------------------------------------------------------

// torch.nn.utils.clip_grad_norm_: the factor max_norm / (norm + 1e-6), at most 1, is NaN for a norm
// that is NaN, and 0 for one that is infinite.
TEST(SpecialValues, ClippingByANormThatIsNoNumber) {
  for (Device device : available_devices()) {
    for (DType dtype : {float32, float64}) {
      // The odd one in a pack, in a tail, and in another tensor than the rest.
      for (size_t at : {0u, 4u}) {
        for (double odd : {nan, inf, -inf}) {
          SCOPED_TRACE(fmt::format("{} {} {}", to_string(device), to_string(dtype), odd));
          Values values = {1, 2, 3, 4, 5};
          values[at] = odd;
          const Parameter first(Tensor::zeros({5}, dtype, device));
          const Parameter second(Tensor::zeros({2}, dtype, device));
          first.state()->grad = primitives::cast(tensor(values, {5}), dtype).to(device);
          second.state()->grad = Tensor::ones({2}, dtype, device);
          first.state()->grad_is_empty = false;
          second.state()->grad_is_empty = false;
          const double norm = clip_grad_norm({first.state(), second.state()}, 1);
          EXPECT_TRUE(are_equal({norm}, {std::isnan(odd) ? nan : inf}, 0));
          const double other = std::isnan(odd) ? nan : 0;
          Values wanted(5, other);
          wanted[at] = nan;  // infinity times 0 as well
          EXPECT_TRUE(are_equal(values_of(first.grad()), wanted, 0));
          EXPECT_TRUE(are_equal(values_of(second.grad()), {other, other}, 0));
        }
      }
    }
  }
}

TEST(SpecialValues, WeightNorm) {
  for (Device device : available_devices()) {
    for (DType dtype : {float32, float64}) {
      for (int64_t length : {2, 64, 577}) {
        Values v(static_cast<size_t>(3 * length), 0.0);  // row 0 is one of zeros
        v[static_cast<size_t>(length)] = nan;
        v[static_cast<size_t>(2 * length)] = inf;
        const Tensor rows = primitives::cast(tensor(v, {3, length}), dtype).to(device);
        const Values w = values_of(weight_norm(rows, Tensor::ones({3, 1}, dtype, device)));
        EXPECT_EQ(w[0], 0);
        EXPECT_TRUE(std::isnan(w[static_cast<size_t>(length)]));
        EXPECT_TRUE(std::isnan(w[static_cast<size_t>(2 * length - 1)]));
        EXPECT_TRUE(std::isnan(w[static_cast<size_t>(2 * length)])) << "infinity over infinity";
        EXPECT_EQ(w.back(), 0);
      }
    }
  }
}

}  // namespace
}  // namespace warptape
