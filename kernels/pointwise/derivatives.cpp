#include "kernels/pointwise/derivatives.h"

#include <vector>

#include "kernels/pointwise/pointwise.h"
#include "kernels/reshape/reshape.h"
#include "kernels/sum/sum.h"
#include "kernels/where/where.h"

namespace warptape {

Tensor sum_to_shape(const Operand& dy, const Shape& shape) {
  if (dy.shape() == shape) {
    return dy.tensor();
  }
  std::vector<int> summed;
  for (int d = 0; d < dy.rank(); ++d) {
    const int own = d - (dy.rank() - shape.rank());
    if (dy.shape()[d] != 1 && (own < 0 || shape[own] == 1)) {
      summed.push_back(d);
    }
  }
  const Tensor sums = summed.empty() ? dy.tensor() : sum(dy, summed, true);
  return reshape(sums, {shape.begin(), shape.end()});
}

namespace pointwise {
// Of pieces that are linear the derivative is a constant: that of |x| is -1, 0, 1 or NaN.
Tensor recorded_gradient(const Abs&, const Operand& dy, const Operand& x) {
  const Tensor value = x.detach();
  const Tensor sign = where(value > 0, 1, where(value < 0, -1, value));
  return dy * sign;
}

Tensor recorded_gradient(const Clamp& op, const Operand& dy, const Operand& x) {
  const Tensor value = x.detach();
  return where(value > op.min, where(value < op.max, dy, 0), 0);
}

// The exponential of a large x, which is not asked for, would make its gradient infinity times 0.
Tensor recorded_gradient(const Elu& op, const Operand& dy, const Operand& x) {
  const Tensor above = x.detach() > 0;
  return where(above, dy, dy * (op.alpha * exp(where(above, 0, x))));
}

Tensor recorded_gradient(const Erf&, const Operand& dy, const Operand& x) {
  return dy * (two_over_root_pi * exp(-(x * x)));
}

Tensor recorded_gradient(const Exp&, const Operand& dy, const Operand& y) {
  return dy * y;
}

Tensor recorded_gradient(const Gelu& op, const Operand& dy, const Operand& x) {
  const Tensor square = x * x;
  if (op.tanh) {
    constexpr double root_2_over_pi = 0.79788456080286535588;
    constexpr double cubic = 0.044715;
    const Tensor t = tanh(root_2_over_pi * (x * (1 + cubic * square)));
    const Tensor slope = root_2_over_pi * (1 + 3 * cubic * square);
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope);
  }
  const Tensor below = 0.5 * (1 + erf(x * root_half));
  const Tensor density = density_at_0 * exp(-0.5 * square);
  return dy * (below + x * density);
}

Tensor recorded_gradient(const LeakyRelu& op, const Operand& dy, const Operand& x) {
  return where(x.detach() > 0, dy, op.negative_slope * dy);
}

Tensor recorded_gradient(const Log&, const Operand& dy, const Operand& x) {
  return dy / x;
}

Tensor recorded_gradient(const Neg&, const Operand& dy, const Operand&) {
  return -dy;
}

Tensor recorded_gradient(const Pow& op, const Operand& dy, const Operand& x) {
  if (op.exponent == 0) {
    return Tensor::zeros(dy.shape(), dy.dtype(), dy.device());
  }
  return dy * (op.exponent * pow(x, op.exponent - 1));
}

Tensor recorded_gradient(const Relu&, const Operand& dy, const Operand& y) {
  return where(y.detach() <= 0, 0, dy);
}

Tensor recorded_gradient(const Rsqrt&, const Operand& dy, const Operand& y) {
  return -0.5 * dy * (y * y * y);
}

Tensor recorded_gradient(const Sigmoid&, const Operand& dy, const Operand& y) {
  return dy * (y * (1 - y));
}

Tensor recorded_gradient(const Silu&, const Operand& dy, const Operand& x) {
  const Tensor s = sigmoid(x);
  return dy * (s * (1 + x * (1 - s)));
}

Tensor recorded_gradient(const Softplus& op, const Operand& dy, const Operand& x) {
  const Tensor z = op.beta * x;
  return where(z.detach() > op.threshold, dy, dy * sigmoid(z));
}

Tensor recorded_gradient(const Sqrt&, const Operand& dy, const Operand& y) {
  return dy / (2 * y);
}

Tensor recorded_gradient(const Tanh&, const Operand& dy, const Operand& y) {
  return dy * (1 - y * y);
}

Tensor recorded_gradient(const Same&, const Operand& dy, const Operand&, const Operand&) {
  return dy.tensor();
}

Tensor recorded_gradient(const Negated&, const Operand& dy, const Operand&, const Operand&) {
  return -dy;
}

Tensor recorded_gradient(const TimesOther&, const Operand& dy, const Operand&,
                         const Operand& other) {
  return dy * other;
}

Tensor recorded_gradient(const OverOther&, const Operand& dy, const Operand&,
                         const Operand& other) {
  return dy / other;
}

Tensor recorded_gradient(const OfDivisor&, const Operand& dy, const Operand& own,
                         const Operand& other) {
  return -dy * other / (own * own);
}

Tensor recorded_gradient(const ToLarger&, const Operand& dy, const Operand& own,
                         const Operand& other) {
  const Tensor mine = own.detach();
  const Tensor yours = other.detach();
  return where(mine < yours, 0, where(mine == yours, 0.5 * dy, dy));
}

Tensor recorded_gradient(const ToSmaller&, const Operand& dy, const Operand& own,
                         const Operand& other) {
  const Tensor mine = own.detach();
  const Tensor yours = other.detach();
  return where(mine > yours, 0, where(mine == yours, 0.5 * dy, dy));
}

}  // namespace pointwise
}  // namespace warptape
