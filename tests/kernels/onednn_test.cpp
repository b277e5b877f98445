// What oneDNN takes: where it does not, the loops serve, which are right and far slower.

#include "kernels/vendor/onednn.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "core/random.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/matmul/gemm.h"

namespace warptape {
namespace {

bool has_fast_convolution(const Conv2dOptions& options, DType dtype) {
  const Shape filters{16, 16 / options.groups, 3, 3};
  const ConvGeometry g =
      conv_geometry("conv2d", Shape{2, 16, 8, 8}, filters, options.axes(), options.groups);
  const auto image = [&](const Shape& shape) {
    return Tensor::zeros(shape, dtype).to(MemoryFormat::ChannelsLast);
  };
  Tensor x = image(g.x_shape());
  Tensor y = image(g.y_shape());
  const Tensor weight = Tensor::zeros(filters, dtype);
  Tensor dweight = Tensor::zeros(filters, compute_dtype(dtype));
  const Tensor bias = Tensor::zeros({16}, compute_dtype(dtype));
  return conv2d_forward_onednn(x, weight, Tensor(), g, y) &&
         conv2d_forward_onednn(x, weight, bias, g, y) && conv2d_data_grad_onednn(y, weight, g, x) &&
         conv2d_weight_grad_onednn(y, x, g, dweight);
}

// It is told both sides of the padding.
TEST(Onednn, HasFastConvolutions) {
  for (DType dtype : {float32, bfloat16}) {
    if (!onednn_is_used() || !onednn_takes(dtype)) {
      continue;  // no oneDNN, or no instructions for it
    }
    EXPECT_TRUE(has_fast_convolution({}, dtype));
    SCOPED_TRACE(to_string(dtype));
    EXPECT_TRUE(has_fast_convolution({.padding = 1}, dtype));
    EXPECT_TRUE(has_fast_convolution({.stride = 2, .padding = 1}, dtype));
    EXPECT_TRUE(has_fast_convolution({.dilation = 2}, dtype));
    EXPECT_TRUE(has_fast_convolution({.groups = 16}, dtype));
    EXPECT_TRUE(has_fast_convolution({.padding = Sides2d{.top = 2, .left = 2}}, dtype));
    EXPECT_TRUE(has_fast_convolution({.padding = Sides2d{.bottom = 2, .right = 1}}, dtype));
    EXPECT_TRUE(has_fast_convolution({.padding = Padding2d::same()}, dtype));
  }
}

// Freed memory that oneDNN may get next is full of threes, as bfloat16.
void dirty_memory() {
  std::vector<std::vector<unsigned char>> blocks;
  for (size_t size = 256; size <= size_t{1} << 20; size *= 2) {
    blocks.emplace_back(size, static_cast<unsigned char>(0x40));
  }
}

// Of a causal convolution with a stride, over one element: most taps lie in the padding for ever.
TEST(Onednn, GivesTapsInThePaddingNoGradient) {
  if (!onednn_is_used() || !onednn_takes(bfloat16)) {
    GTEST_SKIP() << "no oneDNN, or no instructions for bfloat16";
  }
  for (const int64_t channels : {3, 16, 64}) {
    for (const int64_t stride : {2, 3}) {
      const Shape filters{channels, channels, 1, 8};
      const Conv2dOptions options{.stride = {1, stride}, .padding = Sides2d{.left = 7}};
      const ConvGeometry g =
          conv_geometry("conv2d", Shape{1, channels, 1, 1}, filters, options.axes(), 1);
      const auto ones = [](const Shape& shape) {
        return Tensor::ones(shape, bfloat16).to(MemoryFormat::ChannelsLast);
      };
      std::vector<float> wanted;
      for (int64_t i = 0; i < channels * channels * 8; ++i) {
        wanted.push_back(i % 8 == 7 ? 1.0F : 0.0F);
      }
      Tensor dweight = Tensor::full(filters, 7);
      dirty_memory();
      ASSERT_TRUE(conv2d_weight_grad_onednn(ones(g.y_shape()), ones(g.x_shape()), g, dweight));
      EXPECT_EQ(dweight.to_vector<float>(), wanted) << channels << " channels, stride " << stride;
    }
  }
}

TEST(Onednn, MultipliesBfloat16AsItIs) {
  if (!onednn_takes(bfloat16)) {
    GTEST_SKIP() << "no oneDNN, or no instructions for bfloat16";
  }
  Generator generator(5);
  const int64_t m = 5;
  const int64_t n = 7;
  const int64_t k = 33;
  const Tensor a = randn({m, k}, bfloat16, generator);
  const Tensor b = randn({k, n}, bfloat16, generator);
  const auto pa = a.data<simt::bfloat16>();
  const auto pb = b.data<simt::bfloat16>();
  for (bool transpose_a : {false, true}) {
    for (bool transpose_b : {false, true}) {
      std::vector<double> wanted(m * n, 1.0);
      for (int64_t i = 0; i < m * n * k; ++i) {
        const int64_t row = i / k / n;
        const int64_t column = i / k % n;
        const int64_t p = i % k;
        wanted[i / k] += static_cast<double>(pa[transpose_a ? p * m + row : row * k + p]) *
                         static_cast<double>(pb[transpose_b ? column * k + p : p * n + column]);
      }
      std::vector<float> sums(m * n, 1.0F);
      std::vector<float> products(m * n, 9.0F);
      std::vector<simt::bfloat16> rounded(m * n);
      ASSERT_TRUE(gemm_onednn(transpose_a, transpose_b, m, n, k, pa, pb, true, sums.data()));
      ASSERT_TRUE(gemm_onednn(transpose_a, transpose_b, m, n, k, pa, pb, false, products.data()));
      ASSERT_TRUE(gemm_onednn(transpose_a, transpose_b, m, n, k, pa, pb, false, rounded.data()));
      for (size_t i = 0; i < wanted.size(); ++i) {
        // Sums of k products below 16, in float: k * 16 * 2^-24.
        EXPECT_NEAR(sums[i], wanted[i], 4e-5) << transpose_a << transpose_b << " at " << i;
        EXPECT_NEAR(products[i], wanted[i] - 1, 4e-5);
        EXPECT_NEAR(static_cast<float>(rounded[i]), wanted[i] - 1,
                    4e-5 + std::abs(wanted[i] - 1) / 256);
      }
    }
  }
}

// ctest runs this and the case tables of products a second time under this limit
// (tests/CMakeLists.txt), so that the way through float32 copies is tested on every processor.
TEST(Onednn, CanBeLimited) {
  const char* limit = std::getenv("ONEDNN_MAX_CPU_ISA");
  if (!onednn_is_built_in() || limit == nullptr || limit != std::string("AVX512_CORE")) {
    GTEST_SKIP() << "ONEDNN_MAX_CPU_ISA is not AVX512_CORE, or there is no oneDNN";
  }
  EXPECT_FALSE(onednn_takes(bfloat16));
  EXPECT_TRUE(onednn_takes(float32));
}

}  // namespace
}  // namespace warptape
