#pragma once
#include <memory>
#include <span>

#include "core/tape.h"
#include "kernels/weight_norm/norm_dim.h"

namespace warptape {

// One weight of those that are computed together. v, w: of one shape, memory format and dtype, or w
// bfloat16 beside float32. g: one element per slice. inv_norm: float64, one element per slice, 0
// for a slice of zeros. w and inv_norm are overwritten.
struct WeightNormRows {
  Tensor v, g, w, inv_norm;
  NormSlices slices;
};

// dw is of v's dtype. dv and dg may be without a buffer: not wanted.
struct WeightNormGradient {
  Tensor dw, v, g, inv_norm;
  GradientTarget dv, dg;
  NormSlices slices;
};

// All of one device.
void weight_norm_forward_cpu(std::span<WeightNormRows> weights);
void weight_norm_forward_cuda(std::span<WeightNormRows> weights);
void weight_norm_backward_cpu(std::span<WeightNormGradient> weights);
void weight_norm_backward_cuda(std::span<WeightNormGradient> weights);

// Between streams: what has been queued on the current one by now, and the current one's waiting
// for it. Null in a graph capture, whose order is the capture's own; a null is not waited for.
std::shared_ptr<const void> weight_norm_computed_cuda();
void wait_for_weight_norm_cuda(const void* computed);

void norms_of_slices_cpu(const Tensor& v, const NormSlices& slices, Tensor& norm);
void norms_of_slices_cuda(const Tensor& v, const NormSlices& slices, Tensor& norm);

}  // namespace warptape
