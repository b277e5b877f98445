// Convolutions that differ in one field, one after the other on one thread, as a model's layers do:
// what is kept of one must not serve another.

#include <gtest/gtest.h>

#include "core/check.h"
#include "core/primitives.h"
#include "core/random.h"
#include "core/tape.h"
#include "kernels/ops.h"
#include "kernels/vendor/onednn.h"

namespace warptape {
namespace {

struct Layer {
  Shape x;
  int64_t outputs;
  Pair kernel;
  Conv2dOptions options;
  bool bias = true;
};

// y and the gradients of x, weight and bias.
std::vector<Tensor> results_of(const Layer& layer, Device device) {
  Generator generator(3);
  std::vector<Parameter> inputs;
  const auto add = [&](const Shape& shape) {
    inputs.emplace_back(randn(shape, float32, generator).to(device));
  };
  add(layer.x);
  add({layer.outputs, layer.x[1] / layer.options.groups, layer.kernel.height, layer.kernel.width});
  add({layer.outputs});
  Tape tape;
  const Tensor y =
      conv2d(inputs[0], inputs[1], layer.bias ? Operand(inputs[2]) : Tensor(), layer.options);
  tape.backward(y, randn(y.shape(), float32, generator).to(device));
  std::vector<Tensor> results{y};
  for (const Parameter& input : inputs) {
    if (input.grad().defined()) {
      results.push_back(input.grad());
    }
  }
  return results;
}

void expect_equal(const std::vector<Tensor>& got, const std::vector<Tensor>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].shape(), wanted[i].shape());
    const std::vector<float> a = got[i].to(cpu).to_vector<float>();
    const std::vector<float> b = wanted[i].to_vector<float>();
    for (size_t j = 0; j < a.size(); ++j) {
      ASSERT_NEAR(a[j], b[j], 1e-4) << "result " << i << ", element " << j;
    }
  }
}

// Neighbours differ in one field; where the output's size would give it away, strides hide it.
std::vector<Layer> layers() {
  const Layer base{{2, 8, 9, 9}, 8, 3, {.stride = 4}};
  std::vector<Layer> result;
  const auto add = [&](const auto& change) {
    Layer changed = base;
    change(changed);
    result.push_back(base);
    result.push_back(changed);
  };
  add([](Layer& l) { l.bias = false; });
  add([](Layer& l) { l.options.groups = 2; });
  add([](Layer& l) { l.options.groups = 8; });
  add([](Layer& l) { l.options.dilation = {2, 1}; });
  add([](Layer& l) { l.options.dilation = {1, 2}; });
  // 9 pixels and two of padding hold three windows, 8 hold two with and without.
  const Padding2d none;
  for (const Padding2d& padding : {none, Padding2d(1, 0), none, Padding2d(0, 1), Padding2d(1),
                                   Padding2d(Sides2d{.top = 1}), Padding2d(Sides2d{.bottom = 1}),
                                   Padding2d(Sides2d{.left = 1}), Padding2d(Sides2d{.right = 1})}) {
    result.push_back({{2, 8, 8, 8}, 8, 3, {.stride = 4, .padding = padding}});
  }
  add([](Layer& l) { l.options.stride = {5, 4}; });
  add([](Layer& l) { l.options.stride = {4, 5}; });
  add([](Layer& l) { l.kernel = {2, 3}; });
  add([](Layer& l) { l.kernel = {3, 2}; });
  add([](Layer& l) { l.outputs = 16; });
  add([](Layer& l) { l.x[0] = 3; });
  add([](Layer& l) { l.x[1] = 16; });
  add([](Layer& l) { l.x[2] = 10; });
  add([](Layer& l) { l.x[3] = 10; });
  result.push_back(base);
  return result;
}

void expect_right_on(Device device) {
  for (const Layer& layer : layers()) {
    SCOPED_TRACE(
        fmt::format("x {}, kernel {}, {} outputs, stride {}, padding {}, dilation {}, "
                    "groups {}, bias {}",
                    layer.x, layer.kernel.to_string(), layer.outputs,
                    layer.options.stride.to_string(), layer.options.padding.to_string(),
                    layer.options.dilation.to_string(), layer.options.groups, layer.bias));
    set_onednn_used(false);
    const std::vector<Tensor> wanted = results_of(layer, cpu);
    set_onednn_used(true);
    expect_equal(results_of(layer, device), wanted);
  }
}

TEST(Conv2dKeys, OfLayersThatDifferInOneField) {
  expect_right_on(cpu);
}

TEST(Conv2dKeys, OfLayersThatDifferInOneFieldOnCuda) {
  if (!is_available(DeviceType::CUDA)) {
    GTEST_SKIP() << "no device cuda";
  }
  expect_right_on({DeviceType::CUDA, 0});
}

}  // namespace
}  // namespace warptape
