#include "kernels/conv1d/conv1d.h"

#include <utility>

#include "core/primitives.h"
#include "core/profile.h"
#include "core/tape.h"
#include "kernels/conv1d/lines.h"
#include "kernels/conv2d/convolve.h"

namespace warptape {
namespace {

constexpr MemoryFormat row_major = MemoryFormat::RowMajor;

void backward_along_lines(Backward& context, const Tensor& x, const Tensor& weight,
                          const ConvGeometry& geometry) {
  const Tensor& dy = context.grad();
  if (context.needs(1)) {
    Tensor dweight = Tensor::empty(weight.shape(), weight.dtype());
    lines_weight_grad(dy, x, geometry, dweight);
    context.give(1, std::move(dweight));
  }
  if (context.needs(2)) {
    Tensor dbias = context.overwrite(2);
    lines_bias_grad(dy, dbias);
  }
  if (context.needs(0)) {
    Tensor dx = Tensor::empty_like(x);
    lines_data_grad(dy, weight, geometry, dx);
    context.give(0, std::move(dx));
  }
}

Tensor along_lines(const Operand& x, const Operand& weight, const Operand& bias,
                   const ConvGeometry& geometry) {
  const profile::Range range("conv1d");
  const Tensor lines = primitives::relayout(x.tensor(), row_major);
  const Tensor filters = primitives::relayout(weight.tensor(), row_major);
  Tensor y = Tensor::empty(geometry.y_shape(), x.dtype());
  lines_forward(lines, filters, bias.tensor(), geometry, y);
  if (Tape* tape = Tape::recording({&x, &weight, &bias})) {
    tape->record(
        "conv1d", {&x, &weight, &bias}, {&y},
        [saved_x = Saved(lines), saved_weight = Saved(filters), geometry](Backward& context) {
          backward_along_lines(context, saved_x.get(), saved_weight.get(), geometry);
        });
  }
  return y;
}

}  // namespace

Tensor conv1d(const Operand& x, const Operand& weight, const Operand& bias, Conv1dOptions options) {
  const ConvGeometry geometry =
      conv_geometry("conv1d", x, weight, bias, options.axes(), options.groups);
  return x.device().type == DeviceType::CPU && lines_serve(x.dtype(), geometry)
             ? along_lines(x, weight, bias, geometry)
             : convolve(x, weight, bias, geometry);
}

}  // namespace warptape
