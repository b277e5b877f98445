#pragma once
#include "core/deferred.h"
#include "kernels/linear/linear.h"

namespace warptape {

// A call of linear, with arguments that were checked; a ReLU behind it becomes its activation.
class LinearWork final : public Deferred {
 public:
  LinearWork(const Operand& x, const Operand& weight, const Operand& bias, Activation activation);
  Tensor compute() override;
  void computed(const Tensor& y) override;
  Tensor followed_by(const char* op) override;

  bool has_relu() const { return activation == Activation::ReLU; }
  Shape shape() const;  // of the result

  const Operand x, weight, bias;
  const Activation activation;
  const Tensor rows;  // x, row-major
  // The result, if ReLU's gradient needs it.
  const std::shared_ptr<Saved> kept = std::make_shared<Saved>();
};

// linear(linear(x, weight1, bias1, {.activation = Activation::ReLU}), weight2, bias2) on "cuda",
// where the first one waits: `hidden`. Where cuBLASLt serves, the gradients of ReLU and of bias1
// are part of the product that gives the hidden layer's gradient. The second's arguments were
// checked.
Tensor hidden_linear_cuda(const LinearWork& hidden, const Operand& weight, const Operand& bias);

}  // namespace warptape
