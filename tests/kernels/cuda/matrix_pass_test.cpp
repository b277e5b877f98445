// Products whose results go through other ops before they leave the chip, under each tile, width of
// load and split, against the naive twin and those ops on the host, to the bit: sums of whole
// numbers are exact. Plans are forced, so that small products reach them all.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/gradient_marks.h"
#include "kernels/conv2d/conv2d_products.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/case_run.h"
#include "tests/kernels/cuda/forced_plan.h"
#include "tests/kernels/cuda/whole_numbers.h"

namespace warptape {
namespace {

class MatrixPass : public GpuTest {};

using matrix::Plan;
using simt::bfloat16;

template <class Product>
void run(const Product& product, const Plan& plan) {
  using Sum = matrix::Accumulator<typename Product::In>;
  DeviceArray<Sum> partials(matrix::partial_sums<Product>(plan));
  on_cuda::launch_product("product", gpu::current_stream(), product, plan, partials.data());
}

// The tiles that passes have.
template <class T>
std::vector<matrix::TileSize> tiles(int pack, bool tf32) {
  const matrix::Cores cores = matrix::cores_of<T>(tf32);
  if (are_tensor_cores(cores) && pack > 1) {
    return {matrix::mma_tile(cores), matrix::thin_mma_tile(cores, false)};
  }
  if (are_tensor_cores(cores)) {
    return {matrix::mma_tile(cores)};
  }
  const int square = matrix::fma_square * matrix::pack_of<T>;
  return {{2 * square, square, matrix::fma_depth}, {square, square, matrix::fma_depth}};
}

template <class Product, class Body>
void for_each_plan(const Product& product, bool tf32, const Body& body) {
  using T = typename Product::In;
  const int most = matrix::plan_product(product).pack;
  ASSERT_TRUE(most > 1 || !tf32);
  for (const int pack : tf32       ? std::vector{most}
                        : most > 1 ? std::vector{1, most}
                                   : std::vector{1}) {
    for (const matrix::TileSize& tile : tiles<T>(pack, tf32)) {
      for (const int splits : {1, 3}) {
        const Plan plan = forced_plan(product, pack, tile, splits, tf32);
        SCOPED_TRACE(to_string(plan));
        body(plan);
      }
    }
  }
}

template <class T>
double rounded(double value) {
  return static_cast<double>(static_cast<Compute<T>>(static_cast<T>(static_cast<float>(value))));
}

template <class T>
void check(const ConvCase& test, bool tf32 = false) {
  SCOPED_TRACE(test.to_string());
  const ConvGeometry g = test.geometry();
  const on_cuda::NaiveConv naive = naive_of(g);
  WholeNumbers numbers(5);
  const int64_t size_x = g.batch * g.pixels() * g.in_channels;
  const int64_t size_y = g.batch * g.out_pixels() * g.out_channels;
  const int64_t size_w = g.out_channels * conv2d_products::filter_size(g);
  const std::vector<T> host_residual = numbers.make<T>(size_y);
  const std::vector<Compute<T>> host_bias = numbers.make<Compute<T>>(g.out_channels);
  DeviceArray<T> x(numbers.make<T>(size_x));
  DeviceArray<T> filters(numbers.make<T>(size_w));
  DeviceArray<T> dy(numbers.make<T>(size_y));
  DeviceArray<T> residual(host_residual);
  DeviceArray<Compute<T>> bias(host_bias);
  DeviceArray<T> naive_y(size_y);
  DeviceArray<T> naive_dx(size_x);
  on_cuda::naive_conv_forward(gpu::current_stream(), naive, x.data(), filters.data(),
                              naive_y.data());
  on_cuda::naive_conv_data_grad(gpu::current_stream(), naive, dy.data(), filters.data(),
                                naive_dx.data());
  const std::vector<double> sums = naive_y.values();
  const std::vector<double> gradients = naive_dx.values();

  // Half of all elements are dropped.
  const RandomStream random{.seed = 7, .stream = 3};
  std::vector<double> wanted_y;
  std::vector<double> wanted_marks;
  for (int64_t i = 0; i < size_y; ++i) {
    const auto at = static_cast<size_t>(i);
    const int64_t channel = i % g.out_channels;
    const int64_t place = i / g.out_channels % g.out_pixels();
    const int64_t image = i / g.out_channels / g.out_pixels();
    const auto index = (image * g.out_channels + channel) * g.out_pixels() + place;
    const bool is_kept = random.word(static_cast<uint64_t>(index)) >= 0x80000000U;
    const double sum =
        rounded<T>(sums[at] + static_cast<double>(host_bias[static_cast<size_t>(channel)]));
    const double dropped = is_kept && sum > 0 ? rounded<T>(2 * sum) : 0;
    const double value =
        rounded<T>(dropped + static_cast<double>(static_cast<Compute<T>>(host_residual[at])));
    const bool passes = value > 0;
    wanted_y.push_back(passes ? value : 0);
    wanted_marks.push_back((is_kept && sum > 0 && passes ? gradient_marks::inner : 0) +
                           (passes ? gradient_marks::outer : 0));
  }
  auto forward =
      conv2d_products::forward_pass<T>(g, x.data(), filters.data(), bias.data(), nullptr);
  for_each_plan(forward, tf32, [&](const Plan& plan) {
    DeviceArray<T> y(size_y);
    DeviceArray<uint8_t> marks(size_y);
    auto& out = forward.out;
    out.data = y.data();
    out.relu = out.drops = out.relu_after = true;
    out.least_kept = 0x80000000U;
    out.scale = 2;
    out.random = random;
    out.residual = residual.data();
    out.marks = marks.data();
    out.choose_packs();
    run(forward, plan);
    EXPECT_EQ(y.values(), wanted_y);
    EXPECT_EQ(marks.values(), wanted_marks);
  });

  const std::vector<T> host_part = numbers.make<T>(size_x);
  std::vector<uint8_t> host_marks;
  for (int64_t i = 0; i < size_x; ++i) {
    host_marks.push_back(static_cast<uint8_t>(numbers.between(0, 3)));
  }
  std::vector<double> wanted_inner;
  std::vector<double> wanted_outer;
  for (int64_t i = 0; i < size_x; ++i) {
    const auto at = static_cast<size_t>(i);
    const double sum =
        rounded<T>(gradients[at] + static_cast<double>(static_cast<Compute<T>>(host_part[at])));
    wanted_outer.push_back((host_marks[at] & gradient_marks::outer) != 0 ? sum : 0);
    wanted_inner.push_back((host_marks[at] & gradient_marks::inner) != 0 ? rounded<T>(2 * sum) : 0);
  }
  DeviceArray<uint8_t> marks(host_marks);
  const auto first = conv2d_products::masked_data_grad<T>(
      g, dy.data(), filters.data(), {naive_dx.data(), nullptr, nullptr, marks.data()}, 2, 0, 0);
  for_each_plan(first, tf32, [&](const Plan& plan) {
    DeviceArray<T> inner(size_x);
    DeviceArray<T> outer(host_part);  // in the place of the part
    conv2d_products::for_each_residue(g, [&](int64_t ry, int64_t rx) {
      const auto product = conv2d_products::masked_data_grad<T>(
          g, dy.data(), filters.data(), {inner.data(), outer.data(), outer.data(), marks.data()}, 2,
          ry, rx);
      run(product, forced_plan(product, plan.pack, plan.tile, plan.splits, tf32));
    });
    EXPECT_EQ(inner.values(), wanted_inner);
    EXPECT_EQ(outer.values(), wanted_outer);
  });
}

TEST_F(MatrixPass, OfFloat) {
  // Lines that are not whole blocks of random words, and whole ones; more rows than a tile has.
  check<float>({2, 16, 1, 35, 24, {1, 3}, {.padding = {0, 2}, .groups = 2}});
  check<float>({1, 8, 1, 144, 5, {1, 3}, {.padding = {0, 2}, .dilation = {1, 2}}});
  // Groups that are no whole packs in pixels that are.
  check<float>({1, 12, 1, 24, 12, {1, 2}, {.groups = 2}});
  check<float>({1, 6, 1, 24, 70, {1, 2}, {.stride = {1, 2}}});
}
TEST_F(MatrixPass, OfTf32) {
  check<float>({1, 16, 1, 67, 24, {1, 3}, {.padding = {0, 2}, .groups = 2}}, true);
}
TEST_F(MatrixPass, OfBfloat16) {
  check<bfloat16>({2, 32, 1, 36, 16, {1, 3}, {.padding = {0, 2}, .groups = 2}});
  check<bfloat16>({1, 6, 1, 23, 5, {1, 2}, {.stride = {1, 2}}});
}

}  // namespace
}  // namespace warptape
