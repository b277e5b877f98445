// bfloat16 as a dtype of tensors: what core does with it. The type itself is tested in
// tests/emulator/engine, the ops in their case tables.

#include <gtest/gtest.h>

#include "core/primitives.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

using Bits = std::vector<uint16_t>;

Tensor from_bits(const Bits& bits, const Shape& shape) {
  std::vector<simt::bfloat16> values;
  for (const uint16_t each : bits) {
    values.push_back(simt::bfloat16::from_bits(each));
  }
  return Tensor::from_vector(values, shape);
}

Bits bits_of(const Tensor& tensor) {
  Bits bits;
  for (const simt::bfloat16 each : tensor.to_vector<simt::bfloat16>()) {
    bits.push_back(each.bits);
  }
  return bits;
}

// Both zeros, subnormals, the largest, infinities, and NaNs that carry something.
const Bits special = {0x0000, 0x8000, 0x0001, 0x807F, 0x7F7F, 0x7F80,
                      0xFF80, 0x7F81, 0xFFC1, 0x3F80, 0xC049, 0x7FFF};

TEST(Bfloat16, ComputesInFloat32) {
  static_assert(std::is_same_v<Compute<simt::bfloat16>, float>);
  static_assert(std::is_same_v<Compute<double>, double>);
  EXPECT_EQ(compute_dtype(bfloat16), float32);
  EXPECT_EQ(compute_dtype(float64), float64);
  EXPECT_EQ(size_of(bfloat16), 2);
  EXPECT_TRUE(is_floating(bfloat16));
  EXPECT_STREQ(to_string(bfloat16), "bfloat16");
}

TEST(Bfloat16, MovesBitForBit) {
  for (const Device device : available_devices()) {
    const Tensor x = from_bits(special, {3, 4}).to(device);
    EXPECT_EQ(bits_of(x.clone()), special);
    EXPECT_EQ(bits_of(transpose(transpose(x, 0, 1), 0, 1)), special);
    EXPECT_EQ(bits_of(reshape(x, {2, 6})), special);
    EXPECT_EQ(bits_of(x.slice(1, 3)), Bits(special.begin() + 4, special.end()));
  }
}

TEST(Bfloat16, IsCastFromAndToEveryDtype) {
  const std::vector<float> values = {0, 1, -2.5F, 200, 3.140625F};
  for (const Device device : available_devices()) {
    for (const DType dtype : {float32, float64}) {
      const Tensor x = tensor(values, {5}).to(dtype).to(device);
      const Tensor narrow = primitives::cast(x, bfloat16);
      EXPECT_EQ(narrow.dtype(), bfloat16);
      EXPECT_EQ(primitives::cast(narrow, float32).to_vector<float>(), values);
    }
    const Tensor whole = tensor<int64_t>({0, 1, 255, 257, -3}, {5}).to(device);
    const Tensor narrow = primitives::cast(whole, bfloat16);
    EXPECT_EQ(primitives::cast(narrow, int64).to_vector<int64_t>(),
              (std::vector<int64_t>{0, 1, 255, 256, -3}));  // 257 lies between 256 and 258
  }
}

TEST(Bfloat16, PrintsAsPyTorchDoes) {
  const Tensor x = tensor<float>({1, 2.5F}, {2}).to(bfloat16);
  EXPECT_EQ(to_string(x), "tensor([1.0000, 2.5000], dtype=bfloat16)");
}

TEST(Bfloat16, FiniteIsAskedOfTheValue) {
  for (const Device device : available_devices()) {
    EXPECT_TRUE(primitives::all_finite(from_bits({0x7F7F, 0x0001}, {2}).to(device)));
    EXPECT_FALSE(primitives::all_finite(from_bits({0x7F80, 0x0001}, {2}).to(device)));
    EXPECT_FALSE(primitives::all_finite(from_bits({0x0001, 0x7F81}, {2}).to(device)));
  }
}

// The weight of a product, 1 + 2^-10, is not a bfloat16, nor is its gradient, a sum of 300 ones.
TEST(Bfloat16, GradientsOfFloat32ParametersAreNotRounded) {
  for (const Device device : available_devices()) {
    const Parameter weight(Tensor::full({1, 1}, 1, float32, device));
    const Parameter bias(Tensor::zeros({1}, float32, device));
    const Tensor x = Tensor::full({301, 1}, 1, bfloat16, device);
    Tape tape;
    const Tensor y = linear(x, weight.value().to(bfloat16), bias);
    EXPECT_EQ(y.dtype(), bfloat16);
    tape.backward(sum(y.to(float32)));
    EXPECT_EQ(weight.grad().dtype(), float32);
    EXPECT_EQ(weight.grad().item(), 301);  // 300 or 302 in bfloat16
    EXPECT_EQ(bias.grad().dtype(), float32);
    EXPECT_EQ(bias.grad().item(), 301);
  }
}

TEST(Bfloat16, ParametersOfItHaveGradientsOfIt) {
  for (const Device device : available_devices()) {
    const Parameter weight(Tensor::full({1, 1}, 1, bfloat16, device));
    const Tensor x = Tensor::full({301, 1}, 1, bfloat16, device);
    for (int pass = 1; pass <= 2; ++pass) {
      Tape tape;
      tape.backward(sum(linear(x, weight).to(float32)));
      EXPECT_EQ(weight.grad().dtype(), bfloat16);
      EXPECT_EQ(weight.grad().item(), pass == 1 ? 300 : 600) << "pass " << pass;
    }
  }
}

// What is used twice, once by an op that writes float32 and once by one that writes bfloat16.
TEST(Bfloat16, GradientsOfBothDtypesAddUp) {
  for (const Device device : available_devices()) {
    const Parameter weight(Tensor::full({1, 1}, 1, float32, device));
    const Tensor x = Tensor::full({301, 1}, 1, bfloat16, device);
    Tape tape;
    const Tensor narrow = weight.value().to(bfloat16);
    tape.backward(add(sum(linear(x, narrow).to(float32)), sum(mul(narrow, narrow).to(float32))));
    EXPECT_EQ(weight.grad().item(), 303);
  }
}

TEST(Bfloat16, OneDtypeIsAskedFor) {
  const Tensor narrow = Tensor::zeros({2, 2}, bfloat16);
  const Tensor wide = Tensor::zeros({2, 2});
  EXPECT_THROW(add(narrow, wide), DTypeError);
  EXPECT_THROW(matmul(narrow, wide), DTypeError);
  EXPECT_THROW(linear(narrow, wide), DTypeError);
  EXPECT_THROW(linear(wide, wide, Tensor::zeros({2}, bfloat16)), DTypeError);
  EXPECT_NO_THROW(linear(narrow, narrow, Tensor::zeros({2})));
  EXPECT_NO_THROW(linear(narrow, narrow, Tensor::zeros({2}, bfloat16)));
}

}  // namespace
}  // namespace warptape
