#include "kernels/losses/values.h"

#include <vector>

#include "kernels/pointwise/pointwise.h"
#include "kernels/where/where.h"

namespace warptape::losses {

Tensor value_as_ops(const Mse&, const Operand& x, const Operand& target, const Operand&) {
  const Tensor d = x - target;
  return d * d;
}

Tensor value_as_ops(const L1&, const Operand& x, const Operand& target, const Operand&) {
  return abs(x - target);
}

Tensor value_as_ops(const Huber& loss, const Operand& x, const Operand& target, const Operand&) {
  const Tensor d = abs(x - target);
  const double delta = loss.delta;
  return where(d.detach() < delta, 0.5 * d * d, delta * (d - 0.5 * delta));
}

Tensor value_as_ops(const SmoothL1& loss, const Operand& x, const Operand& target, const Operand&) {
  const Tensor d = abs(x - target);
  const double beta = loss.beta;
  return beta == 0 ? d : where(d.detach() < beta, (0.5 / beta) * d * d, d - 0.5 * beta);
}

Tensor value_as_ops(const BceWithLogits&, const Operand& x, const Operand& target,
                    const Operand& pos_weight) {
  // -log sigmoid(x). Beyond 700 the exponential is at the end of its range, and 1 no part of it.
  const Tensor loss = softplus(-x, {.threshold = 700});
  return (1 - target) * x + ((pos_weight - 1) * target + 1) * loss;
}

Tensor value_as_ops(const GaussianNll& loss, const Operand& x, const Operand& target,
                    const Operand& var) {
  const Tensor below = var.detach();
  const Tensor lift = where(below < loss.eps, loss.eps - below, 0);
  const Tensor v = var + lift;
  const Tensor d = x - target;
  return 0.5 * (log(v) + d * d / v) + (loss.full ? half_log_2_pi : 0);
}

Tensor value_as_ops(const Quantile& loss, const Operand& x, const Operand& target, const Operand&) {
  const std::vector<double> levels(loss.levels, loss.levels + x.size(-1));
  const Tensor q =
      tensor(levels, {static_cast<int64_t>(levels.size())}).to(x.dtype()).to(x.device());
  const Tensor d = target - x;
  return maximum(q * d, (q - 1) * d);
}

}  // namespace warptape::losses
