#include "kernels/weight_norm/weight_norm_cuda.h"

#include "kernels/weight_norm/weight_norm_kernels.h"

namespace warptape {
namespace {

int64_t row_length(const Tensor& v) {
  return v.size(0) == 0 ? 0 : v.numel() / v.size(0);
}

// Scratch for one weight; null where its rows stay on chip.
Tensor scratch_for(const Tensor& v) {
  const int64_t count = weight_norm_scratch(v.size(0), row_length(v), size_of(v.dtype()));
  return count == 0 ? Tensor() : Tensor::empty({count}, float64, v.device());
}

double* pointer_or_null(Tensor& scratch) {
  return scratch.defined() ? scratch.mutable_data<double>() : nullptr;
}

}  // namespace

void weight_norm_forward_cuda(const Tensor& v, const Tensor& g, Tensor& w, Tensor& inv_norm) {
  Tensor scratch = scratch_for(v);
  dispatch_floating(v.dtype(), [&]<class T>() {
    const WeightNormForward<T> weight{.v = v.data<T>(),
                                      .g = g.data<T>(),
                                      .w = w.mutable_data<T>(),
                                      .norm = nullptr,
                                      .inv_norm = inv_norm.mutable_data<double>(),
                                      .rows = v.size(0),
                                      .length = row_length(v)};
    launch_weight_norm_forward<T>({&weight, 1}, pointer_or_null(scratch), gpu::current_stream());
  });
}

void weight_norm_backward_cuda(const Tensor& dw, const Tensor& v, const Tensor& g,
                               const Tensor& inv_norm, GradientTarget dv, GradientTarget dg) {
  Tensor scratch = scratch_for(v);
  dispatch_floating(v.dtype(), [&]<class T>() {
    const WeightNormBackward<T> weight{
        .dw = dw.data<T>(),
        .v = v.data<T>(),
        .g = g.data<T>(),
        .inv_norm = inv_norm.data<double>(),
        .dv = dv.buffer.defined() ? dv.buffer.mutable_data<T>() : nullptr,
        .dg = dg.buffer.defined() ? dg.buffer.mutable_data<T>() : nullptr,
        .rows = v.size(0),
        .length = row_length(v),
        .add_v = dv.mode == WriteMode::Accumulate,
        .add_g = dg.mode == WriteMode::Accumulate};
    launch_weight_norm_backward<T>({&weight, 1}, pointer_or_null(scratch), gpu::current_stream());
  });
}

void norm_per_channel_cuda(const Tensor& v, Tensor& norm) {
  Tensor scratch = scratch_for(v);
  dispatch_floating(v.dtype(), [&]<class T>() {
    const WeightNormForward<T> weight{.v = v.data<T>(),
                                      .g = nullptr,
                                      .w = nullptr,
                                      .norm = norm.mutable_data<T>(),
                                      .inv_norm = nullptr,
                                      .rows = v.size(0),
                                      .length = row_length(v)};
    launch_weight_norm_forward<T>({&weight, 1}, pointer_or_null(scratch), gpu::current_stream());
  });
}

}  // namespace warptape
