#pragma once
#include "core/tape.h"

namespace warptape {

// v, w, dv, dw: (rows, rest), row-major. g, dg: one element per row. inv_norm: float64, one element
// per row, 0 for a row of zeros. Overwrites w and inv_norm. An undefined gradient target is not
// wanted.
void weight_norm_forward_cpu(const Tensor& v, const Tensor& g, Tensor& w, Tensor& inv_norm);
void weight_norm_forward_cuda(const Tensor& v, const Tensor& g, Tensor& w, Tensor& inv_norm);
void weight_norm_backward_cpu(const Tensor& dw, const Tensor& v, const Tensor& g,
                              const Tensor& inv_norm, GradientTarget dv, GradientTarget dg);
void weight_norm_backward_cuda(const Tensor& dw, const Tensor& v, const Tensor& g,
                               const Tensor& inv_norm, GradientTarget dv, GradientTarget dg);
void norm_per_channel_cpu(const Tensor& v, Tensor& norm);
void norm_per_channel_cuda(const Tensor& v, Tensor& norm);

}  // namespace warptape
