#include "kernels/conv1d/conv1d.h"

#include "kernels/conv2d/convolve.h"

namespace warptape {

Tensor conv1d(const Operand& x, const Operand& weight, const Operand& bias, Conv1dOptions options) {
  return convolve(x, weight, bias,
                  conv_geometry("conv1d", x, weight, bias, options.axes(), options.groups));
}

}  // namespace warptape
