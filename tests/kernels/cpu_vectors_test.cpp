// Loops on the CPU that exist once per type and set of instructions: they do what the plain ones
// do, for every kind of number.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/primitives.h"
#include "core/tape.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/max_pool2d/max_pool2d.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/sum/sum.h"

namespace warptape {
namespace {

constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

// Ties, both zeros, infinities and NaNs among numbers that bfloat16 holds, at every place of a
// window.
std::vector<double> all_kinds(int64_t count) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  const double kinds[] = {1, -1, 0, -0.0, inf, -inf, std::nan(""), 2, 2, -inf, -3};
  std::vector<double> values(static_cast<size_t>(count));
  uint32_t state = 1;
  for (double& value : values) {
    state = state * 1664525 + 1013904223;
    value = kinds[(state >> 16) % std::size(kinds)];
  }
  return values;
}

struct Pooled {
  Tensor y, dx;
};

// The gradients of y's elements are 1, 2, 3, 4, 1, ...
Pooled pool(const Tensor& values, DType dtype, const MaxPool2dOptions& options) {
  Tensor x = values.to(dtype).to(channels_last);
  Tape tape;
  tape.watch(x);
  const Tensor y = max_pool2d(x, options);
  std::vector<double> weights(static_cast<size_t>(y.numel()));
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = static_cast<double>(i % 4 + 1);
  }
  const Tensor weight = tensor(weights, y.shape()).to(dtype);
  tape.backward(sum(mul(y, weight)));
  return {y.to(float64), tape.gradient(x).to(float64)};
}

void expect_same(const Tensor& got, const Tensor& wanted) {
  const auto a = got.to_vector<double>();
  const auto b = wanted.to_vector<double>();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_TRUE(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))
        << "element " << i << ": " << a[i] << ", wanted " << b[i];
    ASSERT_EQ(std::signbit(a[i]) && !std::isnan(a[i]), std::signbit(b[i]) && !std::isnan(b[i]))
        << "element " << i;
  }
}

// float64 has the loops for windows of any shape alone.
TEST(CpuVectors, PoolAllKindsOfNumbers) {
  for (const int64_t channels : {1, 7, 16, 67}) {
    const Shape shape{2, channels, 6, 8};
    const Tensor values = tensor(all_kinds(shape.numel()), shape);
    for (const Activation activation : {Activation::None, Activation::ReLU}) {
      for (const MaxPool2dOptions& options :
           {MaxPool2dOptions{.activation = activation},
            MaxPool2dOptions{.kernel_size = 2, .stride = 1, .activation = activation},
            MaxPool2dOptions{.kernel_size = 3, .stride = 3, .activation = activation},
            MaxPool2dOptions{.kernel_size = 2, .padding = 1, .activation = activation}}) {
        const Pooled wanted = pool(values, float64, options);
        for (const DType dtype : {float32, bfloat16}) {
          SCOPED_TRACE(testing::Message() << channels << " channels, " << to_string(dtype));
          const Pooled got = pool(values, dtype, options);
          expect_same(got.y, wanted.y);
          expect_same(got.dx, wanted.dx);
        }
      }
    }
  }
}

// As simt::bfloat16 itself converts: every bfloat16, and floats on both sides of each tie.
TEST(CpuVectors, CastBfloat16) {
  constexpr int64_t count = 1 << 16;
  Tensor narrow = Tensor::empty({count}, bfloat16);
  Tensor wide = Tensor::empty({count * 4}, float32);
  auto* to_narrow = narrow.mutable_data<simt::bfloat16>();
  auto* to_wide = wide.mutable_data<float>();
  for (uint32_t bits = 0; bits < count; ++bits) {
    to_narrow[bits] = simt::bfloat16::from_bits(static_cast<uint16_t>(bits));
    const uint32_t lower[] = {0, 0x7FFF, 0x8000, 0x8001};
    for (int64_t i = 0; i < 4; ++i) {
      const uint32_t word = bits << 16 | lower[i];
      std::memcpy(to_wide + bits * 4 + i, &word, sizeof word);
    }
  }
  const Tensor widened = primitives::cast(narrow, float32);
  const Tensor narrowed = primitives::cast(wide, bfloat16);
  for (int64_t i = 0; i < count; ++i) {
    const float wanted = to_narrow[i];
    ASSERT_EQ(std::memcmp(widened.data<float>() + i, &wanted, sizeof wanted), 0) << i;
  }
  for (int64_t i = 0; i < count * 4; ++i) {
    ASSERT_EQ(narrowed.data<simt::bfloat16>()[i].bits, simt::bfloat16(to_wide[i]).bits) << i;
  }
}

// Over more pixels than one block of the sum has, and not a whole number of blocks.
TEST(CpuVectors, SumBiasGradients) {
  const Shape shape{1, 5, 71, 73};
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  std::vector<double> wanted(5);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<double>(i % 7) - 2;
    wanted[i / (71 * 73)] += values[i];
  }
  for (const DType dtype : {float32, float64, bfloat16}) {
    const Tensor dy = tensor(values, shape).to(dtype).to(channels_last);
    Tensor dbias = Tensor::full({5}, -1, compute_dtype(dtype));
    conv2d_bias_grad_cpu(dy, dbias);
    EXPECT_EQ(dbias.to(float64).to_vector<double>(), wanted) << to_string(dtype);
  }
}

}  // namespace
}  // namespace warptape
