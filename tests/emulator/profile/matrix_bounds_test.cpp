// What the matrix core reads from device memory and what it asks of shared memory, per unit of
// work: tiles of 128 x 128 use every element that they load 128 times.

#include <gtest/gtest.h>

#include <algorithm>

#include "core/simt/bfloat16.h"
#include "emulator/device/emulated.h"
#include "emulator/profile/profile.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_products.h"
#include "kernels/matmul/gemm_cuda.h"
#include "kernels/pool/pool_windows.h"
#include "tests/kernels/cuda/forced_plan.h"
#include "tools/plan_notes.h"

namespace warptape {
namespace {

using simt::bfloat16;
using simt::profile::Access;
using simt::profile::Counts;
using simt::profile::Space;

// 256 pixels of 128 channels to 128 channels.
ConvGeometry geometry() {
  const Conv2dOptions options{.padding = 1};
  return conv_geometry("conv2d", Shape{1, 128, 16, 16}, Shape{128, 128, 3, 3}, options.axes(), 1);
}

ConvGeometry planar(const Shape& x, const Shape& filters, int64_t padding) {
  const Conv2dOptions options{.padding = padding};
  return conv_geometry("conv2d", x, filters, options.axes(), 1);
}

template <class T>
T* elements(Tensor& bytes) {
  return reinterpret_cast<T*>(bytes.mutable_data<uint8_t>());
}

Tensor bytes(int64_t count) {
  return Tensor::zeros({count}, uint8, cuda);
}

struct Traffic {
  double depth = 0;  // of the product
  double multiplications = 0;
  double bytes_read = 0;   // from device memory
  double wavefronts = 0;   // of shared memory
  double share_of_16 = 0;  // of bytes read or written
  Counts shared;
};

template <class Run>
std::vector<simt::profile::KernelProfile> profile_of(const Run& run) {
  gpu::synchronize();
  const gpu::emulated::MemoryRange memory = gpu::emulated::memory_range();
  simt::profile::start({memory.begin, memory.end});
  run();
  gpu::synchronize();
  return simt::profile::stop();
}

// In the largest tiles, or these.
template <class Product>
Traffic traffic_of(const Product& product, bool tf32, matrix::TileSize tile = {}) {
  constexpr int pack = matrix::pack_of<typename Product::In>;
  const matrix::Cores cores = matrix::cores_of<typename Product::In>(tf32);
  if (tile == matrix::TileSize()) {
    tile = are_tensor_cores(cores) ? matrix::mma_tile(cores)
                                   : matrix::TileSize{128, 128, matrix::fma_depth};
  }
  const auto kernels = profile_of([&] {
    on_cuda::launch_product("product", gpu::current_stream(), product,
                            forced_plan(product, pack, tile, 1, tf32),
                            static_cast<matrix::Accumulator<typename Product::In>*>(nullptr));
  });
  Traffic traffic;
  traffic.multiplications = static_cast<double>(product.out.rows.size()) * product.out.columns *
                            static_cast<double>(product.a.depth.size());
  traffic.depth = static_cast<double>(product.a.depth.size());
  const Counts read = kernels[0].total(Space::Device, Access::Read);
  traffic.bytes_read = static_cast<double>(read.moved_bytes());
  traffic.share_of_16 =
      std::min(read.share_of_16(), kernels[0].total(Space::Device, Access::Write).share_of_16());
  traffic.shared = kernels[0].total(Space::Shared);
  traffic.wavefronts = static_cast<double>(traffic.shared.wavefronts);
  return traffic;
}

template <class T>
double allowed_bytes(const Traffic& traffic, int thin = 128) {
  return 1.1 * traffic.multiplications * sizeof(T) * (1.0 / 128 + 1.0 / thin);
}

template <class T>
Tensor bytes_of(const Shape& shape) {
  return bytes(shape.numel() * static_cast<int64_t>(sizeof(T)));
}
template <class T>
Traffic forward_traffic(const ConvGeometry& g, bool tf32, matrix::TileSize tile = {}) {
  Tensor x = bytes_of<T>(g.x_shape());
  Tensor filters = bytes_of<T>(g.filter_shape());
  Tensor y = bytes_of<T>(g.y_shape());
  const T* from_x = elements<T>(x);
  const T* from_filters = elements<T>(filters);
  const Compute<T>* no_bias = nullptr;
  return traffic_of(
      conv2d_products::forward<T>(g, from_x, from_filters, no_bias, false, elements<T>(y)), tf32,
      tile);
}
template <class T>
Traffic data_grad_traffic(const ConvGeometry& g, bool tf32, matrix::TileSize tile = {}) {
  Tensor dy = bytes_of<T>(g.y_shape());
  Tensor filters = bytes_of<T>(g.filter_shape());
  Tensor dx = bytes_of<T>(g.x_shape());
  const T* from_dy = elements<T>(dy);
  const T* from_filters = elements<T>(filters);
  return traffic_of(conv2d_products::data_grad<T>(g, from_dy, from_filters, elements<T>(dx), 0, 0),
                    tf32, tile);
}
template <class T, class Sum>
Traffic weight_grad_traffic(const ConvGeometry& g, bool tf32, matrix::TileSize tile = {}) {
  Tensor dy = bytes_of<T>(g.y_shape());
  Tensor x = bytes_of<T>(g.x_shape());
  Tensor filters = bytes_of<Sum>(g.filter_shape());
  const T* from_dy = elements<T>(dy);
  const T* from_x = elements<T>(x);
  return traffic_of(
      conv2d_products::weight_grad<T, Sum>(g, from_dy, from_x, elements<Sum>(filters)), tf32, tile);
}

// The three products of a convolution, all with 128 rows and columns or more.
template <class T, class Sum, class Check>
void for_each_product(bool tf32, const Check& check) {
  const ConvGeometry g = geometry();
  check("forward", forward_traffic<T>(g, tf32));
  check("data gradient", data_grad_traffic<T>(g, tf32));
  check("weight gradient", weight_grad_traffic<T, Sum>(g, tf32));
}

// Three of 64 columns or, of filters' gradients, rows, in the tiles for these, as deep as those of
// SimpleCNN at least.
template <class T, class Sum, class Check>
void for_each_thin_product(bool tf32, const Check& check) {
  const matrix::Cores cores = matrix::cores_of<T>(tf32);
  const matrix::TileSize few_columns = matrix::thin_mma_tile(cores, false);
  const matrix::TileSize few_rows = matrix::thin_mma_tile(cores, true);
  check("forward",
        forward_traffic<T>(planar({1, 128, 16, 8}, {64, 128, 3, 3}, 1), tf32, few_columns));
  check("data gradient",
        data_grad_traffic<T>(planar({1, 64, 16, 8}, {128, 64, 3, 3}, 1), tf32, few_columns));
  check("weight gradient",
        weight_grad_traffic<T, Sum>(planar({1, 32, 33, 33}, {64, 32, 2, 2}, 0), tf32, few_rows));
}

TEST(ProfileBounds, MatrixCoreInFloat) {
  for_each_product<float, float>(false, [](const char* name, const Traffic& traffic) {
    EXPECT_GT(traffic.bytes_read, 0) << name;
    EXPECT_LE(traffic.bytes_read, allowed_bytes<float>(traffic)) << name;
    EXPECT_LE(traffic.wavefronts / (traffic.multiplications / 32), 0.30) << name;
    EXPECT_LE(traffic.shared.bank_factor(), 1.05) << name;
  });
}

// Wavefronts of shared memory per instruction. A warp's 64 x 64 take (4 + 4) x 4 of fragments for
// 32 instructions; the copies of 128 + 128 rows of 32 bytes take 64 for 128, of 128 + 64 rows 48
// for 64; a result goes through it twice as a float.
double expected_wavefronts(const Traffic& traffic, int depth, bool thin) {
  const double results = 16.0 * 8 * depth / traffic.depth;
  return 1 + (thin ? 0.75 : 0.5) + results * 2 * 4 / 128;
}

template <class T>
void check_tensor_cores(const char* name, const Traffic& traffic, int depth, bool thin) {
  EXPECT_GT(traffic.bytes_read, 0) << name;
  EXPECT_LE(traffic.bytes_read, allowed_bytes<T>(traffic, thin ? 64 : 128)) << name;
  EXPECT_LE(traffic.wavefronts / (traffic.multiplications / (16 * 8 * depth)),
            1.05 * expected_wavefronts(traffic, depth, thin))
      << name;
  EXPECT_LE(traffic.shared.bank_factor(), 1.05) << name;
  EXPECT_GE(traffic.share_of_16, 0.95) << name;
}
template <class T, class Sum>
void check_tensor_cores(int depth, bool tf32, bool thin = false) {
  const auto check = [&](const char* name, const Traffic& traffic) {
    check_tensor_cores<T>(name, traffic, depth, thin);
  };
  if (thin) {
    for_each_thin_product<T, Sum>(tf32, check);
  } else {
    for_each_product<T, Sum>(tf32, check);
  }
}
TEST(ProfileBounds, MatrixCoreInBfloat16) {
  check_tensor_cores<bfloat16, float>(16, false);
}
TEST(ProfileBounds, MatrixCoreInTf32) {
  check_tensor_cores<float, float>(8, true);
}
TEST(ProfileBounds, ThinTilesOfTensorCores) {
  check_tensor_cores<bfloat16, float>(16, false, true);
  check_tensor_cores<float, float>(8, true, true);
}

// Pooled on the way out, written pixel by pixel and row by row: 16 bytes at once, of indices too.
template <class T>
void check_pooled(bool tf32, matrix::TileSize tile = {}) {
  const ConvGeometry g = conv_geometry("conv2d", Shape{1, 128, 16, 16}, Shape{128, 128, 1, 1},
                                       Conv2dOptions().axes(), 1);
  const PoolGeometry pool{.batch = 1,
                          .channels = 128,
                          .height = 16,
                          .width = 16,
                          .out_height = 8,
                          .out_width = 8,
                          .kernel = 2,
                          .stride = 2,
                          .padding = 0,
                          .dilation = 1};
  Tensor x = bytes(256 * 128 * static_cast<int64_t>(sizeof(T)));
  Tensor filters = bytes(128 * 128 * static_cast<int64_t>(sizeof(T)));
  Tensor y = bytes(64 * 128 * static_cast<int64_t>(sizeof(T)));
  Tensor indices = bytes(64 * 128);
  const Compute<T>* no_bias = nullptr;
  for (const bool by_rows : {false, true}) {
    SCOPED_TRACE(by_rows);
    const Traffic traffic =
        traffic_of(conv2d_products::forward_pooled<T>(g, pool, elements<T>(x), elements<T>(filters),
                                                      no_bias, true, by_rows, elements<T>(y),
                                                      indices.mutable_data<uint8_t>()),
                   tf32, tile);
    EXPECT_GT(traffic.bytes_read, 0);
    EXPECT_LE(traffic.shared.bank_factor(), 1.05);
    EXPECT_GE(traffic.share_of_16, 0.95);
  }
}
TEST(ProfileBounds, PooledProducts) {
  check_pooled<float>(false);
  check_pooled<float>(false, {128, 64, matrix::fma_depth});
  check_pooled<float>(true);
  check_pooled<bfloat16>(false);
}

// A tile of 64 columns uses what it loads of the left operand half as often.
TEST(ProfileBounds, NarrowTilesBreakThem) {
  const ConvGeometry g = geometry();
  Tensor x = bytes(256 * 128 * 4);
  Tensor filters = bytes(128 * 9 * 128 * 4);
  Tensor y = bytes(256 * 128 * 4);
  const float* no_bias = nullptr;
  const Traffic traffic =
      traffic_of(conv2d_products::forward<float>(g, elements<float>(x), elements<float>(filters),
                                                 no_bias, false, elements<float>(y)),
                 false, {128, 64, matrix::fma_depth});
  EXPECT_GT(traffic.bytes_read, allowed_bytes<float>(traffic));
}

// Plain products, whichever operand is transposed: each element once per tile, by 16 bytes. Blocks
// that share a tile read each other's sums besides.
TEST(ProfileBounds, MatrixCoreOfGemm) {
  constexpr int64_t size = 128;
  Tensor a = bytes(size * size * 4);
  Tensor b = bytes(size * size * 4);
  Tensor c = bytes(size * size * 4);
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      const GemmProblem problem{transpose_a, transpose_b, size, size, size};
      const PlanNotes notes;
      const auto kernels = profile_of([&] {
        gemm_cuda<float>("gemm", problem, elements<float>(a), elements<float>(b), {},
                         elements<float>(c));
      });
      ASSERT_EQ(notes.plans().size(), 1u);
      ASSERT_NE(notes.plans()[0].find("tiles of 64x64"), std::string::npos) << notes.plans()[0];
      for (const auto& kernel : kernels) {
        if (kernel.function.find("fma_kernel") == std::string::npos) {
          continue;
        }
        const Counts read = kernel.total(Space::Device, Access::Read);
        EXPECT_GE(read.share_of_16(), 0.99);
        const int splits = matrix::make_plan({size, size, size}, matrix::Cores::Float, 4).splits;
        const double sums = splits > 1 ? splits * size * size * 4.0 : 0;
        EXPECT_LE(static_cast<double>(read.moved_bytes()),
                  1.05 * (size * size * size * 4.0 / 32 + sums));
        EXPECT_LE(kernel.total(Space::Shared).bank_factor(), 1.05);
      }
    }
  }
}

}  // namespace
}  // namespace warptape
