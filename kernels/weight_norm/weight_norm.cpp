#include "kernels/weight_norm/weight_norm.h"

#include "core/primitives.h"
#include "core/profile.h"
#include "kernels/weight_norm/weight_norm_kernels.h"

namespace warptape {
namespace {

Shape norm_shape(const Shape& v) {
  Shape shape = v;
  for (int d = 1; d < v.rank(); ++d) {
    shape[d] = 1;
  }
  return shape;
}

void check_arguments(const Operand& v, const Operand& g) {
  check_floating("weight_norm", v);
  check_same_kind("weight_norm", v, g);
  check<ShapeError>(v.rank() >= 1, v.site(), "[weight_norm] v: got a scalar, wanted (O, ...)");
  check<ShapeError>(g.shape() == norm_shape(v.shape()), v.site(),
                    "[weight_norm] g: got shape {}, wanted {} for v of shape {}", g.shape(),
                    norm_shape(v.shape()), v.shape());
}

}  // namespace

Tensor weight_norm(const Operand& v, const Operand& g) {
  check_arguments(v, g);
  const profile::Range range("weight_norm");
  const Tensor rows = primitives::relayout(v.tensor(), MemoryFormat::RowMajor);
  Tensor w = Tensor::empty_like(rows);
  Tensor inv_norm = Tensor::empty({v.size(0)}, float64, v.device());
  on_device("weight_norm", v.device(),
            [&] { weight_norm_forward_cpu(rows, g.tensor(), w, inv_norm); });
  if (Tape* tape = Tape::recording({&v, &g})) {
    tape->record(
        "weight_norm", {&v, &g}, {&w},
        [saved_v = Saved(rows), saved_g = Saved(g.tensor()), saved_inv_norm = Saved(inv_norm),
         row_major = v.memory_format() == MemoryFormat::RowMajor](Backward& context) {
          const Tensor& dw = context.grad();
          GradientTarget dv{{}, WriteMode::Overwrite};
          GradientTarget dg{{}, WriteMode::Overwrite};
          if (context.needs(0)) {
            dv = row_major
                     ? context.into(0)
                     : GradientTarget{Tensor::empty_like(saved_v.get()), WriteMode::Overwrite};
          }
          if (context.needs(1)) {
            dg = context.into(1);
          }
          on_device("weight_norm", dw.device(), [&] {
            weight_norm_backward_cpu(dw, saved_v.get(), saved_g.get(), saved_inv_norm.get(), dv,
                                     dg);
          });
          if (context.needs(0) && !row_major) {
            context.give(0, std::move(dv.buffer));
          }
        });
  }
  return w;
}

Tensor norm_per_channel(const Tensor& v) {
  const Operand operand(v);
  check_floating("norm_per_channel", operand);
  check<ShapeError>(v.rank() >= 1, "[norm_per_channel] v: got a scalar, wanted (O, ...)");
  const Tensor rows = primitives::relayout(v, MemoryFormat::RowMajor);
  Tensor norm = Tensor::empty(norm_shape(v.shape()), v.dtype(), v.device());
  on_device("norm_per_channel", v.device(), [&] { norm_per_channel_cpu(rows, norm); });
  return norm;
}

}  // namespace warptape
