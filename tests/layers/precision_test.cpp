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

int records_named(const Tape& tape, const std::string& op) {
  const std::string dot = tape.dot();
  int count = 0;
  for (size_t at = 0; (at = dot.find("\"" + op + "\\n", at)) != std::string::npos; ++at) {
    ++count;
  }
  return count;
}

TEST(Precision, AWeightThatIsNormalisedIsWrittenRoundedAndNotCast) {
  for (const Device device : available_devices()) {
    manual_seed(4);
    Linear layer(7, 5);
    weight_norm(layer);
    layer.to(device);
    set_precision(layer, bfloat16);
    const Tensor x = randn({4, 7}).to(bfloat16).to(device);
    Tape tape;
    const Tensor y = layer(x);
    EXPECT_EQ(records_named(tape, "to"), 0) << tape.dot();
    EXPECT_EQ(records_named(tape, "weight_norm"), 1) << tape.dot();
    tape.backward(sum(mul(y, y)));
    const std::vector<NamedParameter> named = named_parameters(layer);
    std::vector<Tensor> gradients;
    for (const NamedParameter& each : named) {
      gradients.push_back(each.parameter->grad().clone());
      each.parameter->zero_grad();
    }
    // As it was before, by a cast.
    Tape cast;
    const Tensor w = weight_norm(*named[1].parameter, *named[0].parameter).to(bfloat16);
    const Tensor z = linear(x, w, layer.bias);
    EXPECT_EQ(bits_of(y), bits_of(z));
    cast.backward(sum(mul(z, z)));
    for (size_t i = 0; i < named.size(); ++i) {
      EXPECT_EQ(gradients[i].dtype(), float32);
      EXPECT_EQ(gradients[i].to_vector<float>(), named[i].parameter->grad().to_vector<float>())
          << named[i].name;
    }
  }
}

TEST(Precision, BackAndForthIsWhatEachIsAlone) {
  for (const Device device : available_devices()) {
    manual_seed(6);
    Sequential net(Linear(6, 5), ReLU(), Linear(5, 2));
    weight_norm(dynamic_cast<Linear&>(net[0]));
    net.to(device);
    const Tensor x = randn({3, 6}).to(device);
    for (int round = 0; round < 6; ++round) {
      const DType dtype = round % 2 == 0 ? bfloat16 : float32;
      if (round >= 2 && round < 4) {  // in these g has changed since w was computed in either dtype
        const Parameter& g = *named_parameters(net)[0].parameter;
        named_parameters(net)[0].parameter->assign(randn(g.value().shape()));
      }
      set_precision(net, dtype);
      Sequential fresh = net;  // its weights are not computed yet
      const Tensor y = net(x);
      EXPECT_EQ(y.dtype(), dtype);
      EXPECT_EQ(in_float32(y).to_vector<float>(), in_float32(fresh(x)).to_vector<float>());
    }
  }
}

TEST(Precision, TheWeightAsItIsLeavesAloneWhatProductsRead) {
  Linear layer(6, 5);
  weight_norm(layer);
  set_precision(layer, bfloat16);
  const void* const address = layer.weight.operand({}).tensor().raw_data();
  const Tensor value = layer.weight.value();
  EXPECT_EQ(value.dtype(), float32);
  EXPECT_EQ(layer.weight.operand({}).tensor().raw_data(), address);
  EXPECT_EQ(layer.weight.value().raw_data(), value.raw_data());
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

// One that knows nothing of other dtypes.
class Twice : public Reparametrization {
 public:
  explicit Twice(const Tensor& weight) : half_(weight.detach().clone()) {}
  std::unique_ptr<Reparametrization> clone() const override {
    return std::make_unique<Twice>(*this);
  }
  Tensor materialize(const Site&) override { return mul(half_, 2); }
  void split(const Tensor& weight) override { half_.assign(mul(weight, 0.5)); }
  void fields(const std::string& name, Visitor& visit) override { visit(name + "_half", half_); }
  std::string settings() const override { return "twice"; }
  void set_requires_grad(bool on) override { half_.set_requires_grad(on); }
  bool requires_grad() const override { return half_.requires_grad(); }
  bool assign_from(const Reparametrization&) override { return false; }
  Parameter& half() { return half_; }

 private:
  Parameter half_;
};

TEST(Precision, AReparametrizationThatCannotRoundIsCast) {
  for (const Device device : available_devices()) {
    Linear layer({.in_features = 2, .out_features = 1, .bias = false});
    layer.weight.reparametrize(std::make_unique<Twice>(layer.weight.value()), "twice", {});
    layer.weight.assign(tensor<float>({1 + 0x1p-9f, 4}, {1, 2}));
    layer.to(device);
    set_precision(layer, bfloat16);
    const Tensor x = tensor<float>({1, 3, 0x1p-9f, 0x1p-9f}, {2, 2}).to(bfloat16).to(device);
    Tape tape;
    const Tensor y = layer(x);
    EXPECT_EQ(in_float32(y).to_vector<float>()[0], 13);
    tape.backward(sum(y));
    auto& twice = dynamic_cast<Twice&>(*layer.weight.reparametrization());
    EXPECT_EQ(twice.half().grad().to_vector<float>(),
              std::vector<float>({2 + 0x1p-8f, 6 + 0x1p-8f}));
  }
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

// Where the other one's values fit and where they do not, of plain and of normalised weights.
TEST(Precision, AssigningALayerKeepsItsOwn) {
  for (bool normalised : {false, true}) {
    for (int64_t outputs : {3, 4}) {
      const auto layer_of = [&](int64_t channels) {
        Conv2d layer({.in_channels = 2, .out_channels = channels, .kernel_size = 3});
        if (normalised) {
          weight_norm(layer);
        }
        return layer;
      };
      Conv2d rounded = layer_of(4);
      set_precision(rounded, bfloat16);
      Conv2d exact = layer_of(outputs);
      exact = rounded;
      const Tensor x = Tensor::ones({1, 2, 5, 5});
      EXPECT_EQ(exact(x).dtype(), float32) << normalised << outputs;
      Conv2d kept = layer_of(outputs);
      set_precision(kept, bfloat16);
      const Conv2d other = layer_of(4);
      kept = other;
      EXPECT_EQ(kept(x).dtype(), bfloat16) << normalised << outputs;
    }
  }
}

}  // namespace
}  // namespace warptape
