// The matrix core against its naive twins. Operands are small whole numbers, so that every sum is
// exact in float32 whatever its order, and results must be equal.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "kernels/conv2d/conv2d_products.h"
#include "kernels/matmul/gemm_cuda.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/case_run.h"
#include "tests/kernels/cuda/whole_numbers.h"

namespace warptape {
namespace {

class MatrixCore : public GpuTest {
 protected:
  void TearDown() override { set_tf32(false); }
};

using simt::bfloat16;

// T: of the operands; Sum: of the filters' gradient.
template <class T, class Sum>
void check_conv(const ConvCase& test) {
  const ConvGeometry g = test.geometry();
  const on_cuda::NaiveConv naive = naive_of(g);
  gpu::StreamHandle stream = gpu::current_stream();
  WholeNumbers numbers(7);
  const int64_t size_x = g.batch * g.pixels() * g.in_channels;
  const int64_t size_y = g.batch * g.out_pixels() * g.out_channels;
  const int64_t size_w = g.out_channels * conv2d_products::filter_size(g);
  DeviceArray<T> x(numbers.make<T>(size_x));
  DeviceArray<T> filters(numbers.make<T>(size_w));
  DeviceArray<T> dy(numbers.make<T>(size_y));
  {
    DeviceArray<T> y(size_y);
    DeviceArray<T> wanted(size_y);
    matrix::run_product("conv2d", conv2d_products::forward<T>(g, x.data(), filters.data(), nullptr,
                                                              false, y.data()));
    on_cuda::naive_conv_forward(stream, naive, x.data(), filters.data(), wanted.data());
    EXPECT_EQ(y.values(), wanted.values()) << "forward";
  }
  {
    DeviceArray<T> dx(size_x);
    DeviceArray<T> wanted(size_x);
    for (int64_t ry = 0; ry < std::min(g.vertical().stride, g.vertical().size); ++ry) {
      for (int64_t rx = 0; rx < std::min(g.horizontal().stride, g.horizontal().size); ++rx) {
        matrix::run_product("conv2d", conv2d_products::data_grad<T>(g, dy.data(), filters.data(),
                                                                    dx.data(), ry, rx));
      }
    }
    on_cuda::naive_conv_data_grad(stream, naive, dy.data(), filters.data(), wanted.data());
    EXPECT_EQ(dx.values(), wanted.values()) << "data gradient";
  }
  {
    DeviceArray<Sum> dfilters(size_w);
    DeviceArray<Sum> wanted(size_w);
    matrix::run_product(
        "conv2d", conv2d_products::weight_grad<T, Sum>(g, dy.data(), x.data(), dfilters.data()));
    on_cuda::naive_conv_weight_grad(stream, naive, dy.data(), x.data(), wanted.data());
    EXPECT_EQ(dfilters.values(), wanted.values()) << "filters' gradient";
  }
}

void check_all_types(const ConvCase& test) {
  SCOPED_TRACE(test.to_string());
  ASSERT_TRUE(test.fits());
  check_conv<float, float>(test);
  check_conv<double, double>(test);
  check_conv<bfloat16, float>(test);
  // Whole numbers are TF32 as they are. Only packs are multiplied so.
  if (test.channels % 4 == 0 || test.out_channels % 4 == 0) {
    set_tf32(true);
    check_conv<float, float>(test);
    set_tf32(false);
  }
}

TEST_F(MatrixCore, ChannelCountsOnBothSidesOfPacksAndTiles) {
  for (const int64_t channels : {1, 3, 4, 8, 31, 64, 130}) {
    check_all_types({1, channels, 5, 6, 130 - channels, 3, {.padding = 1}});
  }
  check_all_types({1, 8, 4, 5, 130, 1});
  check_all_types({1, 130, 3, 3, 129, 1});
}

TEST_F(MatrixCore, StridesPaddingsAndDilations) {
  check_all_types({2, 8, 9, 8, 16, 3, {.stride = 2, .padding = 1}});
  check_all_types({1, 4, 11, 9, 5, 3, {.stride = 3, .padding = 2, .dilation = 2}});
  check_all_types({1, 8, 12, 7, 8, {2, 3}, {.stride = {1, 2}, .padding = {0, 3}}});
  check_all_types({1, 8, 6, 5, 8, 3, {.stride = 2, .padding = Sides2d{.top = 2, .right = 4}}});
  check_all_types({1, 3, 10, 10, 8, {5, 1}, {.stride = {2, 1}, .dilation = {2, 1}}});
  // Taps that no pixel of some residue meets: their gradient is zero, and must be written.
  check_all_types({1, 8, 9, 9, 8, 1, {.stride = 2}});
  check_all_types({1, 8, 9, 9, 8, 2, {.stride = 2, .dilation = 2}});
  check_all_types({1, 8, 3, 3, 8, 3, {.stride = 5, .padding = 1}});
  check_all_types({1, 2, 6, 5, 3, {6, 5}, {.padding = {5, 4}}});
  // None of some residue in a filter that is smaller than the step from tap to tap.
  check_all_types(
      {3, 2, 5, 13, 1, {3, 2}, {.stride = {5, 3}, .padding = {2, 3}, .dilation = {1, 2}}});
  check_all_types({1, 1, 7, 7, 1, 1, {.stride = 7}});
}

TEST_F(MatrixCore, Groups) {
  check_all_types({1, 8, 5, 5, 16, 3, {.padding = 1, .groups = 2}});
  check_all_types({2, 6, 5, 4, 9, 3, {.stride = 2, .padding = 1, .groups = 3}});
  check_all_types({1, 16, 6, 6, 16, 3, {.padding = 2, .dilation = 2, .groups = 4}});
  check_all_types({1, 16, 6, 6, 16, 3, {.padding = 2, .dilation = 2, .groups = 2}});  // packs
  check_all_types({1, 5, 4, 4, 10, 3, {.padding = 1, .groups = 5}});
}

TEST_F(MatrixCore, LongDepthsAreSplit) {
  const ConvCase test{3, 8, 20, 21, 8, 3, {.padding = 1}};
  const ConvGeometry g = test.geometry();
  const auto plan = matrix::plan_product(conv2d_products::weight_grad<float, float>(
      g, static_cast<const float*>(nullptr), nullptr, nullptr));
  EXPECT_GT(plan.splits, 2);
  check_all_types(test);
  check_all_types({1, 72, 3, 3, 9, 3, {.padding = 1}});
}

TEST_F(MatrixCore, RandomConvolutions) {
  WholeNumbers random(2024);
  for (int i = 0; i < (is_sanitized() ? 4 : 12);) {
    const int64_t groups = random.between(1, 3);
    const auto pair = [&](int low, int high) {
      return Pair(random.between(low, high), random.between(low, high));
    };
    const ConvCase test{
        random.between(1, 2),
        groups * random.between(1, 12),
        random.between(1, 9),
        random.between(1, 9),
        groups * random.between(1, 12),
        pair(1, 4),
        {.stride = pair(1, 3), .padding = pair(0, 2), .dilation = pair(1, 3), .groups = groups}};
    if (test.fits()) {
      check_all_types(test);
      ++i;
    }
  }
}

TEST_F(MatrixCore, BiasReluAndAccumulateInTheEpilogue) {
  const GemmProblem problem{.transpose_b = true, .m = 5, .n = 7, .k = 3};
  WholeNumbers numbers(3);
  const auto a = numbers.make<float>(15);
  const auto b = numbers.make<float>(21);
  const auto bias = numbers.make<float>(7);
  const auto old = numbers.make<float>(35);
  std::vector<double> wanted;
  for (size_t i = 0; i < 5; ++i) {
    for (size_t j = 0; j < 7; ++j) {
      float sum = bias[j];
      for (size_t k = 0; k < 3; ++k) {
        sum += a[i * 3 + k] * b[j * 3 + k];
      }
      wanted.push_back(std::max(sum, 0.0F) + old[i * 7 + j]);
    }
  }
  DeviceArray<float> device_a(a);
  DeviceArray<float> device_b(b);
  DeviceArray<float> device_bias(bias);
  DeviceArray<float> c(old);
  gemm_cuda<float>("gemm", problem, device_a.data(), device_b.data(),
                   {.bias = device_bias.data(), .relu = true, .accumulate = true}, c.data());
  EXPECT_EQ(c.values(), wanted);
}

template <class T>
void check_gemm(const GemmProblem& p) {
  SCOPED_TRACE(fmt::format("{}a ({}, {}), {}b, n = {}, batches {}",
                           p.transpose_a ? "transposed " : "", p.m, p.k,
                           p.transpose_b ? "transposed " : "", p.n, p.batches));
  WholeNumbers numbers(11);
  DeviceArray<T> a(numbers.make<T>(p.m * p.k * p.batches));
  DeviceArray<T> b(numbers.make<T>(p.k * p.n * p.batches));
  DeviceArray<T> c(p.m * p.n * p.batches);
  DeviceArray<T> wanted(p.m * p.n * p.batches);
  DeviceArray<T> sums(p.m);
  const bool with_sums = p.batches == 1;
  gemm_cuda<T>("gemm", p, a.data(), b.data(), {.bias_grad = with_sums ? sums.data() : nullptr},
               c.data());
  for (int64_t i = 0; i < p.batches; ++i) {
    on_cuda::naive_gemm(gpu::current_stream(), p.transpose_a, p.transpose_b, static_cast<int>(p.m),
                        static_cast<int>(p.n), static_cast<int>(p.k), a.data() + i * p.stride_a,
                        b.data() + i * p.stride_b, wanted.data() + i * p.stride_c);
  }
  EXPECT_EQ(c.values(), wanted.values());
  if (with_sums) {
    const std::vector<double> values = a.values();
    std::vector<double> expected(static_cast<size_t>(p.m), 0.0);
    for (size_t i = 0; i < values.size(); ++i) {
      const auto row = p.transpose_a ? i % static_cast<size_t>(p.m) : i / static_cast<size_t>(p.k);
      expected[row] += values[i];
    }
    EXPECT_EQ(sums.values(), expected);
  }
}

TEST_F(MatrixCore, Gemm) {
  struct Size {
    int64_t m, n, k, batches;
  };
  for (const Size& s : {Size{1, 1, 1, 1}, Size{33, 10, 65, 1}, Size{4, 132, 36, 1},
                        Size{129, 65, 9, 2}, Size{16, 24, 8, 3}, Size{5, 8, 600, 1}}) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        const GemmProblem problem{transpose_a, transpose_b, s.m,       s.n,      s.k,
                                  s.batches,   s.m * s.k,   s.k * s.n, s.m * s.n};
        check_gemm<float>(problem);
        check_gemm<double>(problem);
        set_tf32(true);
        check_gemm<float>(problem);
        set_tf32(false);
      }
    }
  }
}

// A float with 10 bits of mantissa, half away from zero.
float nearest_tf32(float value) {
  int exponent = 0;
  const double mantissa = std::frexp(static_cast<double>(value), &exponent);
  return static_cast<float>(std::ldexp(std::round(std::ldexp(mantissa, 11)), exponent - 11));
}

// Factors are rounded, to the nearest, and sums are float's: each of k additions rounds a sum that
// is at most what the absolute products add up to.
TEST_F(MatrixCore, Tf32RoundsFactorsAndNothingElse) {
  constexpr int64_t m = 68;
  constexpr int64_t n = 72;
  constexpr int64_t k = 40;
  std::mt19937 engine(9);
  std::uniform_real_distribution<float> between(-1, 1);
  std::vector<float> a(m * k);
  std::vector<float> b(k * n);
  for (std::vector<float>* const matrix : {&a, &b}) {
    for (float& value : *matrix) {
      value = between(engine);
    }
  }
  set_tf32(true);
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      DeviceArray<float> device_a(a);
      DeviceArray<float> device_b(b);
      DeviceArray<float> c(m * n);
      gemm_cuda<float>("gemm", {transpose_a, transpose_b, m, n, k}, device_a.data(),
                       device_b.data(), {}, c.data());
      const std::vector<double> values = c.values();
      double error = 0;
      for (size_t i = 0; i < m * n; ++i) {
        double sum = 0;
        double absolute = 0;
        for (size_t q = 0; q < k; ++q) {
          const float left = a[transpose_a ? q * m + i / n : i / n * k + q];
          const float right = b[transpose_b ? i % n * k + q : q * n + i % n];
          const double product = static_cast<double>(nearest_tf32(left)) * nearest_tf32(right);
          sum += product;
          absolute += std::abs(product);
        }
        error = std::max(error, std::abs(values[i] - sum) / absolute);
      }
      EXPECT_LE(error, k * 0x1p-24) << transpose_a << transpose_b;
      EXPECT_GT(error, 0) << "sums in more than float";
    }
  }
}

}  // namespace
}  // namespace warptape
