#include "layers/precision.h"

#include <gtest/gtest.h>

#include "core/profile.h"
#include "core/tape.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/ops.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/state_dict.h"
#include "layers/weight_norm.h"
#include "models/simple_cnn.h"
#include "tests/kernels/devices.h"

namespace warptape {
namespace {

using Bits = std::vector<uint16_t>;

Bits bits_of(const Tensor& tensor) {
  Bits bits;
  for (const simt::bfloat16 each : tensor.to_vector<simt::bfloat16>()) {
    bits.push_back(each.bits);
  }
  return bits;
}

TEST(Precision, ALayerComputesWithRoundedWeights) {
  for (const Device device : available_devices()) {
    manual_seed(3);
    Linear layer(7, 5);
    weight_norm(layer);
    layer.to(device);
    const Tensor x = randn({4, 7}).to(device);
    const Tensor wanted = linear(x.to(bfloat16), layer.weight.value().to(bfloat16), layer.bias);
    set_precision(layer, bfloat16);
    const Tensor y = layer(x);
    EXPECT_EQ(y.dtype(), bfloat16);
    EXPECT_EQ(bits_of(y), bits_of(wanted));
    EXPECT_EQ(layer.weight.value().dtype(), float32);
    EXPECT_EQ(in_float32(y).dtype(), float32);
    for (const NamedParameter& named : named_parameters(layer)) {
      EXPECT_EQ(named.parameter->value().dtype(), float32) << named.name;
    }
  }
}

TEST(Precision, Float32IsAsItWas) {
  manual_seed(3);
  Sequential net(Linear(6, 5), ReLU(), Linear(5, 2));
  const Tensor x = randn({3, 6});
  const std::vector<float> before = net(x).to_vector<float>();
  set_precision(net, "bf16");
  EXPECT_EQ(net(x).dtype(), bfloat16);
  set_precision(net, "float32");
  EXPECT_EQ(net(x).to_vector<float>(), before);
}

TEST(Precision, IsCopiedButNotAssigned) {
  Sequential net(Linear(6, 5));
  set_precision(net, bfloat16);
  Sequential copy = net;
  const Tensor x = Tensor::full({1, 6}, 1);
  EXPECT_EQ(copy(x).dtype(), bfloat16);
  Sequential other(Linear(6, 5));
  other = net;
  EXPECT_EQ(other(x).dtype(), float32);
  load_state_dict(net, state_dict(other));
  EXPECT_EQ(net(x).dtype(), bfloat16);
}

TEST(Precision, WhatCannotBeIsRefusedAndChangesNothing) {
  Sequential net(Linear(6, 5), Linear({.in_features = 5, .out_features = 2, .dtype = float64}));
  EXPECT_THROW(set_precision(net, bfloat16), DTypeError);
  EXPECT_EQ(dynamic_cast<Linear&>(net[0])(Tensor::full({1, 6}, 1)).dtype(), float32);
  Linear layer(2, 2);
  EXPECT_THROW(set_precision(layer, float64), ValueError);
  EXPECT_THROW(set_precision(layer, "fp16"), ValueError);
  // Only float32 meets bfloat16 unasked.
  set_precision(layer, bfloat16);
  EXPECT_THROW(layer(Tensor::zeros({1, 2}, float64)), DTypeError);
}

TEST(Precision, SettingItComputesNoWeights) {
  Linear layer(6, 5);
  weight_norm(layer);
  profile::start();
  set_precision(layer, bfloat16);
  EXPECT_TRUE(profile::stop().empty());
  Linear exact({.in_features = 2, .out_features = 2, .dtype = float64});
  weight_norm(exact);
  EXPECT_THROW(set_precision(exact, bfloat16), DTypeError);
}

// Rounding moves values by some 2^-8 per layer, and where two elements of a window are that near,
// the other one gets the gradient: a tenth of the norm here. Without a layer's gradient it is all.
TEST(Precision, GradientsAreFloat32AndNearThoseOfFloat32) {
  for (const Device device : available_devices()) {
    manual_seed(5);
    SimpleCNN model({.image_size = 8});
    model.to(device);
    const Tensor images = randn({4, 3, 8, 8}).to(device);
    const Tensor labels = tensor<int64_t>({1, 0, 7, 3}, {4}).to(device);
    const auto gradients = [&] {
      for (const NamedParameter& named : named_parameters(model)) {
        named.parameter->zero_grad();
      }
      Tape tape;
      tape.backward(cross_entropy(in_float32(model(images)), labels));
      std::vector<Tensor> result;
      for (const NamedParameter& named : named_parameters(model)) {
        result.push_back(named.parameter->grad().clone());
      }
      return result;
    };
    const std::vector<Tensor> wide = gradients();
    set_precision(model, bfloat16);
    const std::vector<Tensor> narrow = gradients();
    for (size_t i = 0; i < wide.size(); ++i) {
      EXPECT_EQ(narrow[i].dtype(), float32);
      const double norm = sum(mul(wide[i], wide[i])).item();
      const Tensor difference = sub(narrow[i], wide[i]);
      EXPECT_LT(sum(mul(difference, difference)).item(), 0.25 * 0.25 * norm)
          << named_parameters(model)[i].name << " on " << to_string(device);
      EXPECT_GT(sum(mul(difference, difference)).item(), 0) << "nothing was rounded";
    }
  }
}

}  // namespace
}  // namespace warptape
