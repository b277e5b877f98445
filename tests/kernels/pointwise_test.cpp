// What the case tables and PyTorch's values of the pointwise ops do not say: NaN, operators,
// scalars, the caller's line.

#include "kernels/pointwise/pointwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "core/primitives.h"
#include "core/tape.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

using Values = std::vector<double>;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct NamedUnary {
  std::string name;
  std::function<Tensor(const Operand&)> run;
};
struct NamedBinary {
  std::string name;
  std::function<Tensor(const Operand&, const Operand&)> run;
};

template <class Functor>
Functor some_options() {
  if constexpr (std::is_same_v<Functor, pointwise::Pow>) {
    return {2};
  } else {
    return {};
  }
}

std::vector<NamedUnary> unary_ops() {
  return {
#define WARPTAPE_NAMED(name, Functor, default_options, fill) \
  {#name, [](const Operand& x) { return name(x, some_options<pointwise::Functor>()); }},
      WARPTAPE_UNARY_OPS(WARPTAPE_NAMED)
#undef WARPTAPE_NAMED
  };
}

std::vector<NamedBinary> binary_ops() {
  return {
#define WARPTAPE_NAMED(name, Functor, fill) \
  {#name, [](const Operand& a, const Operand& b) { return name(a, b); }},
      WARPTAPE_BINARY_OPS(WARPTAPE_NAMED)
#undef WARPTAPE_NAMED
  };
}

// Nine elements, so that packs and the elements behind them have some of each.
TEST(Pointwise, ANaNStaysOne) {
  const Values some = {0.5, nan, 0.25, nan, 2, 1, 0.5, 0.75, nan};
  for (Device device : available_devices()) {
    for (DType dtype : {float32, float64}) {
      const Tensor x = primitives::cast(tensor(some, {9}), dtype).to(device);
      const Tensor ones = Tensor::ones({9}, dtype, device);
      const auto expect_nan = [&](const std::string& name, const Tensor& y) {
        const Values values = primitives::cast(y.to(cpu), float64).to_vector<double>();
        for (size_t i = 0; i < some.size(); ++i) {
          EXPECT_EQ(std::isnan(values[i]), std::isnan(some[i]))
              << name << " of " << some[i] << " gives " << values[i] << " on " << to_string(device);
        }
      };
      for (const NamedUnary& op : unary_ops()) {
        expect_nan(op.name, op.run(x));
      }
      for (const NamedBinary& op : binary_ops()) {
        expect_nan(op.name + " first", op.run(x, ones));
        expect_nan(op.name + " second", op.run(ones, x));
      }
    }
  }
}

// What the table's functions do is what operators do, with a scalar on either side.
TEST(Pointwise, OperatorsTakeScalarsOnEitherSide) {
  for (Device device : available_devices()) {
    const Tensor x = tensor<double>({1, 2, 4}, {3}, device);
    EXPECT_EQ((-x).to_vector<double>(), (Values{-1, -2, -4}));
    EXPECT_EQ((x + 1).to_vector<double>(), (Values{2, 3, 5}));
    EXPECT_EQ((1 + x).to_vector<double>(), (Values{2, 3, 5}));
    EXPECT_EQ((x - 1).to_vector<double>(), (Values{0, 1, 3}));
    EXPECT_EQ((1 - x).to_vector<double>(), (Values{0, -1, -3}));
    EXPECT_EQ((x * 3).to_vector<double>(), (Values{3, 6, 12}));
    EXPECT_EQ((3 * x).to_vector<double>(), (Values{3, 6, 12}));
    EXPECT_EQ((x / 2).to_vector<double>(), (Values{0.5, 1, 2}));
    EXPECT_EQ((2 / x).to_vector<double>(), (Values{2, 1, 0.5}));
    EXPECT_EQ(maximum(x, 2).to_vector<double>(), (Values{2, 2, 4}));
    EXPECT_EQ(minimum(2, x).to_vector<double>(), (Values{1, 2, 2}));
    EXPECT_EQ(pow(x, 2).to_vector<double>(), (Values{1, 4, 16}));
    EXPECT_EQ((x * x - x).to_vector<double>(), (Values{0, 2, 12}));
  }
}

TEST(Pointwise, AScalarTakesTheTensorsDtype) {
  const Tensor x = Tensor::ones({2});
  EXPECT_EQ((0.1 + x).dtype(), float32);
  EXPECT_EQ((x / 3).dtype(), float32);
}

TEST(Pointwise, GradientsFlowThroughOperators) {
  for (Device device : available_devices()) {
    Tensor x = tensor<double>({1, 2, 4}, {3}, device);
    Tape tape;
    tape.watch(x);
    // (1 - x)^2 / x - x: the derivative is 1 - 1 / x^2 - 1.
    const Tensor y = pow(1 - x, 2) / x - x;
    tape.backward(y, Tensor::ones({3}, float64, device));
    const Values gradient = tape.gradient(x).to_vector<double>();
    const Values at = {1, 2, 4};
    for (size_t i = 0; i < at.size(); ++i) {
      EXPECT_NEAR(gradient[i], -1 / (at[i] * at[i]), 1e-15);
    }
  }
}

TEST(Pointwise, ErrorsNameTheCallersLine) {
  const Tensor numbers = Tensor::zeros({2}, int64);
  const int line = __LINE__ + 1;
  const auto add_one = [&] { 1 + Operand(numbers); };
  expect_throws<DTypeError>(add_one,
                            {"[add]", "int64", "pointwise_test.cpp:" + std::to_string(line)});
}

}  // namespace
}  // namespace warptape
