#include "kernels/conv2d/conv2d.h"

#include "kernels/conv2d/convolve.h"

namespace warptape {

Tensor conv2d(const Operand& x, const Operand& weight, const Operand& bias, Conv2dOptions options) {
  return convolve(x, weight, bias,
                  conv_geometry("conv2d", x, weight, bias, options.axes(), options.groups));
}

}  // namespace warptape
