// The features of the matrix core with each other, not one at a time: each product of a convolution
// with groups and strides, under each tile and width of load, with the depth split or not, with
// each epilogue, against its naive twin. Plans are forced, so that small products reach them all.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "kernels/conv2d/conv2d_products.h"
#include "kernels/matmul/gemm_cuda.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/case_run.h"
#include "tests/kernels/cuda/forced_plan.h"
#include "tests/kernels/cuda/whole_numbers.h"

namespace warptape {
namespace {

class MatrixCombinations : public GpuTest {};

// Bits: bias, ReLU, accumulation. Which threads meet where is the same with all of them.
const std::vector<int> epilogues =
    is_sanitized() ? std::vector{0, 7} : std::vector{0, 1, 2, 3, 4, 5, 6, 7};

using matrix::Plan;
using simt::bfloat16;

template <class Product>
void run(const Product& product, const Plan& plan) {
  using Sum = matrix::Accumulator<typename Product::In>;
  DeviceArray<Sum> partials(matrix::partial_sums<Product>(plan));
  on_cuda::launch_product("product", gpu::current_stream(), product, plan, partials.data());
}

template <class Product>
std::vector<matrix::TileSize> tiles_of(int pack, bool tf32) {
  using T = typename Product::In;
  const matrix::Cores cores = matrix::cores_of<T>(tf32);
  if (are_tensor_cores(cores) && pack > 1) {
    return {matrix::mma_tile(cores), matrix::thin_mma_tile(cores, matrix::has_thin_rows<Product>)};
  }
  if (are_tensor_cores(cores)) {
    return {matrix::mma_tile(cores)};
  }
  const int square = matrix::fma_square * matrix::pack_of<T>;
  std::vector<matrix::TileSize> tiles{{2 * square, square, matrix::fma_depth},
                                      {square, square, matrix::fma_depth}};
  if (pack > 1) {
    tiles.push_back({2 * square, 2 * square, matrix::fma_depth});
  }
  return tiles;
}

// Calls body(plan) with plans of all tiles and numbers of splits.
template <class T, class Product, class Body>
void for_each_plan(const Product& product, bool tf32, const Body& body) {
  constexpr int most = matrix::pack_of<T>;
  ASSERT_EQ(matrix::plan_product(product).pack, most);  // or packs would not be legal
  for (const int pack : tf32 ? std::vector{most} : std::vector{1, most}) {
    for (const matrix::TileSize& tile : tiles_of<Product>(pack, tf32)) {
      for (const int splits : is_sanitized() ? std::vector{1, 3} : std::vector{1, 2, 3, 9}) {
        const Plan plan = forced_plan(product, pack, tile, splits, tf32);
        SCOPED_TRACE(to_string(plan));
        body(plan);
      }
    }
  }
}

template <class T>
std::vector<double> as_doubles(const std::vector<T>& values) {
  using Wide = matrix::Accumulator<T>;  // bfloat16 has no way to double but by float
  std::vector<double> result;
  for (const T& value : values) {
    result.push_back(static_cast<Wide>(value));
  }
  return result;
}

// What the epilogue makes of sums, element by element; bias: of a channels-last image.
template <class Old, class Bias>
std::vector<double> finished(std::vector<double> sums, const Bias* bias, bool relu,
                             const Old* old) {
  for (size_t i = 0; i < sums.size(); ++i) {
    sums[i] += bias != nullptr ? (*bias)[i % bias->size()] : 0;
    sums[i] = relu && sums[i] < 0 ? 0 : sums[i];
    sums[i] += old != nullptr ? (*old)[i] : 0;
  }
  return sums;
}

template <class T, class Sum>
void check_conv(const ConvCase& test, bool tf32 = false) {
  SCOPED_TRACE(test.to_string());
  ASSERT_TRUE(test.fits());
  const ConvGeometry g = test.geometry();
  const on_cuda::NaiveConv naive = naive_of(g);
  gpu::StreamHandle stream = gpu::current_stream();
  WholeNumbers numbers(3);
  const int64_t size_x = g.batch * g.pixels() * g.in_channels;
  const int64_t size_y = g.batch * g.out_pixels() * g.out_channels;
  const int64_t size_w = g.out_channels * conv2d_products::filter_size(g);
  const std::vector<T> host_x = numbers.make<T>(size_x);
  const std::vector<Sum> host_w = numbers.make<Sum>(size_w);
  const std::vector<T> host_y = numbers.make<T>(size_y);
  const std::vector<Compute<T>> host_bias = numbers.make<Compute<T>>(g.out_channels);
  DeviceArray<T> x(host_x);
  DeviceArray<T> filters(numbers.make<T>(size_w));
  DeviceArray<T> dy(host_y);
  DeviceArray<Compute<T>> bias(host_bias);
  DeviceArray<T> sums_y(size_y);
  DeviceArray<T> sums_x(size_x);
  DeviceArray<Sum> sums_w(size_w);
  on_cuda::naive_conv_forward(stream, naive, x.data(), filters.data(), sums_y.data());
  on_cuda::naive_conv_data_grad(stream, naive, dy.data(), filters.data(), sums_x.data());
  on_cuda::naive_conv_weight_grad(stream, naive, dy.data(), x.data(), sums_w.data());
  const std::vector<double> wanted_y = sums_y.values();
  const std::vector<double> wanted_x = sums_x.values();
  const std::vector<double> wanted_w = sums_w.values();
  const std::vector<double> old_x = as_doubles(host_x);
  const std::vector<double> old_w = as_doubles(host_w);
  const std::vector<double> old_y = as_doubles(host_y);
  const std::vector<double> bias_values = as_doubles(host_bias);
  std::vector<double> wanted_bias = old_w;
  std::fill_n(wanted_bias.begin(), g.out_channels, 0.0);
  for (size_t i = 0; i < old_y.size(); ++i) {
    wanted_bias[i % static_cast<size_t>(g.out_channels)] += old_y[i];
  }

  auto forward = conv2d_products::forward<T>(g, x.data(), filters.data(), nullptr, false, nullptr);
  for_each_plan<T>(forward, tf32, [&](const Plan& plan) {
    for (const int epilogue : epilogues) {
      DeviceArray<T> y(host_y);
      forward.out.data = y.data();
      forward.out.bias = epilogue & 1 ? bias.data() : nullptr;
      forward.out.relu = epilogue & 2;
      forward.out.accumulate = epilogue & 4;
      run(forward, plan);
      EXPECT_EQ(y.values(), finished(wanted_y, epilogue & 1 ? &bias_values : nullptr, epilogue & 2,
                                     epilogue & 4 ? &old_y : nullptr))
          << "forward, epilogue " << epilogue;
    }
  });
  auto weight_grad = conv2d_products::weight_grad<T, Sum>(g, dy.data(), x.data(), nullptr);
  for_each_plan<T>(weight_grad, tf32, [&](const Plan& plan) {
    for (const bool accumulate : {false, true}) {
      DeviceArray<Sum> dfilters(host_w);
      weight_grad.out.data = dfilters.data();
      weight_grad.out.accumulate = accumulate;
      run(weight_grad, plan);
      EXPECT_EQ(dfilters.values(), finished(wanted_w, static_cast<std::vector<double>*>(nullptr),
                                            false, accumulate ? &old_w : nullptr))
          << "filters' gradient, accumulate " << accumulate;
      if constexpr (decltype(weight_grad)::has_row_sums) {
        DeviceArray<Sum> with_bias(host_w);
        DeviceArray<Sum> dbias(host_w);  // and what lies behind it
        auto both = weight_grad;
        both.out.data = with_bias.data();
        both.out.row_sums = dbias.data();
        run(both, plan);
        EXPECT_EQ(with_bias.values(), dfilters.values()) << "with the gradient of the bias";
        EXPECT_EQ(dbias.values(), tf32 ? old_w : wanted_bias) << "accumulate " << accumulate;
      }
    }
  });
  // The classes of a stride write to every s-th pixel, each in a launch of its own.
  const auto first = conv2d_products::data_grad<T>(g, dy.data(), filters.data(), nullptr, 0, 0);
  for_each_plan<T>(first, tf32, [&](const Plan& plan) {
    for (const bool accumulate : {false, true}) {
      DeviceArray<T> dx(host_x);
      for (int64_t ry = 0; ry < g.vertical().stride; ++ry) {
        for (int64_t rx = 0; rx < g.horizontal().stride; ++rx) {
          auto product =
              conv2d_products::data_grad<T>(g, dy.data(), filters.data(), dx.data(), ry, rx);
          product.out.accumulate = accumulate;
          // A class has its own pixels and taps.
          run(product, forced_plan(product, plan.pack, plan.tile, plan.splits, tf32));
        }
      }
      EXPECT_EQ(dx.values(), finished(wanted_x, static_cast<std::vector<double>*>(nullptr), false,
                                      accumulate ? &old_x : nullptr))
          << "data gradient, accumulate " << accumulate;
    }
  });
}

TEST_F(MatrixCombinations, OfFloat) {
  check_conv<float, float>(
      {2, 16, 5, 7, 24, 3, {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2}});
}
TEST_F(MatrixCombinations, OfTf32) {
  check_conv<float, float>({2, 16, 5, 4, 24, 3, {.stride = {2, 1}, .padding = 1, .groups = 2}},
                           true);
}
TEST_F(MatrixCombinations, OfDouble) {
  check_conv<double, double>(
      {1, 12, 5, 6, 18, {3, 2}, {.stride = {1, 2}, .padding = 1, .groups = 3}});
}
TEST_F(MatrixCombinations, OfBfloat16) {
  check_conv<bfloat16, float>({2, 32, 5, 4, 16, 3, {.stride = 2, .padding = 1, .groups = 2}});
}

// The sums of a over k beside a product, at sizes that make_plan splits or not, with results or
// none.
TEST_F(MatrixCombinations, OfSumsBesideGemm) {
  WholeNumbers numbers(4);
  for (const auto& [m, n, k] : std::vector<std::array<int64_t, 3>>{
           {10, 256, 512}, {300, 70, 33}, {5, 3, 0}, {7, 0, 20}, {1, 1, 1}, {64, 40, 4000}}) {
    SCOPED_TRACE(fmt::format("{} {} {}", m, n, k));
    const std::vector<float> a = numbers.make<float>(m * k);
    const std::vector<float> b = numbers.make<float>(k * n);
    std::vector<double> wanted(static_cast<size_t>(m), 0.0);
    std::vector<double> product(static_cast<size_t>(m * n), 0.0);
    for (int64_t q = 0; q < k; ++q) {
      for (int64_t row = 0; row < m; ++row) {
        const double factor = a[static_cast<size_t>(q * m + row)];
        wanted[static_cast<size_t>(row)] += factor;
        for (int64_t column = 0; column < n; ++column) {
          product[static_cast<size_t>(row * n + column)] +=
              factor * b[static_cast<size_t>(q * n + column)];
        }
      }
    }
    DeviceArray<float> device_a(a);
    DeviceArray<float> device_b(b);
    DeviceArray<float> c(m * n);
    DeviceArray<float> sums(numbers.make<float>(m));
    gemm_cuda<float>("gemm", {.transpose_a = true, .m = m, .n = n, .k = k}, device_a.data(),
                     device_b.data(), {.bias_grad = sums.data()}, c.data());
    EXPECT_EQ(sums.values(), wanted);
    EXPECT_EQ(c.values(), product);
  }
}

// Batches whose operands are shared or not, transposed or not, with every epilogue, long enough to
// be split.
TEST_F(MatrixCombinations, OfBatchesAndEpilogues) {
  constexpr int64_t m = 9;
  constexpr int64_t n = 6;
  constexpr int64_t k = 130;
  constexpr int64_t batches = 3;
  WholeNumbers numbers(17);
  const std::vector<float> a = numbers.make<float>(batches * m * k);
  const std::vector<float> b = numbers.make<float>(batches * k * n);
  const std::vector<float> old = numbers.make<float>(batches * m * n);
  const std::vector<double> bias = as_doubles(numbers.make<float>(n));
  const std::vector<double> old_values = as_doubles(old);
  DeviceArray<float> device_a(a);
  DeviceArray<float> device_b(b);
  DeviceArray<float> device_bias(std::vector<float>(bias.begin(), bias.end()));
  for (int kind = 0; kind < 16; ++kind) {
    const GemmProblem p{.transpose_a = (kind & 1) != 0,
                        .transpose_b = (kind & 2) != 0,
                        .m = m,
                        .n = n,
                        .k = k,
                        .batches = batches,
                        .stride_a = kind & 4 ? 0 : m * k,
                        .stride_b = kind & 8 ? 0 : k * n,
                        .stride_c = m * n};
    std::vector<double> sums;
    for (int64_t i = 0; i < batches * m * n; ++i) {
      const int64_t batch = i / (m * n);
      const int64_t row = i / n % m;
      const int64_t column = i % n;
      double sum = 0;
      for (int64_t q = 0; q < k; ++q) {
        const int64_t at_a = batch * p.stride_a + (p.transpose_a ? q * m + row : row * k + q);
        const int64_t at_b = batch * p.stride_b + (p.transpose_b ? column * k + q : q * n + column);
        sum += a[static_cast<size_t>(at_a)] * b[static_cast<size_t>(at_b)];
      }
      sums.push_back(sum);
    }
    for (const int epilogue : epilogues) {
      DeviceArray<float> c(old);
      gemm_cuda<float>("gemm", p, device_a.data(), device_b.data(),
                       {.bias = epilogue & 1 ? device_bias.data() : nullptr,
                        .relu = (epilogue & 2) != 0,
                        .accumulate = (epilogue & 4) != 0},
                       c.data());
      EXPECT_EQ(c.values(), finished(sums, epilogue & 1 ? &bias : nullptr, epilogue & 2,
                                     epilogue & 4 ? &old_values : nullptr))
          << "kind " << kind << ", epilogue " << epilogue;
    }
  }
}

}  // namespace
}  // namespace warptape
