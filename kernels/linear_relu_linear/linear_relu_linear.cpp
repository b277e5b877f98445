#include "kernels/linear_relu_linear/linear_relu_linear.h"

#include "core/device/on_device.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/linear_kernels.h"
#include "kernels/linear_relu_linear/linear_relu_linear_kernels.h"
#include "kernels/pointwise/pointwise.h"

namespace warptape {

Tensor linear_relu_linear(const Operand& x, const Operand& weight1, const Operand& bias1,
                          const Operand& weight2, const Operand& bias2) {
  constexpr const char* name = "linear_relu_linear";
  check_linear(name, x, x.shape(), weight1, bias1);
  Shape hidden = x.shape();
  hidden[x.rank() - 1] = weight1.size(0);
  check_linear(name, x, hidden, weight2, bias2);
  const auto operand = [&](const Tensor& tensor) {
    return Operand(tensor, x.site().file, x.site().line);
  };
  Tensor y;
  on_device(
      name, x.device(),
      [&] {
        const Tensor h = relu(operand(linear(x, weight1, bias1)));
        y = linear(operand(h), weight2, bias2);
      },
      [&] { y = linear_relu_linear_cuda(name, x, weight1, bias1, weight2, bias2); });
  return y;
}

}  // namespace warptape
