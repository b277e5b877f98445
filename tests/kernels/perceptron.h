#pragma once
#include <utility>

#include "core/deferred.h"
#include "kernels/linear/linear.h"
#include "kernels/max_pool2d/max_pool2d.h"
#include "kernels/pointwise/pointwise.h"

namespace warptape {

// Two layers as a module's call runs them: fused where the device can.
inline Tensor perceptron(const Operand& x, const Operand& weight1, const Operand& bias1,
                         const Operand& weight2, const Operand& bias2) {
  DeferralScope scope;
  Tensor y = linear(relu(linear(x, weight1, bias1)), weight2, bias2);
  scope.finish();
  return y;
}

inline Tensor relu_max_pool2d(const Operand& x, MaxPool2dOptions options) {
  options.activation = Activation::ReLU;
  return max_pool2d(x, options);
}

}  // namespace warptape
