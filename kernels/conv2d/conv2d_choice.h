#pragma once
// What the choice between cuDNN and our kernels sees of a convolution.

#include "kernels/conv2d/depthwise_cuda.h"
#include "kernels/geometry/conv_geometry.h"
#include "kernels/vendor/choice.h"

namespace warptape {

// geometry: planar.
inline Product conv2d_product(ProductKind kind, DType dtype, const ConvGeometry& g) {
  Product product{.kind = kind,
                  .m = g.batch * g.out_pixels(),
                  .n = g.out_per_group(),
                  .k = g.taps() * g.in_per_group(),
                  .taps = g.taps(),
                  .groups = g.groups};
  product.depthwise = is_depthwise(g);
  product.precision = dtype == float64    ? Precision::Float64
                      : dtype == bfloat16 ? Precision::Bfloat16
                      : tf32_is_on()      ? Precision::Tf32
                                          : Precision::Float32;
  return product;
}

}  // namespace warptape
