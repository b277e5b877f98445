#include "kernels/conv_transpose2d/conv_transpose2d.h"

#include "kernels/conv2d/convolve.h"

namespace warptape {

Tensor conv_transpose2d(const Operand& x, const Operand& weight, const Operand& bias,
                        ConvTranspose2dOptions options) {
  const int64_t output_padding[] = {options.output_padding.height, options.output_padding.width};
  return convolve_transposed(
      x, weight, bias,
      conv_transpose_geometry("conv_transpose2d", x, weight, bias, options.axes(), output_padding,
                              options.groups));
}

}  // namespace warptape
