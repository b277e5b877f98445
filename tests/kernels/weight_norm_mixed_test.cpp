// Weight norm whose w is bfloat16 beside float32 v and g, on every device. All paths of the kernels
// are in cuda/weight_norm_mixed_cuda_test.cpp.

#include <gtest/gtest.h>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "kernels/weight_norm/weight_norm.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

std::vector<uint16_t> bits_of(const Tensor& tensor) {
  std::vector<uint16_t> bits;
  for (const simt::bfloat16 each : tensor.to(cpu).to_vector<simt::bfloat16>()) {
    bits.push_back(each.bits);
  }
  return bits;
}

TEST(WeightNormMixed, IsWhatFloat32GivesRoundedOnce) {
  for (const Device device : available_devices()) {
    for (const Shape& shape : {Shape{7}, Shape{31, 33}, Shape{6, 5, 3, 2}, Shape{3, 0}}) {
      Shape gains = shape;
      for (int d = 1; d < shape.rank(); ++d) {
        gains[d] = 1;
      }
      const Tensor v = randn(shape).to(device);
      const Tensor g = randn(gains).to(device);
      const Tensor w = weight_norm(v, g, {.dtype = bfloat16});
      EXPECT_EQ(bits_of(w), bits_of(weight_norm(v, g).to(bfloat16)));
      EXPECT_EQ(weight_norm(v, g, {.dtype = float32}).dtype(), float32);
    }
  }
}

// Gradients with respect to v and g of a loss of w, made of float32 by a cast or written at once.
struct Gradients {
  Parameter v, g;
  std::vector<float> dv, dg;

  template <class Loss>
  Gradients(const Tensor& v_value, const Tensor& g_value, bool cast, const Loss& loss)
      : v(v_value.clone()), g(g_value.clone()) {
    WeightNormCache cache;
    for (int pass = 0; pass < 2; ++pass) {  // the second is added to the first
      Tape tape;
      const auto w = [&] {
        return cast ? weight_norm(v, g, cache).to(bfloat16)
                    : weight_norm(v, g, cache, {.dtype = bfloat16});
      };
      tape.backward(loss(w));
    }
    dv = v.grad().to_vector<float>();
    dg = g.grad().to_vector<float>();
  }
};

template <class Loss>
void expect_gradients_of_the_cast(const Tensor& v, const Tensor& g, const Loss& loss) {
  const Gradients cast(v, g, true, loss);
  const Gradients at_once(v, g, false, loss);
  EXPECT_EQ(at_once.dv, cast.dv);
  EXPECT_EQ(at_once.dg, cast.dg);
  EXPECT_EQ(at_once.v.grad().dtype(), float32);
}

TEST(WeightNormMixed, GradientsAreThoseOfACastBitForBit) {
  for (const Device device : available_devices()) {
    const Tensor x = randn({5, 9}).to(bfloat16).to(device);
    const Tensor v = randn({9, 9}).to(device);
    const Tensor g = randn({9, 1}).to(device);
    expect_gradients_of_the_cast(v, g, [&](const auto& w) {
      const Tensor y = linear(x, w());
      return sum(mul(y, y).to(float32));
    });
    // Used twice.
    expect_gradients_of_the_cast(
        v, g, [&](const auto& w) { return sum(exp(linear(linear(x, w()), w())).to(float32)); });
    // By an op whose gradient is a bfloat16.
    expect_gradients_of_the_cast(v, g, [&](const auto& w) {
      const Tensor own = w();
      return sum(mul(own, own));
    });
    const Tensor images = randn({2, 3, 6, 6}).to(bfloat16).to(device);
    expect_gradients_of_the_cast(randn({4, 3, 3, 3}).to(device), randn({4, 1, 1, 1}).to(device),
                                 [&](const auto& w) {
                                   const Tensor y = conv2d(images, w());
                                   return sum(mul(y, y).to(float32));
                                 });
  }
}

// dw is 1 + 2^-9 and 3 + 2^-9, sums of two products each: bfloat16 would make 1 and 3 of them.
TEST(WeightNormMixed, TheGradientOfWIsNotRounded) {
  for (const Device device : available_devices()) {
    const Parameter v(tensor<float>({1, 0}, {1, 2}).to(device));
    const Parameter g(Tensor::ones({1, 1}).to(device));
    const Tensor x = tensor<float>({1, 3, 0x1p-9f, 0x1p-9f}, {2, 2}).to(bfloat16).to(device);
    Tape tape;
    tape.backward(sum(linear(x, weight_norm(v, g, {.dtype = bfloat16}))));
    EXPECT_EQ(g.grad().to_vector<float>(), std::vector<float>({1 + 0x1p-9f}));
    EXPECT_EQ(v.grad().to_vector<float>(), std::vector<float>({0, 3 + 0x1p-9f}));
  }
}

TEST(WeightNormMixed, ACacheNoticesAnotherDtype) {
  for (const Device device : available_devices()) {
    Parameter v(randn({4, 5}).to(device));
    Parameter g(randn({4, 1}).to(device));
    WeightNormCache cache;
    const std::vector<float> wide = weight_norm(v, g, cache).to_vector<float>();
    const Tensor w = weight_norm(v, g, cache, {.dtype = bfloat16});
    EXPECT_EQ(bits_of(w), bits_of(tensor(wide, {4, 5}).to(bfloat16)));
    const void* const address = w.raw_data();
    EXPECT_EQ(weight_norm(v, g, cache, {.dtype = bfloat16}).raw_data(), address);
    EXPECT_EQ(weight_norm(v, g, cache).to_vector<float>(), wide);
    // Within a tape each dtype has its record.
    Tape tape;
    const Tensor first = weight_norm(v, g, cache, {.dtype = bfloat16});
    const Tensor second = weight_norm(v, g, cache);
    EXPECT_EQ(tape.num_records(), 2U);
    tape.backward(sum(add(first.to(float32), second)));
    const std::vector<float> both = g.grad().to_vector<float>();
    g.zero_grad();
    v.zero_grad();
    Tape plain;
    plain.backward(sum(weight_norm(v, g)));
    const std::vector<float> once = g.grad().to_vector<float>();
    for (size_t i = 0; i < once.size(); ++i) {
      EXPECT_FLOAT_EQ(both[i], 2 * once[i]);
    }
  }
}

}  // namespace
}  // namespace warptape
