#include "kernels/log/log.h"

#include "kernels/common/unary.h"

namespace warptape {

void log_forward_cpu(const Tensor& x, Tensor& y);
void log_backward_cpu(const Tensor& dy, const Tensor& saved, GradientTarget dx);

Tensor log(const Operand& x) {
  return unary_op("log", x, {log_forward_cpu, log_backward_cpu, Saves::Input});
}

}  // namespace warptape
