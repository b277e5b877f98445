// Matrix products on cuBLASLt against loops in double.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/random.h"
#include "core/tensor.h"
#include "kernels/matmul/gemm_cuda.h"
#include "kernels/vendor/gpu_libraries.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/cuda/whole_numbers.h"

namespace warptape {
namespace {

class GemmCublas : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (!cublas_library().reason.empty()) {
      GTEST_SKIP() << "cuBLASLt: " << cublas_library().reason;
    }
    if (gpu_libraries() == GpuLibraries::Off) {
      GTEST_SKIP() << "switched off";
    }
    manual_seed(1);
  }
};

// Both operands, c before and after, and what belongs into c, with the sum of its terms' sizes.
template <class T>
struct Product {
  GemmProblem problem;
  std::vector<T> a, b, bias, c;
  std::vector<double> wanted, size;

  Product(const GemmProblem& p, bool with_bias, bool relu, bool accumulate) : problem(p) {
    a = random(p.m * p.k * p.batches);
    b = random(p.k * p.n * p.batches);
    c = random(p.m * p.n * p.batches);
    bias = random(p.n);
    for (int64_t batch = 0; batch < p.batches; ++batch) {
      for (int64_t i = 0; i < p.m * p.n; ++i) {
        const int64_t row = i / p.n;
        const int64_t column = i % p.n;
        double sum = 0;
        double sizes = 0;
        const auto add = [&](double term) {
          sum += term;
          sizes += std::abs(term);
        };
        for (int64_t j = 0; j < p.k; ++j) {
          add(static_cast<double>(a_at(batch, row, j)) *
              static_cast<double>(b_at(batch, j, column)));
        }
        add(with_bias ? bias[static_cast<size_t>(column)] : 0);
        add(accumulate ? c[static_cast<size_t>(batch * p.m * p.n + i)] : 0);
        wanted.push_back(relu ? std::max(sum, 0.0) : sum);
        size.push_back(sizes);
      }
    }
  }

  static std::vector<T> random(int64_t count) {
    return randn({count}, dtype_of<T>()).template to_vector<T>();
  }
  T a_at(int64_t batch, int64_t row, int64_t j) const {
    const GemmProblem& p = problem;
    return a[static_cast<size_t>(batch * p.m * p.k +
                                 (p.transpose_a ? j * p.m + row : row * p.k + j))];
  }
  T b_at(int64_t batch, int64_t j, int64_t column) const {
    const GemmProblem& p = problem;
    return b[static_cast<size_t>(batch * p.k * p.n +
                                 (p.transpose_b ? column * p.k + j : j * p.n + column))];
  }
};

template <class T>
Tensor on_cuda(const std::vector<T>& values) {
  return tensor(values, {static_cast<int64_t>(values.size())}).to(cuda);
}

// False where cuBLASLt did not take it.
template <class T>
bool expect_right(const GemmProblem& problem, bool with_bias, bool relu, bool accumulate) {
  const Product<T> product(problem, with_bias, relu, accumulate);
  const Tensor a = on_cuda(product.a);
  const Tensor b = on_cuda(product.b);
  const Tensor bias = on_cuda(product.bias);
  const GemmEpilogue<T> epilogue{
      .bias = with_bias ? bias.data<T>() : nullptr, .relu = relu, .accumulate = accumulate};
  std::vector<T> first;
  for (int run = 0; run < 2; ++run) {
    Tensor c = accumulate ? on_cuda(product.c)
                          : on_cuda(std::vector<T>(product.c.size(), static_cast<T>(NAN)));
    if (!gemm_cublas("test", problem, a.data<T>(), b.data<T>(), epilogue, c.mutable_data<T>())) {
      return false;
    }
    const std::vector<T> got = c.to(cpu).to_vector<T>();
    if (run == 1) {
      EXPECT_EQ(got, first) << "not the same bits again";
    }
    first = got;
    const double bound = sizeof(T) == 4 ? 2e-6 : 1e-14;
    for (size_t i = 0; i < got.size(); ++i) {
      if (!(std::abs(got[i] - product.wanted[i]) <= bound * product.size[i])) {
        ADD_FAILURE() << "element " << i << ": " << got[i] << ", wanted " << product.wanted[i];
        return true;
      }
    }
  }
  return true;
}

struct Size {
  int64_t m, n, k;
};
constexpr Size sizes[] = {{1, 1, 1},     {4, 8, 16},      {31, 33, 65},
                          {128, 64, 32}, {129, 256, 257}, {512, 10, 256}};

template <class T>
void every_size_and_transpose() {
  for (const auto& [m, n, k] : sizes) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        SCOPED_TRACE(fmt::format("{} x {} x {}{}{}", m, n, k, transpose_a ? ", a transposed" : "",
                                 transpose_b ? ", b transposed" : ""));
        const GemmProblem problem{
            .transpose_a = transpose_a, .transpose_b = transpose_b, .m = m, .n = n, .k = k};
        EXPECT_TRUE(expect_right<T>(problem, false, false, false));
        EXPECT_TRUE(expect_right<T>(problem, false, false, true));
      }
    }
  }
}

TEST_F(GemmCublas, Float32) {
  every_size_and_transpose<float>();
}

TEST_F(GemmCublas, Float64) {
  every_size_and_transpose<double>();
}

TEST_F(GemmCublas, Epilogues) {
  for (const auto& [m, n, k] : sizes) {
    SCOPED_TRACE(fmt::format("{} x {} x {}", m, n, k));
    const GemmProblem problem{.transpose_b = true, .m = m, .n = n, .k = k};
    EXPECT_TRUE(expect_right<float>(problem, true, false, false));
    EXPECT_TRUE(expect_right<float>(problem, true, true, false));
    EXPECT_TRUE(expect_right<float>(problem, false, true, false));
    expect_right<double>(problem, true, false, false);  // not taken is right as well
    expect_right<double>(problem, true, true, false);
  }
}

TEST_F(GemmCublas, BiasGradientIsTakenRightOrNotAtAll) {
  for (const auto& [m, n, k] : sizes) {
    SCOPED_TRACE(fmt::format("{} x {} x {}", m, n, k));
    // As the gradient of linear's weight: a is dy.
    const GemmProblem problem{.transpose_a = true, .m = m, .n = n, .k = k};
    const Product<float> product(problem, false, false, false);
    const Tensor a = on_cuda(product.a);
    const Tensor b = on_cuda(product.b);
    Tensor c = on_cuda(product.c);
    Tensor bias_grad = on_cuda(std::vector<float>(static_cast<size_t>(m), NAN));
    const GemmEpilogue<float> epilogue{.bias_grad = bias_grad.mutable_data<float>()};
    if (!gemm_cublas("test", problem, a.data<float>(), b.data<float>(), epilogue,
                     c.mutable_data<float>())) {
      std::printf("  %lld x %lld x %lld: not taken\n", static_cast<long long>(m),
                  static_cast<long long>(n), static_cast<long long>(k));
      continue;
    }
    const std::vector<float> got = bias_grad.to(cpu).to_vector<float>();
    const std::vector<float> got_c = c.to(cpu).to_vector<float>();
    for (int64_t row = 0; row < m; ++row) {
      double sum = 0;
      double size = 0;
      for (int64_t j = 0; j < k; ++j) {
        sum += product.a_at(0, row, j);
        size += std::abs(product.a_at(0, row, j));
      }
      ASSERT_NEAR(got[static_cast<size_t>(row)], sum, 2e-6 * size) << "row " << row;
    }
    for (size_t i = 0; i < got_c.size(); ++i) {
      ASSERT_NEAR(got_c[i], product.wanted[i], 2e-6 * product.size[i]) << "element " << i;
    }
  }
}

// A forward product with ReLU leaves its mask; another product is multiplied by it.
TEST_F(GemmCublas, ReluGradientIsTakenRightOrNotAtAll) {
  for (const auto& [m, n, k] : sizes) {
    SCOPED_TRACE(fmt::format("{} x {} x {}", m, n, k));
    const Product<float> forward({.transpose_b = true, .m = m, .n = n, .k = k}, true, true, false);
    const Product<float> product({.m = m, .n = n, .k = k}, false, false, false);
    Tensor mask = Tensor::empty({relu_mask_bytes(m, n)}, uint8, cuda);
    Tensor c = on_cuda(forward.c);
    const Tensor bias = on_cuda(forward.bias);
    const bool made = gemm_cublas(
        "test", forward.problem, on_cuda(forward.a).data<float>(), on_cuda(forward.b).data<float>(),
        {.bias = bias.data<float>(), .relu = true, .relu_mask_out = mask.mutable_data<uint8_t>()},
        c.mutable_data<float>());
    const std::vector<float> passed = c.to(cpu).to_vector<float>();
    Tensor sums = on_cuda(std::vector<float>(static_cast<size_t>(n), NAN));
    if (!made ||
        !gemm_cublas("test", product.problem, on_cuda(product.a).data<float>(),
                     on_cuda(product.b).data<float>(),
                     {.relu_mask = mask.data<uint8_t>(), .column_sums = sums.mutable_data<float>()},
                     c.mutable_data<float>())) {
      std::printf("  %lld x %lld x %lld: not taken\n", static_cast<long long>(m),
                  static_cast<long long>(n), static_cast<long long>(k));
      continue;
    }
    std::vector<double> sum(static_cast<size_t>(n), 0.0);
    std::vector<double> size(static_cast<size_t>(n), 0.0);
    const std::vector<float> got = c.to(cpu).to_vector<float>();
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_NEAR(passed[i], forward.wanted[i], 2e-6 * forward.size[i]) << "element " << i;
      ASSERT_NEAR(got[i], passed[i] > 0 ? product.wanted[i] : 0, 2e-6 * product.size[i])
          << "gradient of element " << i;
      sum[i % static_cast<size_t>(n)] += got[i];
      size[i % static_cast<size_t>(n)] += product.size[i];
    }
    const std::vector<float> got_sums = sums.to(cpu).to_vector<float>();
    for (size_t i = 0; i < sum.size(); ++i) {
      ASSERT_NEAR(got_sums[i], sum[i], 2e-6 * size[i]) << "column " << i;
    }
  }
}

TEST_F(GemmCublas, Batches) {
  const GemmProblem problem{
      .m = 5, .n = 12, .k = 7, .batches = 3, .stride_a = 35, .stride_b = 84, .stride_c = 60};
  EXPECT_TRUE(expect_right<float>(problem, false, false, false));
  EXPECT_TRUE(expect_right<double>(problem, false, false, true));
}

// Sums of small whole numbers are exact in float32; they are rounded once.
TEST_F(GemmCublas, Bfloat16) {
  using simt::bfloat16;
  constexpr int64_t m = 64;
  constexpr int64_t n = 48;
  constexpr int64_t k = 32;
  WholeNumbers numbers(5);
  const auto values_a = numbers.make<bfloat16>(m * k);
  const auto values_b = numbers.make<bfloat16>(n * k);
  DeviceArray<bfloat16> a(values_a);
  DeviceArray<bfloat16> b(values_b);
  DeviceArray<bfloat16> c(m * n);
  ASSERT_TRUE(gemm_cublas(
      "test", {.transpose_b = true, .m = m, .n = n, .k = k}, static_cast<const bfloat16*>(a.data()),
      static_cast<const bfloat16*>(b.data()), GemmEpilogue<bfloat16>{}, c.data()));
  const std::vector<double> got = c.values();
  for (size_t i = 0; i < got.size(); ++i) {
    float sum = 0;
    for (size_t j = 0; j < static_cast<size_t>(k); ++j) {
      sum +=
          static_cast<float>(values_a[i / n * k + j]) * static_cast<float>(values_b[i % n * k + j]);
    }
    ASSERT_EQ(got[i], static_cast<float>(bfloat16(sum))) << "element " << i;
  }
}

// The strict products above would fail in TF32; here it is asked for.
TEST_F(GemmCublas, Tf32RoundsFactors) {
  const GemmProblem problem{.m = 128, .n = 128, .k = 64};
  const Product<float> product(problem, false, false, false);
  const Tensor a = on_cuda(product.a);
  const Tensor b = on_cuda(product.b);
  Tensor c = on_cuda(product.c);
  set_tf32(true);
  const bool taken = gemm_cublas("test", problem, a.data<float>(), b.data<float>(),
                                 GemmEpilogue<float>{}, c.mutable_data<float>());
  set_tf32(false);
  ASSERT_TRUE(taken);
  const std::vector<float> got = c.to(cpu).to_vector<float>();
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::abs(got[i] - product.wanted[i]) / product.size[i]);
  }
  EXPECT_LT(worst, 1e-3);
  EXPECT_GT(worst, 2e-6);
}

}  // namespace
}  // namespace warptape
