// What the matrix core reads from device memory and what it asks of shared memory, per unit of
// work: tiles of 128 x 128 use every element that they load 128 times.

#include <gtest/gtest.h>

#include "core/device/emulated/emulated.h"
#include "core/simt/bfloat16.h"
#include "core/simt/profile/profile.h"
#include "kernels/conv2d/conv2d_products.h"

namespace warptape {
namespace {

using simt::bfloat16;
using simt::profile::Access;
using simt::profile::Counts;
using simt::profile::Space;

// 256 pixels of 128 channels to 128 channels.
ConvGeometry geometry() {
  return {1, 128, 16, 16, 128, 3, 3, 16, 16, {.padding = 1}};
}

template <class T>
T* elements(Tensor& bytes) {
  return reinterpret_cast<T*>(bytes.mutable_data<uint8_t>());
}

Tensor bytes(int64_t count) {
  return Tensor::zeros({count}, uint8, Device{DeviceType::CUDA});
}

struct Traffic {
  double multiplications = 0;
  double bytes_read = 0;  // from device memory
  double wavefronts = 0;  // of shared memory
  Counts shared;
};

template <class Product>
Traffic traffic_of(const Product& product) {
  gpu::synchronize();
  const gpu::emulated::MemoryRange memory = gpu::emulated::memory_range();
  simt::profile::start({memory.begin, memory.end});
  matrix::run_product("product", product);
  gpu::synchronize();
  const auto kernels = simt::profile::stop();
  Traffic traffic;
  traffic.multiplications = static_cast<double>(product.out.rows.size()) * product.out.columns *
                            static_cast<double>(product.a.depth.size());
  // The second launch of a split depth is not the core.
  traffic.bytes_read =
      static_cast<double>(kernels[0].total(Space::Device, Access::Read).moved_bytes());
  traffic.shared = kernels[0].total(Space::Shared);
  traffic.wavefronts = static_cast<double>(traffic.shared.wavefronts);
  return traffic;
}

template <class T>
double allowed_bytes(const Traffic& traffic) {
  return 1.1 * traffic.multiplications * sizeof(T) * (1.0 / 128 + 1.0 / 128);
}

// The three products of a convolution, all with 128 rows and columns or more.
template <class T, class Sum, class Check>
void for_each_product(const Check& check) {
  const ConvGeometry g = geometry();
  Tensor x = bytes(256 * 128 * static_cast<int64_t>(sizeof(T)));
  Tensor filters = bytes(128 * 9 * 128 * static_cast<int64_t>(sizeof(Sum)));
  Tensor y = bytes(256 * 128 * static_cast<int64_t>(sizeof(T)));
  const T* no_bias = nullptr;
  const T* from_x = elements<T>(x);
  const T* from_y = elements<T>(y);
  const T* from_filters = elements<T>(filters);
  check("forward", traffic_of(conv2d_products::forward<T>(g, from_x, from_filters, no_bias, false,
                                                          elements<T>(y))));
  check("data gradient",
        traffic_of(conv2d_products::data_grad<T>(g, from_y, from_filters, elements<T>(x), 0, 0)));
  check("weight gradient", traffic_of(conv2d_products::weight_grad<T, Sum>(
                               g, from_y, from_x, elements<Sum>(filters))));
}

TEST(ProfileBounds, MatrixCoreInFloat) {
  for_each_product<float, float>([](const char* name, const Traffic& traffic) {
    EXPECT_GT(traffic.bytes_read, 0) << name;
    EXPECT_LE(traffic.bytes_read, allowed_bytes<float>(traffic)) << name;
    EXPECT_LE(traffic.wavefronts / (traffic.multiplications / 32), 0.30) << name;
    EXPECT_LE(traffic.shared.bank_factor(), 1.05) << name;
  });
}

TEST(ProfileBounds, MatrixCoreInBfloat16) {
  for_each_product<bfloat16, float>([](const char* name, const Traffic& traffic) {
    EXPECT_GT(traffic.bytes_read, 0) << name;
    EXPECT_LE(traffic.bytes_read, allowed_bytes<bfloat16>(traffic)) << name;
    EXPECT_LE(traffic.wavefronts / (traffic.multiplications / (16 * 8 * 16)), 2.1) << name;
    EXPECT_LE(traffic.shared.bank_factor(), 1.05) << name;
  });
}

// A tile of 64 columns uses what it loads of the left operand half as often.
TEST(ProfileBounds, NarrowTilesBreakThem) {
  ConvGeometry g = geometry();
  g.out_channels = 64;  // one tile of 64 columns
  Tensor x = bytes(256 * 128 * 4);
  Tensor filters = bytes(64 * 9 * 128 * 4);
  Tensor y = bytes(256 * 64 * 4);
  const float* no_bias = nullptr;
  const Traffic traffic = traffic_of(conv2d_products::forward<float>(
      g, elements<float>(x), elements<float>(filters), no_bias, false, elements<float>(y)));
  EXPECT_GT(traffic.bytes_read, allowed_bytes<float>(traffic));
}

}  // namespace
}  // namespace warptape
