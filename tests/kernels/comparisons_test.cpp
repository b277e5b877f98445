// Comparisons: operators, scalars, every dtype, numbers that are none.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/primitives.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "tests/core/expect_throws.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(Comparisons, OperatorsTakeScalarsOnEitherSide) {
  for (const Device device : available_devices()) {
    const Tensor x = tensor<double>({1, 2, 4}, {3}, device);
    const Tensor two = Tensor::full({3}, 2, float64, device);
    const auto expect = [](const Tensor& y, const Bytes& wanted) {
      EXPECT_EQ(y.dtype(), uint8);
      EXPECT_EQ(y.to_vector<uint8_t>(), wanted);
    };
    expect(x == two, {0, 1, 0});
    expect(x != two, {1, 0, 1});
    expect(x < two, {1, 0, 0});
    expect(x <= two, {1, 1, 0});
    expect(x > two, {0, 0, 1});
    expect(x >= two, {0, 1, 1});
    expect(x == 2, {0, 1, 0});
    expect(x != 2, {1, 0, 1});
    expect(x < 2, {1, 0, 0});
    expect(x <= 2, {1, 1, 0});
    expect(x > 2, {0, 0, 1});
    expect(x >= 2, {0, 1, 1});
    expect(2 == x, {0, 1, 0});
    expect(2 != x, {1, 0, 1});
    expect(2 < x, {0, 0, 1});
    expect(2 <= x, {0, 1, 1});
    expect(2 > x, {1, 0, 0});
    expect(2 >= x, {1, 1, 0});
    expect(Parameter(x) < two, {1, 0, 0});
  }
}

TEST(Comparisons, OfNumbersThatAreNone) {
  for (const Device device : available_devices()) {
    const Tensor x = tensor<float>({NAN, INFINITY, -0.0f, 1, 1e-40f}, {5}, device);
    const Tensor y = tensor<float>({NAN, INFINITY, 0, NAN, 0}, {5}, device);
    EXPECT_EQ((x == y).to_vector<uint8_t>(), (Bytes{0, 1, 1, 0, 0}));
    EXPECT_EQ((x != y).to_vector<uint8_t>(), (Bytes{1, 0, 0, 1, 1}));
    EXPECT_EQ((x < y).to_vector<uint8_t>(), (Bytes{0, 0, 0, 0, 0}));
    EXPECT_EQ((x <= y).to_vector<uint8_t>(), (Bytes{0, 1, 1, 0, 0}));
    EXPECT_EQ((x > y).to_vector<uint8_t>(), (Bytes{0, 0, 0, 0, 1}));
    EXPECT_EQ((x >= y).to_vector<uint8_t>(), (Bytes{0, 1, 1, 0, 1}));
  }
}

TEST(Comparisons, OfEveryDtype) {
  for (const DType dtype : {
#define WARPTAPE_DTYPE(dtype, T, name) DType::dtype,
           WARPTAPE_DTYPES(WARPTAPE_DTYPE)
#undef WARPTAPE_DTYPE
       }) {
    for (const Device device : available_devices()) {
      // Packs of every width, and elements behind them.
      std::vector<double> values(37);
      Bytes wanted(37);
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<double>(i * 5 % 11);
        wanted[i] = values[i] < 6 ? 1 : 0;
      }
      const Tensor x = primitives::cast(tensor(values, {37}), dtype).to(device);
      EXPECT_EQ((x < 6).to_vector<uint8_t>(), wanted) << to_string(dtype);
      EXPECT_EQ((x < Tensor::full({37}, 6, dtype).to(device)).to_vector<uint8_t>(), wanted)
          << to_string(dtype);
    }
  }
}

// 2.5 is no number beside integers, and would become 2.
TEST(Comparisons, ScalarsBesideIntegersAreIntegers) {
  const Tensor x = tensor<int64_t>({2, 3}, {2});
  const Tensor bytes = tensor<uint8_t>({2, 255}, {2});
  for (const double value : {2.5, nan, HUGE_VAL, 9223372036854775808.0}) {
    expect_throws<ValueError>([&] { x < value; },
                              {"[lt] scalar", "int64", fmt::format("{}", value)});
  }
  EXPECT_EQ((x >= -9223372036854775808.0).to_vector<uint8_t>(), (Bytes{1, 1}));
  for (const double value : {-1.0, 256.0}) {
    expect_throws<ValueError>([&] { bytes == value; }, {"[eq] scalar", "uint8"});
  }
  EXPECT_EQ((bytes == 255).to_vector<uint8_t>(), (Bytes{0, 1}));
}

TEST(Comparisons, AreConstants) {
  Tensor x = Tensor::ones({3});
  Tape tape;
  tape.watch(x);
  const Tensor y = x > 0;
  EXPECT_EQ(tape.num_records(), 0u);
  tape.backward(sum(where(y, x * 3, 0)));
  EXPECT_EQ(tape.gradient(x).to_vector<float>(), (std::vector<float>{3, 3, 3}));
}

}  // namespace
}  // namespace warptape
