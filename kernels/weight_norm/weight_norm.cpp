#include "kernels/weight_norm/weight_norm.h"

#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "core/tape.h"
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

bool is_fresh(const WeightNormCache& cache, const Tensor& v, const Tensor& g) {
  return cache.w.defined() && cache.v.shares_storage_with(v) && cache.g.shares_storage_with(g) &&
         cache.v_version == v.version() && cache.g_version == g.version();
}

void compute(const Tensor& rows, const Tensor& v, const Tensor& g, WeightNormCache& cache) {
  const profile::Range range("weight_norm");
  const bool fits = cache.w.defined() && cache.w.shape() == rows.shape() &&
                    cache.w.dtype() == rows.dtype() && cache.w.device() == rows.device();
  if (!fits) {
    cache.w = Tensor::empty_like(rows);
    cache.inv_norm = Tensor::empty({rows.size(0)}, float64, rows.device());
  }
  on_device(
      "weight_norm", rows.device(),
      [&] { weight_norm_forward_cpu(rows, g, cache.w, cache.inv_norm); },
      [&] { weight_norm_forward_cuda(rows, g, cache.w, cache.inv_norm); });
  cache.v = v.detach();
  cache.g = g.detach();
  cache.v_version = v.version();
  cache.g_version = g.version();
}

void backward(Backward& context, const Tensor& v, const Tensor& g, const Tensor& inv_norm,
              bool row_major) {
  const Tensor& dw = context.grad();
  GradientTarget dv{{}, WriteMode::Overwrite};
  GradientTarget dg{{}, WriteMode::Overwrite};
  if (context.needs(0)) {
    // A v in another memory format gets its gradient by give(), which changes the format.
    dv = row_major ? context.into(0) : GradientTarget{Tensor::empty_like(v), WriteMode::Overwrite};
  }
  if (context.needs(1)) {
    dg = context.into(1);
  }
  on_device(
      "weight_norm", dw.device(), [&] { weight_norm_backward_cpu(dw, v, g, inv_norm, dv, dg); },
      [&] { weight_norm_backward_cuda(dw, v, g, inv_norm, dv, dg); });
  if (context.needs(0) && !row_major) {
    context.give(0, std::move(dv.buffer));
  }
}

}  // namespace

Tensor weight_norm(const Operand& v, const Operand& g) {
  WeightNormCache cache;
  return weight_norm(v, g, cache);
}

Tensor weight_norm(const Operand& v, const Operand& g, WeightNormCache& cache) {
  check_arguments(v, g);
  const Tensor rows = primitives::relayout(v.tensor(), MemoryFormat::RowMajor);
  const bool fresh = is_fresh(cache, v.tensor(), g.tensor());
  if (!fresh) {
    compute(rows, v.tensor(), g.tensor(), cache);
  }
  Tape* tape = Tape::recording({&v, &g});
  if (tape == nullptr) {
    return cache.w.detach();
  }
  if (!fresh || cache.w.tape_handle().tape != tape->id()) {
    const bool row_major = v.memory_format() == MemoryFormat::RowMajor;
    tape->record("weight_norm", {&v, &g}, {&cache.w},
                 [saved_v = Saved(rows), saved_g = Saved(g.tensor()),
                  saved_inv_norm = Saved(cache.inv_norm), row_major](Backward& context) {
                   backward(context, saved_v.get(), saved_g.get(), saved_inv_norm.get(), row_major);
                 });
  }
  return cache.w;
}

Tensor norm_per_channel(const Tensor& v) {
  const Operand operand(v);
  check_floating("norm_per_channel", operand);
  check<ShapeError>(v.rank() >= 1, "[norm_per_channel] v: got a scalar, wanted (O, ...)");
  const Tensor rows = primitives::relayout(v, MemoryFormat::RowMajor);
  Tensor norm = Tensor::empty(norm_shape(v.shape()), v.dtype(), v.device());
  on_device(
      "norm_per_channel", v.device(), [&] { norm_per_channel_cpu(rows, norm); },
      [&] { norm_per_channel_cuda(rows, norm); });
  return norm;
}

}  // namespace warptape
