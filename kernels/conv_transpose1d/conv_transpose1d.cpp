#include "kernels/conv_transpose1d/conv_transpose1d.h"

#include "kernels/conv2d/convolve.h"

namespace warptape {

Tensor conv_transpose1d(const Operand& x, const Operand& weight, const Operand& bias,
                        ConvTranspose1dOptions options) {
  const int64_t output_padding[] = {options.output_padding};
  return convolve_transposed(
      x, weight, bias,
      conv_transpose_geometry("conv_transpose1d", x, weight, bias, options.axes(), output_padding,
                              options.groups));
}

}  // namespace warptape
